"""The thread behind the blocking client: it answers, can be interrupted, and ends."""

from __future__ import annotations

import asyncio
import contextvars
import signal
import threading
from concurrent.futures import CancelledError, ThreadPoolExecutor

import pytest

from memories_async._client.loop_thread import LoopThread, ThreadCall


@pytest.fixture
def thread():
    made = LoopThread()
    yield made
    made.stop()


async def ident():
    return threading.get_ident()


def test_calls_of_many_threads_run_on_one_loop(thread):
    """Whoever calls, the loop is the same, and it is nobody's own thread."""
    with ThreadPoolExecutor(4) as pool:
        seen = {*pool.map(lambda _: thread.wait(ident()), range(8))}

    assert len(seen) == 1
    assert threading.get_ident() not in seen


def test_an_error_comes_to_the_caller(thread):
    """What the coroutine raises is raised by the wait, and the thread lives on."""

    async def fail():
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        thread.wait(fail())

    assert thread.wait(ident())


def test_the_callers_context_travels(thread):
    """Context variables, such as a trace's, are seen by the coroutine."""
    trace = contextvars.ContextVar("trace")
    trace.set("abc")

    async def read():
        return trace.get()

    assert thread.wait(read()) == "abc"


def test_an_interrupted_wait_cancels_the_call(thread):
    """Ctrl-C does not leave a call running on the bill."""
    cancelled, here = threading.Event(), threading.get_ident()

    async def call():
        signal.pthread_kill(here, signal.SIGINT)
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    thread.wait(ident())
    with pytest.raises(KeyboardInterrupt):
        thread.wait(call())

    assert cancelled.wait(5)


def test_a_wait_that_is_interrupted_at_once_has_nothing_to_cancel():
    """Ctrl-C may come before the loop heard of the call."""
    coroutine = ident()
    call = ThreadCall(coroutine, None)

    call._cancel()
    coroutine.close()

    assert call.task is None


def test_a_call_from_its_own_loop_is_refused(thread):
    """It could never be answered, so it says so instead of hanging."""

    async def call():
        thread.wait(ident())

    with pytest.raises(RuntimeError, match="block the very loop"):
        thread.wait(call())


def test_stopping_lets_calls_under_way_end():
    """Another thread's call gets its answer before the loop goes."""
    thread, begun = LoopThread(), threading.Event()

    async def call():
        begun.set()
        await asyncio.sleep(0.02)
        return "answer"

    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(thread.wait, call())
        begun.wait(5)
        thread.stop()

        assert answer.result(5) == "answer"


def test_a_call_that_is_cancelled_says_so(thread):
    """A coroutine cancelled in the loop ends the wait."""

    async def call():
        asyncio.current_task().cancel()
        await asyncio.sleep(1)

    with pytest.raises(CancelledError):
        thread.wait(call())


def test_it_starts_again_after_it_was_stopped():
    """Stopping twice is fine, and so is a call afterwards."""
    thread = LoopThread()
    thread.wait(ident())
    thread.stop()
    thread.stop()

    assert not thread.is_running()
    assert thread.wait(ident())
    assert thread.is_running()
    thread.stop()


def test_ending_a_thread_twice_or_from_within_is_harmless(thread):
    """The collector may find an abandoned client anywhere, also on the loop's own thread."""
    thread.wait(ident())
    running = thread._running

    async def end():
        running.end()

    thread.wait(end())
    running.thread.join(10)
    running.end()

    assert not running.thread.is_alive()
