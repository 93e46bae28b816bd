"""The command's limiter: its runs share one, so that a loop in a shell keeps to the account's rate."""

from __future__ import annotations

import pytest

from memories_async import FileLimiter, Hosts
from memories_async.cli._own_limiter import own_limiter
from memories_async.cli._settings import Configuration
from memories_async.limiter._in_process import in_process


def test_all_runs_of_the_command_share_a_file(tmp_path):
    """In the folder that ends with the session, private to the user."""
    environment = {"XDG_RUNTIME_DIR": str(tmp_path)}

    first, second = Configuration.read(environment), Configuration.read(environment)

    assert isinstance(first.limiter, FileLimiter)
    assert (
        first.limiter.path
        == second.limiter.path
        == str(tmp_path / "memories_async" / "command.limiter")
    )
    assert (tmp_path / "memories_async").stat().st_mode & 0o077 == 0


def test_without_a_runtime_folder_it_is_kept_with_the_users_state(tmp_path):
    """Where callbacks are, too."""
    gone = {"XDG_RUNTIME_DIR": str(tmp_path / "gone"), "XDG_STATE_HOME": str(tmp_path)}

    assert own_limiter(Hosts(), gone).path == str(tmp_path / "memories_async" / "command.limiter")


@pytest.mark.parametrize("url", ["http://127.0.0.1:8765", "http://localhost:1", "http://[::1]:1"])
def test_a_service_on_this_machine_needs_no_shared_pace(url, tmp_path):
    """An upload a minute would only be in the way of a trial."""
    assert own_limiter(Hosts.at(url), {"XDG_RUNTIME_DIR": str(tmp_path)}) is in_process


def test_what_is_chosen_holds(tmp_path):
    """Also the limiter of this process alone."""
    chosen = {"XDG_RUNTIME_DIR": str(tmp_path), "MEMORIES_LIMITER": "process"}

    assert Configuration.read(chosen).limiter is in_process


def test_a_folder_that_cannot_be_made_is_done_without(tmp_path):
    """A command is not refused for the sake of its limiter."""
    (tmp_path / "file").write_bytes(b"")

    assert own_limiter(Hosts(), {"XDG_STATE_HOME": str(tmp_path / "file")}) is in_process


def test_a_folder_that_cannot_be_written_is_done_without(tmp_path, monkeypatch):
    """Whoever may do everything can write everywhere, so the answer of the system is made up."""
    monkeypatch.setattr("os.access", lambda *_: False)

    assert own_limiter(Hosts(), {"XDG_STATE_HOME": str(tmp_path)}) is in_process
