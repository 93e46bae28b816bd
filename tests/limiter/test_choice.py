"""Which limiter a client has: the argument, the variable `MEMORIES_LIMITER`, or the user's file."""

from __future__ import annotations

import logging
import pickle
import subprocess
import sys

import pytest
from callers import settings_of
from samples import KEY

from memories_async import Client, FileLimiter, InProcessLimiter, RedisLimiter, blocking
from memories_async.limiter import _file, find_default, in_process, parse_limiter


@pytest.mark.parametrize("choose", [find_default, lambda: parse_limiter("file")])
def test_a_file_of_the_user_is_the_default(choose, tmp_path, monkeypatch):
    """In the runtime folder, which is private: all programs of the user share it."""
    folder = tmp_path / "runtime"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    limiter = choose()

    assert limiter.path == str(folder / "memories_async" / "account.limiter")
    assert (folder / "memories_async").stat().st_mode & 0o077 == 0
    assert settings_of(Client(api_key=KEY)).limiter == limiter


def test_the_process_can_be_chosen():
    """One limiter for all clients of a process."""
    assert parse_limiter("process") is in_process


@pytest.mark.parametrize("fault", ["a file", "a link", "open to others", "no flock"])
def test_without_a_private_folder_the_process_keeps_the_rate_and_says_so_once(
    fault, tmp_path, monkeypatch, caplog
):
    """A client is not refused for the sake of its limiter; `file` by name is an error."""
    folder = tmp_path / "runtime"
    folder.mkdir(mode=0o700)
    if fault == "a file":
        (folder / "memories_async").write_bytes(b"")
    elif fault == "a link":
        (folder / "memories_async").symlink_to(tmp_path)
    elif fault == "open to others":
        (folder / "memories_async").mkdir()
        (folder / "memories_async").chmod(0o777)
    else:
        monkeypatch.setitem(sys.modules, "fcntl", None)
    monkeypatch.setattr("platformdirs.user_runtime_path", lambda name: folder / name)
    _file._warn_once.cache_clear()
    with caplog.at_level(logging.WARNING, "memories_async"):
        assert [find_default() for _ in range(3)] == [in_process] * 3

    assert len(caplog.records) == 1
    assert "MEMORIES_LIMITER" in caplog.text
    with pytest.raises((ValueError, NotImplementedError)):
        parse_limiter("file")


def test_a_client_without_settings_keeps_one_rate_with_other_processes():
    """Two processes, nothing configured: the second call of the two waits for its tick."""
    programs = [
        subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, check=True, text=True)
        for _ in range(2)
    ]
    first, second = (float(program.stdout) for program in programs)

    assert second - first >= 2.0


PROGRAM = """
import asyncio, time
from memories_async import Client, Limit
from memories_async.limiter import Bucket

async def main():
    where = Bucket(account="a", family="search", limit=Limit(1, per=2.0))
    async with Client(api_key="k")._settings.limiter.permit(where):
        print(time.monotonic())

asyncio.run(main())
"""


@pytest.mark.parametrize("form", ["file:{}", "file://{}"])
def test_a_file_is_named_by_its_path(form, tmp_path):
    """As a path or as a URL; every client uses the same worker."""
    path = tmp_path / "account.limiter"
    limiter = parse_limiter(form.format(path))

    assert isinstance(limiter, FileLimiter)
    assert limiter.path == str(path)
    other = parse_limiter(form.format(path))
    assert other._worker is limiter._worker


def test_a_redis_server_is_named_by_its_url():
    """Nothing is connected yet."""
    pytest.importorskip("redis")
    assert isinstance(parse_limiter("redis://127.0.0.1:1/0"), RedisLimiter)


@pytest.mark.parametrize("value", ["postgres://:geheim@x/y", "fast"])
def test_anything_else_is_refused(value):
    """The message names the variable, and no password."""
    with pytest.raises(ValueError, match="MEMORIES_LIMITER") as caught:
        parse_limiter(value)
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
