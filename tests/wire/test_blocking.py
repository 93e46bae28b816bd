"""The blocking client where legacy code uses it: in loops, threads, scripts and under Ctrl-C."""

from __future__ import annotations

import asyncio
import gc
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from attrs import evolve
from callers import HASTY, settings
from samples import FOUND, KEY, embed_call, search_call
from servers import answer, serving, silent

from memories_async import Embedding, blocking
from memories_async.errors import InvalidRequest

ROOT = Path(__file__).parents[2]
PATIENT = evolve(HASTY, timeout=60.0, deadline=60.0)


async def test_it_has_the_same_methods_without_await():
    """Built from the same descriptions."""
    embedded = {"code": 200, "data": {"embedding": [1.0]}}
    async with serving(answer(FOUND), answer(embedded)) as server:

        def work():
            with blocking.Client(**settings(server.url)) as one:
                found = one.clips.search(b"BM x", prompt="x", video_no="VI1")
                return found[0].score, one.embeddings.video("re_1")

        score, embedding = await asyncio.to_thread(work)
    assert (score, embedding) == (0.8631, Embedding([1.0], model="multimodalembedding@001"))


async def test_it_works_inside_a_running_loop():
    """As in a notebook: the server here is on that very loop, so it must be another thread's."""
    with aside(answer(FOUND)) as url, blocking.Client(**settings(url)) as one:
        assert one.send(search_call())


class aside:  # noqa: N801  # used like a function
    """A raw server on a thread of its own."""

    def __init__(self, *script):
        self.server = serving(*script)
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)

    def run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(10)

    def __enter__(self):
        self.thread.start()
        return self.run(self.server.__aenter__()).url

    def __exit__(self, *_):
        self.run(self.server.__aexit__())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


def test_ten_threads_share_one_client():
    """One request for each call, and one loop thread for all."""
    with aside(answer(FOUND)) as url, blocking.Client(**settings(url)) as one:
        found, loops = [], set()

        def work():
            found.extend(one.send(search_call()) for _ in range(5))
            loops.add(one._thread._current.running.thread)

        threads = [threading.Thread(target=work) for _ in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert len(found) == 50
    assert len(loops) == 1


def test_it_opens_nothing_before_the_first_call_and_leaves_nothing_behind():
    """No thread, no socket."""
    before = {*threading.enumerate()}
    one = blocking.Client(**settings("http://localhost:1"))
    one.close()
    assert {*threading.enumerate()} <= before
    with aside(answer(FOUND)) as url, blocking.Client(**settings(url)) as one:
        assert one.send(search_call())
        one.close()
        one.close()
        assert one.send(search_call())
    assert {*threading.enumerate()} <= before


def test_errors_come_as_they_are():
    """With their facts, and a traceback that ends at the caller."""
    refused = {"code": "0003", "msg": "The prompt parameter cannot be empty!"}
    with aside(answer(refused)) as url:
        one = blocking.Client(**settings(url))
        with one, pytest.raises(InvalidRequest, match="prompt parameter") as caught:
            one.send(search_call())

    assert (caught.value.call, caught.value.attempts) == ("clips.search", 1)


def test_a_copy_with_another_policy_shares_the_thread():
    """Closing either client closes the connections of both."""
    with aside(answer(FOUND)) as url:
        one = blocking.Client(**settings(url))
        one.send(search_call())
        twin = one.with_policy(attempts=1)
        assert twin.send(search_call())
        assert twin._thread is one._thread
        twin.close()
        assert not one._thread.is_running()


def test_a_client_may_be_closed_twice_and_used_again():
    """As the asynchronous one: closing closes what is open, and a call opens what it needs."""
    with aside(answer(FOUND), answer(FOUND)) as url:
        one = blocking.Client(**settings(url))
        one.close()
        assert one.send(search_call())
        one.close()
        one.close()
        assert one.send(search_call())
        one.close()
        assert not one._thread.is_running()


def test_a_call_from_its_own_loop_is_refused_instead_of_hanging():
    """An observer that calls back would wait for itself."""
    seen = []

    def observe(event):
        try:
            one.send(embed_call())
        except RuntimeError as error:
            seen.append(str(error))

    with aside(answer(FOUND)) as url:
        one = blocking.Client(**settings(url, observers=[observe]))
        with one:
            one.send(search_call())

    assert "would block the very loop" in seen[0]


SCRIPT = f"""
import sys
sys.path.insert(0, {str(ROOT / "tests/helpers")!r})
from callers import settings, HASTY
from samples import *
from attrs import evolve
from memories_async import blocking
policy = evolve(HASTY, timeout=60.0, deadline=60.0)
one = blocking.Client(**settings(sys.argv[1], policy=policy))
"""


def script(url, rest, **popen):
    """Start a script that has a client for *url*."""
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", SCRIPT + rest, url],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **popen,
    )


async def test_ctrl_c_cancels_the_call():
    """The connection is closed at once, so nothing more can be spent on it; exit as Ctrl-C does."""
    closed = asyncio.Event()

    async def notice(exchange):
        await exchange.receive()
        await exchange.reader.read()
        closed.set()

    rest = "try:\n    one.send(search_call())\nexcept KeyboardInterrupt:\n"
    rest += "    print('interrupted', flush=True)\n    import time; time.sleep(60)"
    async with serving(notice) as server:
        process = script(server.url, rest)
        await server.saw(1)
        process.send_signal(signal.SIGINT)
        await asyncio.wait_for(closed.wait(), 20)
        # The loop may close the connection before the other thread is woken, and says so.
        said = await asyncio.to_thread(process.stdout.readline)
        assert process.poll() is None
        process.kill()
        await asyncio.to_thread(process.communicate)

        assert server.requests == 1
    assert said.strip() == b"interrupted"


async def test_a_script_that_forgets_to_close_still_ends():
    """Neither hanging nor complaining, in silence and after an error."""
    for rest, status in (("one.send(search_call())", 0), ("one.send(search_call()); 1 / 0", 1)):
        async with serving(answer(FOUND)) as server:
            process = script(server.url, rest)
            begun = time.monotonic()
            _, err = await asyncio.to_thread(process.communicate, timeout=30)

            assert server.requests == 1
        assert process.returncode == status, err
        assert b"Unclosed" not in err
        assert time.monotonic() - begun < 20


def test_a_client_that_nobody_holds_any_more_ends_its_thread():
    """Wherever the collector finds it."""
    before = {*threading.enumerate()}
    with aside(answer(FOUND)) as url:
        blocking.Client(**settings(url)).send(search_call())
        gc.collect()

    assert {*threading.enumerate()} <= before


async def test_a_script_killed_in_a_call_leaves_one_request():
    """No request is repeated without the caller."""
    async with serving(silent) as server:
        process = script(server.url, "one.send(search_call())")
        await server.saw(1)
        process.kill()
        await asyncio.to_thread(process.communicate)

        assert server.requests == 1
    assert KEY not in " ".join(process.args)
