"""Which pace a client has: the argument, the variable `MEMORIES_PACE`, or the process's own."""

from __future__ import annotations

import pickle

import pytest
from samples import KEY

from memories_async import Client, FilePace, InProcessPace, RedisPace, blocking
from memories_async.limiter._choice import pace_from_environment
from memories_async.limiter._in_process import in_process


@pytest.mark.parametrize("value", ["", "process"])
def test_the_process_is_the_default(value):
    """One pace for all clients of a process."""
    assert pace_from_environment({"MEMORIES_PACE": value}) is in_process
    assert pace_from_environment({}) is in_process


@pytest.mark.parametrize("form", ["file:{}", "file://{}"])
def test_a_file_is_named_by_its_path(form, tmp_path):
    """As a path or as a URL; every client gets the same object."""
    path = tmp_path / "account.pace"
    pace = pace_from_environment({"MEMORIES_PACE": form.format(path)})

    assert isinstance(pace, FilePace)
    assert pace.path == str(path)
    assert pace_from_environment({"MEMORIES_PACE": form.format(path)}) is pace


def test_a_redis_server_is_named_by_its_url():
    """Nothing is connected yet."""
    pytest.importorskip("redis")
    assert isinstance(pace_from_environment({"MEMORIES_PACE": "redis://127.0.0.1:1/0"}), RedisPace)


@pytest.mark.parametrize("value", ["file:", "postgres://:geheim@x/y", "fast"])
def test_anything_else_is_refused(value):
    """The message names the variable, and no password."""
    with pytest.raises(ValueError, match="MEMORIES_PACE") as caught:
        pace_from_environment({"MEMORIES_PACE": value})
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize("kind", [Client, blocking.Client])
def test_clients_honour_the_variable(kind, monkeypatch, tmp_path):
    """And the argument before it; a pickled client keeps its file."""
    monkeypatch.setenv("MEMORIES_PACE", f"file:{tmp_path / 'account.pace'}")
    own = InProcessPace()
    chosen = kind(api_key=KEY)

    assert isinstance(chosen._settings.pace, FilePace)
    assert kind(api_key=KEY, pace=own)._settings.pace is own
    assert pickle.loads(pickle.dumps(chosen))._settings.pace.path == chosen._settings.pace.path
