"""A waiter is woken by whichever process stores the callback, and no wait is without an end."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
from callbacks import SUBMISSION, TASK, FakeSend, deliver, failure, lose_reply, success

from memories_async import CallbackTimeout, CaptionFailed, OutcomeUnknown
from memories_async._database.file import DatabaseFailed
from memories_async.receiver import _waiters

URL = "https://public.example/memories"


async def test_a_waiting_task_wakes_when_its_callback_is_stored(receiver) -> None:
    """In the same process the callback wakes the waiter directly."""
    send = FakeSend()
    task = await receiver.submit(SUBMISSION, send)
    wait = asyncio.create_task(receiver.wait(task))
    await asyncio.sleep(0.01)

    assert await deliver(receiver, send.url, success("Awake.")) == 200
    assert (await wait).text == "Awake."


async def test_a_waiter_in_another_process_is_woken(receiver, other) -> None:
    """It reads news, and stops reading them when the last waiter has left."""
    send = FakeSend()
    task = await receiver.submit(SUBMISSION, send)
    waits = [asyncio.create_task(other.wait(task)) for _ in range(3)]
    await asyncio.sleep(0.1)

    await deliver(receiver, send.url, success())
    since = time.monotonic()
    await asyncio.gather(*waits)

    # The benchmark measures the promise of 250 ms; this only tells reading news from a timeout.
    assert time.monotonic() - since < 5.0
    assert not other._open().waiters._watchers, "news are read only while somebody waits"


async def test_only_a_call_with_a_callback_can_be_waited_for(receiver) -> None:
    """The error of another call, and an empty text, are refused."""
    with pytest.raises(ValueError, match="no callback"):
        await receiver.wait(OutcomeUnknown("x"))
    with pytest.raises(ValueError, match="str"):
        await receiver.wait("")


async def test_a_failure_callback_raises_for_the_waiter(receiver) -> None:
    """The error names the call and the service's reason."""
    send = FakeSend()
    task = await receiver.submit(SUBMISSION, send)
    wait = asyncio.create_task(receiver.wait(task))
    await asyncio.sleep(0.01)
    await deliver(receiver, send.url, failure(msg="too dark"))

    with pytest.raises(CaptionFailed, match=r"captions\.upload: captioning failed: too dark"):
        await wait


async def test_a_timeout_says_how_to_resume(receiver) -> None:
    """The error names the task, the store and the call to make; a late callback is stored."""
    send = FakeSend()
    task = await receiver.submit(SUBMISSION, send)

    with pytest.raises(CallbackTimeout) as caught:
        await receiver.wait(task, timeout=0.01)
    assert f"receiver.wait('{task}')" in str(caught.value)
    assert str(receiver.store) in str(caught.value)
    assert caught.value.billed == "maybe"

    await deliver(receiver, send.url, success("Late."))
    assert (await receiver.wait(task, timeout=0)).text == "Late."


async def test_a_timeout_says_that_the_task_is_unknown(receiver) -> None:
    """For a task of another store, and for a submission whose reply was lost."""
    with pytest.raises(CallbackTimeout, match="does not know it"):
        await receiver.wait("some-task", timeout=0)
    _, error = await lose_reply(receiver)
    with pytest.raises(CallbackTimeout, match=r"reply was lost.*receiver\.wait\(error\)"):
        await receiver.wait(error, timeout=0)


async def test_a_cancelled_wait_leaves_nothing_behind(receiver) -> None:
    """Other waiters of the same task go on."""
    send = FakeSend()
    task = await receiver.submit(SUBMISSION, send)
    cancelled, other = (asyncio.create_task(receiver.wait(task)) for _ in range(2))
    await asyncio.sleep(0.02)

    cancelled.cancel()
    await deliver(receiver, send.url, success())
    await other
    await asyncio.gather(cancelled, return_exceptions=True)

    assert not receiver._open().waiters._waiters
    assert not receiver._open().waiters._watchers


async def test_a_waiter_on_another_loop_is_woken(receiver) -> None:
    """It waits in a thread with a loop of its own."""
    send = FakeSend()
    task = await receiver.submit(SUBMISSION, send)
    texts = []
    thread = threading.Thread(
        target=lambda: texts.append(asyncio.run(receiver.wait(task, timeout=5)).text)
    )
    thread.start()
    while not receiver._open().waiters._waiters:  # noqa: ASYNC110  # a thread fills it
        await asyncio.sleep(0.002)

    await deliver(receiver, send.url, success())
    await asyncio.to_thread(thread.join)
    assert texts == ["A man enters."]


async def test_a_waiter_of_a_closed_loop_is_ignored(receiver) -> None:
    """It does not keep other waiters from being woken."""
    loop = asyncio.new_event_loop()
    waiter = _waiters._Waiter(loop, loop.create_future(), lambda _: True)
    loop.close()
    send = FakeSend()
    task = await receiver.submit(SUBMISSION, send)
    receiver._open().waiters._waiters[TASK.task_id] = [waiter]

    assert await deliver(receiver, send.url, success()) == 200
    assert (await receiver.wait(task)).text == "A man enters."


async def test_a_store_that_fails_during_a_wait_ends_the_wait(receiver, monkeypatch) -> None:
    """The waiter gets the store's error; the next wait reads the store again."""
    send = FakeSend()
    task = await receiver.submit(SUBMISSION, send)
    service = receiver._open()

    async def news(since):
        if since is not None:
            raise DatabaseFailed("the disk is gone")
        return 1, ()

    monkeypatch.setattr(type(service.store), "read_news", lambda _, since: news(since))
    monkeypatch.setattr(_waiters, "NEWS_INTERVAL", 0.001)
    with pytest.raises(DatabaseFailed):
        await receiver.wait(task, timeout=5)

    monkeypatch.undo()
    await deliver(receiver, send.url, success())
    assert (await receiver.wait(task, timeout=5)).text == "A man enters."


async def test_a_waiter_is_woken_once(receiver) -> None:
    """By the first of callback, news and failure; what comes later changes nothing."""
    send = FakeSend()
    await receiver.submit(SUBMISSION, send)
    await deliver(receiver, send.url, success())
    service = receiver._open()
    record = await service.store.find(TASK.task_id)

    async with service.waiters.expect(TASK.task_id, lambda _: True) as coming:
        service.waiters.notify(record)
        service.waiters.notify(record)
        loop = asyncio.get_running_loop()
        service.waiters._fail(
            loop, service.waiters._watchers[loop], DatabaseFailed("the disk is gone")
        )

        assert coming.result() is record


async def test_a_store_that_cannot_be_read_fails_the_wait(receiver, monkeypatch) -> None:
    """The first reading of news raises the error."""
    service = receiver._open()

    async def broken(_, since):
        raise DatabaseFailed("unreadable")

    monkeypatch.setattr(type(service.store), "read_news", broken)
    with pytest.raises(DatabaseFailed, match="unreadable"):
        await receiver.wait("t", timeout=5)
