"""The settings that the command reads: the limiter that all its runs share."""

from __future__ import annotations

import pytest

from memories_async import FileLimiter, Hosts
from memories_async.cli._settings import Configuration, choose_limiter
from memories_async.limiter import in_process


def test_all_runs_of_the_command_share_the_users_limiter():
    """A loop in a shell keeps the account's rate, together with the user's other programs."""
    first, second = Configuration.read(None, {}), Configuration.read(None, {})

    assert isinstance(first.limiter, FileLimiter)
    assert first.limiter == second.limiter == FileLimiter()


@pytest.mark.parametrize("url", ["http://127.0.0.1:8765", "http://localhost:1", "http://[::1]:1"])
def test_a_service_on_this_machine_has_a_limiter_of_this_process(url):
    """An upload a minute would only delay a trial."""
    assert choose_limiter(Hosts.at(url)) is in_process


def test_the_variable_chooses_the_limiter():
    """The shared file is only the default."""
    assert Configuration.read(None, {"MEMORIES_LIMITER": "process"}).limiter is in_process
