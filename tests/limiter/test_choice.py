"""Which limiter a client has: the argument, the variable `MEMORIES_LIMITER`, or the process's own."""

from __future__ import annotations

import pickle

import pytest
from callers import settings_of
from samples import KEY

from memories_async import Client, FileLimiter, InProcessLimiter, RedisLimiter, blocking
from memories_async.limiter import in_process
from memories_async.limiter._choice import limiter_from_environment


@pytest.mark.parametrize("value", ["", "process"])
def test_the_process_is_the_default(value):
    """One limiter for all clients of a process."""
    assert limiter_from_environment({"MEMORIES_LIMITER": value}) is in_process
    assert limiter_from_environment({}) is in_process


@pytest.mark.parametrize("form", ["file:{}", "file://{}"])
def test_a_file_is_named_by_its_path(form, tmp_path):
    """As a path or as a URL; every client gets the same object."""
    path = tmp_path / "account.limiter"
    limiter = limiter_from_environment({"MEMORIES_LIMITER": form.format(path)})

    assert isinstance(limiter, FileLimiter)
    assert limiter.path == str(path)
    assert limiter_from_environment({"MEMORIES_LIMITER": form.format(path)}) is limiter


def test_a_redis_server_is_named_by_its_url():
    """Nothing is connected yet."""
    pytest.importorskip("redis")
    assert isinstance(
        limiter_from_environment({"MEMORIES_LIMITER": "redis://127.0.0.1:1/0"}), RedisLimiter
    )


@pytest.mark.parametrize("value", ["file:", "postgres://:geheim@x/y", "fast"])
def test_anything_else_is_refused(value):
    """The message names the variable, and no password."""
    with pytest.raises(ValueError, match="MEMORIES_LIMITER") as caught:
        limiter_from_environment({"MEMORIES_LIMITER": value})
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize("kind", [Client, blocking.Client])
def test_clients_honour_the_variable(kind, monkeypatch, tmp_path):
    """And the argument before it; a pickled client keeps its file."""
    monkeypatch.setenv("MEMORIES_LIMITER", f"file:{tmp_path / 'account.limiter'}")
    own = InProcessLimiter()
    chosen = kind(api_key=KEY)

    assert isinstance(settings_of(chosen).limiter, FileLimiter)
    assert settings_of(kind(api_key=KEY, limiter=own)).limiter is own
    assert (
        settings_of(pickle.loads(pickle.dumps(chosen))).limiter.path
        == settings_of(chosen).limiter.path
    )
