"""The settings that the command reads: the limiter that all its runs share."""

from __future__ import annotations

import pytest

from memories_async import FileLimiter, Hosts
from memories_async.cli._settings import Configuration, share_limiter
from memories_async.limiter import in_process


@pytest.fixture
def state(tmp_path):
    """The folder of the user's state."""
    return tmp_path / "state" / "memories_async"


def test_all_runs_of_the_command_share_one_limiter(state):
    """A loop in a shell keeps the account's rate; the folder is private to the user."""
    first, second = Configuration.read(None, {}), Configuration.read(None, {})

    assert isinstance(first.limiter, FileLimiter)
    assert first.limiter.path == second.limiter.path == str(state / "command.limiter")
    assert state.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("url", ["http://127.0.0.1:8765", "http://localhost:1", "http://[::1]:1"])
def test_a_service_on_this_machine_has_a_limiter_of_this_process(url, state):
    """An upload a minute would only delay a trial."""
    assert share_limiter(Hosts.at(url)) is in_process


def test_the_variable_chooses_the_limiter(state):
    """The shared file is only the default."""
    assert Configuration.read(None, {"MEMORIES_LIMITER": "process"}).limiter is in_process


def test_a_folder_that_cannot_be_made_is_not_used(state):
    """The limiter is then that of this process."""
    state.parent.write_bytes(b"")

    assert share_limiter(Hosts()) is in_process


def test_a_folder_that_cannot_be_written_is_not_used(state, monkeypatch):
    """The tests may run as root, who may write everywhere, so `os.access` is replaced."""
    monkeypatch.setattr("os.access", lambda *_: False)

    assert share_limiter(Hosts()) is in_process
