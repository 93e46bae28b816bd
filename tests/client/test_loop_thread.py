"""The thread behind the blocking client: it answers, can be interrupted, and ends."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import inspect
import signal
import subprocess
import sys
import threading
from concurrent.futures import CancelledError, ThreadPoolExecutor

import pytest

from memories_async._client.loop_thread import LoopThread, ThreadCall
from memories_async.errors import NotSent, OutcomeUnknown


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


def test_an_interrupted_wait_tells_what_the_call_had_cost(thread):
    """The note of the cancelled call is on the interruption, too."""
    here = threading.get_ident()

    async def call():
        signal.pthread_kill(here, signal.SIGINT)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as cancelled:
            cancelled.add_note("it had been sent")
            raise

    thread.wait(ident())
    with pytest.raises(KeyboardInterrupt) as caught:
        thread.wait(call())

    assert caught.value.__notes__ == ["it had been sent"]


def test_an_answer_that_an_interruption_drops_is_told(thread):
    """The call was paid, and nobody sees its answer."""
    here = threading.get_ident()

    async def call():
        signal.pthread_kill(here, signal.SIGINT)
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return "answer"

    thread.wait(ident())
    with pytest.raises(KeyboardInterrupt) as caught:
        thread.wait(call())

    assert "its answer was dropped" in caught.value.__notes__[0]


def test_a_wait_that_is_interrupted_at_once_has_nothing_to_cancel():
    """Ctrl-C may come before the loop heard of the call."""
    coroutine = ident()
    call = ThreadCall(coroutine, None)

    call._cancel_task()
    coroutine.close()

    assert call.task is None


def test_a_thread_that_cannot_start_is_an_error_and_no_wait(thread, monkeypatch):
    """No thread, no descriptor, or a loop that runs already (gevent): nothing was sent."""
    monkeypatch.setattr(asyncio.Runner, "run", fail_to_run)

    with pytest.raises(NotSent, match="cannot start: no more descriptors"):
        thread.wait(ident())
    monkeypatch.undo()
    assert thread.wait(ident())


def fail_to_run(*_):
    """Stand in for `asyncio.Runner.run` where the process has no descriptors left."""
    raise OSError("no more descriptors")


def test_a_thread_that_the_system_refuses_is_an_error(thread, monkeypatch):
    """As at the end of the interpreter."""

    def start(_):
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(NotSent, match="cannot start: can't create new thread"):
        thread.wait(ident())


def test_a_loop_that_dies_fails_the_calls_that_wait_for_it(thread):
    """Code in another task may exit; nobody waits for a loop that has ended."""

    async def call():
        task = asyncio.create_task(leave())
        await asyncio.Event().wait()
        task.cancel()

    async def leave():
        sys.exit("bad row in the input")

    with pytest.raises((OutcomeUnknown, CancelledError)):
        thread.wait(call())
    assert thread.wait(ident())


def test_a_call_gets_another_loop_where_the_first_is_ending(thread):
    """A loop that still cancels its tasks accepts a call and never runs it."""
    is_cancelled, may_end = threading.Event(), threading.Event()

    async def call():
        task = asyncio.create_task(leave())
        try:
            await asyncio.Event().wait()
        finally:
            task.cancel()
            is_cancelled.set()
            may_end.wait(5)

    async def leave():
        sys.exit("bad row in the input")

    with ThreadPoolExecutor(1) as pool:
        ending = pool.submit(thread.wait, call())
        is_cancelled.wait(5)
        assert thread.wait(ident())
        may_end.set()
        with pytest.raises((OutcomeUnknown, CancelledError)):
            ending.result(5)


def test_a_call_that_its_loop_never_began_was_not_sent():
    """The loop may end between two calls."""
    coroutine, loop = ident(), asyncio.new_event_loop()
    loop.close()
    with pytest.raises(NotSent, match="event loop has ended"):
        ThreadCall(coroutine, loop).wait()
    assert inspect.getcoroutinestate(coroutine) == inspect.CORO_CLOSED


def test_a_call_that_its_loop_left_behind_has_an_unknown_outcome():
    """It had begun, and perhaps sent its request."""
    coroutine = ident()
    call = ThreadCall(coroutine, None, has_begun=True)
    call._under_way.acquire()
    call.fail(SystemExit("bad row"))
    call.fail(SystemExit("again"))

    assert isinstance(call.error, OutcomeUnknown)
    assert "SystemExit('bad row')" in str(call.error)
    call.join()


EXIT = """
import atexit, sys
from memories_async._client.loop_thread import LoopThread
async def answer(): return 42
def bye(): print(thread.wait(answer()), flush=True)
"""
BEFORE = "atexit.register(bye); thread = LoopThread()"
AFTER = "thread = LoopThread(); atexit.register(bye)"


@pytest.mark.parametrize("order", [BEFORE, AFTER])
@pytest.mark.parametrize("use", ["", "; thread.wait(answer())"])
def test_an_exit_handler_gets_its_answer_and_the_process_ends(order, use):
    """Also where it is the first use, or where the loop was ended before."""
    found = subprocess.run(
        [sys.executable, "-W", "error", "-c", EXIT + order + use],
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )

    if sys.version_info >= (3, 12) and not found.stdout:
        # From 3.12 on, no thread starts any more when exit handlers run: the call was not sent.
        assert "can't create new thread at interpreter shutdown (billed: no)" in found.stderr
        assert found.returncode == 0
        return
    assert (found.returncode, found.stdout, found.stderr) == (0, "42\n", "")


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
    running = thread._current.running

    async def end():
        running.end(None)

    thread.wait(end())
    running.thread.join(10)
    running.end(None)

    assert not running.thread.is_alive()
