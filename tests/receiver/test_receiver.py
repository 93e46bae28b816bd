"""The receiver: submissions with a callback of their own, awaited in whatever order things come."""

from __future__ import annotations

import asyncio
import pickle
import threading
import time

import pytest
from callbacks import SUBMISSION, TASK, Submitted, failure, hand_in, success

from memories_async import CallbackTimeout, CaptionFailed, CaptionTask, OutcomeUnknown, Receiver
from memories_async._journal_file import JournalFailed
from memories_async.errors import Refused
from memories_async.receiver import MemoryStore, waiting

URL = "https://public.example/memories"


async def lost(receiver, send=None) -> tuple[Submitted, OutcomeUnknown]:
    send = send or Submitted(None)
    with pytest.raises(OutcomeUnknown) as caught:
        await receiver.submit(SUBMISSION, send)
    return send, caught.value


async def test_the_token_is_stored_before_the_submission_is_sent(receiver, other) -> None:
    """By the time the service knows a callback, every process would accept it."""

    async def check(url):
        assert url.startswith(f"{URL}/")
        assert await hand_in(other, url, success()) == 200

    task = await receiver.submit(SUBMISSION, Submitted(before_reply=check))

    assert (await receiver.wait(task)).text == "A man enters."


async def test_every_submission_has_a_token_of_its_own(receiver) -> None:
    """A replayed body of one task is not found under another."""
    first, second = Submitted(CaptionTask("t1")), Submitted(CaptionTask("t2"))
    await receiver.submit(SUBMISSION, first)
    await receiver.submit(SUBMISSION, second)

    assert first.url != second.url
    assert await hand_in(receiver, second.url, success(task_id="t1")) == 404
    assert await hand_in(receiver, second.url, success(task_id="t2")) == 200


async def test_a_waiting_task_wakes_when_its_callback_is_stored(receiver) -> None:
    """In one process nobody has to look: the delivery wakes the waiter."""
    send = Submitted()
    task = await receiver.submit(SUBMISSION, send)
    wait = asyncio.create_task(receiver.wait(task))
    await asyncio.sleep(0.01)

    assert await hand_in(receiver, send.url, success("Awake.")) == 200
    assert (await wait).text == "Awake."


async def test_a_waiter_elsewhere_wakes_soon(receiver, other) -> None:
    """Another process's delivery is seen within a quarter of a second."""
    send = Submitted()
    task = await receiver.submit(SUBMISSION, send)
    waits = [asyncio.create_task(other.wait(task)) for _ in range(3)]
    await asyncio.sleep(0.1)

    await hand_in(receiver, send.url, success())
    since = time.monotonic()
    await asyncio.gather(*waits)

    # Far from the promise of 250 ms, which the benchmark measures: a slow machine may be slow.
    assert time.monotonic() - since < 5.0
    assert not other._open().waiting._watches, "the look-out ends with the last waiter"


async def test_a_wait_survives_a_restart(receiver, path) -> None:
    """Submitted here, delivered there, awaited tomorrow by its text alone."""
    send = Submitted()
    text = str(await receiver.submit(SUBMISSION, send))
    receiver.close()

    tomorrow = Receiver(URL, store=path)
    assert await hand_in(tomorrow, send.url, success("Kept.")) == 200
    assert (await tomorrow.wait(text)).text == "Kept."
    assert (await tomorrow.wait(CaptionTask.parse(text))).text == "Kept."
    tomorrow.close()


async def test_a_lost_reply_is_made_good_by_the_callback(receiver, other) -> None:
    """The error of the lost submission is waited for like a task, in any process."""
    send, error = await lost(receiver)
    assert await hand_in(receiver, send.url, success("Accepted after all.")) == 200

    assert (await receiver.wait(error)).text == "Accepted after all."
    assert (await other.wait(pickle.loads(pickle.dumps(error)))).text == "Accepted after all."
    assert (await other.wait(TASK)).text == "Accepted after all."


async def test_only_submissions_with_a_callback_of_ours_can_be_waited_for(receiver) -> None:
    """An error of another call has nothing to wait for."""
    with pytest.raises(ValueError, match="no callback"):
        await receiver.wait(OutcomeUnknown("x"))
    with pytest.raises(ValueError, match="str"):
        await receiver.wait("")


async def test_a_refused_submission_stays_refused(receiver) -> None:
    """What the service refused is raised as it is."""

    async def refuse(call):
        raise Refused("no")

    with pytest.raises(Refused):
        await receiver.submit(SUBMISSION, refuse)


async def test_the_first_delivery_counts_and_repetitions_change_nothing(receiver, path) -> None:
    """Duplicates, days apart or after a restart, are accepted without effect."""
    send = Submitted()
    task = await receiver.submit(SUBMISSION, send)
    for _ in range(2):
        assert await hand_in(receiver, send.url, success("First.")) == 200
    receiver.close()

    again = Receiver(URL, store=path)
    assert await hand_in(again, send.url, success("First.")) == 200
    assert (await again.wait(task)).text == "First."
    assert len(await again.deliveries(task)) == 1
    again.close()


@pytest.mark.parametrize("second", [success("Second."), failure()])
async def test_a_conflicting_delivery_is_recorded_and_changes_nothing(
    receiver, second, caplog
) -> None:
    """Another text, or a failure after a success: accepted, kept, logged, without effect."""
    send = Submitted()
    task = await receiver.submit(SUBMISSION, send)
    await hand_in(receiver, send.url, success("First."))

    assert await hand_in(receiver, send.url, second) == 200

    assert (await receiver.wait(task)).text == "First."
    assert len(await receiver.deliveries(task)) == 2
    assert "different callback" in caplog.text


async def test_a_failure_raises(receiver) -> None:
    """A task that failed says so to everybody who waits."""
    send = Submitted()
    task = await receiver.submit(SUBMISSION, send)
    wait = asyncio.create_task(receiver.wait(task))
    await asyncio.sleep(0.01)
    await hand_in(receiver, send.url, failure(msg="too dark"))

    with pytest.raises(CaptionFailed, match=r"captions\.upload: captioning failed: too dark"):
        await wait


async def test_no_callback_in_time_says_how_to_resume(receiver, path) -> None:
    """The error names the task, the file, and the words to go on with; the late one is kept."""
    send = Submitted()
    task = await receiver.submit(SUBMISSION, send)

    with pytest.raises(CallbackTimeout) as caught:
        await receiver.wait(task, timeout=0.01)
    assert f"receiver.wait('{task}')" in str(caught.value)
    assert str(path) in str(caught.value)
    assert caught.value.billed == "maybe"

    await hand_in(receiver, send.url, success("Late."))
    assert (await receiver.wait(task, timeout=0)).text == "Late."


async def test_waiting_in_vain_for_what_is_unknown_says_that_it_is(receiver) -> None:
    """A task of another store, and a submission whose reply was lost."""
    with pytest.raises(CallbackTimeout, match="does not know it"):
        await receiver.wait("some-task", timeout=0)
    _, error = await lost(receiver)
    with pytest.raises(CallbackTimeout, match=r"reply was lost.*receiver\.wait\(error\)"):
        await receiver.wait(error, timeout=0)


async def test_a_given_up_wait_leaves_nothing_behind(receiver) -> None:
    """A cancelled waiter is forgotten; others go on."""
    send = Submitted()
    task = await receiver.submit(SUBMISSION, send)
    given_up, patient = (asyncio.create_task(receiver.wait(task)) for _ in range(2))
    await asyncio.sleep(0.02)

    given_up.cancel()
    await hand_in(receiver, send.url, success())
    await patient
    await asyncio.gather(given_up, return_exceptions=True)

    assert not receiver._open().waiting._places
    assert not receiver._open().waiting._watches


async def test_another_loop_of_this_process_is_woken(receiver) -> None:
    """A waiter in a thread with a loop of its own hears of the delivery at once."""
    send = Submitted()
    task = await receiver.submit(SUBMISSION, send)
    texts = []
    thread = threading.Thread(
        target=lambda: texts.append(asyncio.run(receiver.wait(task, timeout=5)).text)
    )
    thread.start()
    while not receiver._open().waiting._places:  # noqa: ASYNC110  # a thread fills it
        await asyncio.sleep(0.002)

    await hand_in(receiver, send.url, success())
    await asyncio.to_thread(thread.join)
    assert texts == ["A man enters."]


async def test_a_loop_that_is_gone_stops_nobody(receiver) -> None:
    """A place kept by a closed loop is passed over."""
    loop = asyncio.new_event_loop()
    place = (loop, loop.create_future())
    loop.close()
    send = Submitted()
    task = await receiver.submit(SUBMISSION, send)
    receiver._open().waiting._places[TASK.task_id] = [place]

    assert await hand_in(receiver, send.url, success()) == 200
    assert (await receiver.wait(task)).text == "A man enters."


async def test_a_store_that_fails_while_waiting_wakes_the_waiter(receiver, monkeypatch) -> None:
    """Nobody waits for what could never be seen; and the next wait looks anew."""
    send = Submitted()
    task = await receiver.submit(SUBMISSION, send)
    desk = receiver._open()

    async def news(since):
        if since is not None:
            raise JournalFailed("the disk is gone")
        return 1, ()

    monkeypatch.setattr(type(desk.store), "news", lambda _, since: news(since))
    monkeypatch.setattr(waiting, "PAUSE", 0.001)
    with pytest.raises(JournalFailed):
        await receiver.wait(task, timeout=5)

    monkeypatch.undo()
    await hand_in(receiver, send.url, success())
    assert (await receiver.wait(task, timeout=5)).text == "A man enters."


async def test_a_waiter_is_woken_once(receiver) -> None:
    """By the first that knows: the delivery, the look-out, or the end of both."""
    send = Submitted()
    await receiver.submit(SUBMISSION, send)
    await hand_in(receiver, send.url, success())
    desk = receiver._open()
    record = await desk.store.find(TASK.task_id)

    async with desk.waiting.expecting(TASK.task_id) as coming:
        desk.waiting.tell(record)
        desk.waiting.tell(record)
        loop = asyncio.get_running_loop()
        desk.waiting._fail(loop, desk.waiting._watches[loop], JournalFailed("the disk is gone"))

        assert coming.result() is record


async def test_a_store_that_fails_at_once_fails_the_wait(receiver, monkeypatch) -> None:
    """A file that cannot be read is an error at the first look."""
    desk = receiver._open()

    async def broken(_, since):
        raise JournalFailed("unreadable")

    monkeypatch.setattr(type(desk.store), "news", broken)
    with pytest.raises(JournalFailed, match="unreadable"):
        await receiver.wait("t", timeout=5)


async def test_what_cannot_be_stored_is_not_acknowledged(receiver, monkeypatch, caplog) -> None:
    """The sender hears "come again"; once the disk has room, the repetition lands."""
    send = Submitted()
    task = await receiver.submit(SUBMISSION, send)
    store = receiver._open().store

    async def full(*_, **__):
        raise JournalFailed("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(type(store), "deliver", full)
        assert await hand_in(receiver, send.url, success()) == 503
    assert "not acknowledged" in caplog.text

    assert await hand_in(receiver, send.url, success()) == 200
    assert (await receiver.wait(task)).text == "A man enters."


async def test_a_store_that_cannot_be_opened_answers_come_again(tmp_path) -> None:
    """A receiver without its secret knows no token, so it asks for patience."""
    receiver = Receiver(URL, store=tmp_path / "missing" / "x.db")

    assert await hand_in(receiver, f"{URL}/x", success()) == 503


async def test_a_task_that_cannot_be_noted_is_still_returned(receiver, monkeypatch, caplog) -> None:
    """It is paid for: the callback will name it."""

    async def full(*_, **__):
        raise JournalFailed("the disk is full")

    send = Submitted()
    with monkeypatch.context() as broken:
        broken.setattr(type(receiver._open().store), "bind", full)
        task = await receiver.submit(SUBMISSION, send)
    assert "could not be noted" in caplog.text

    await hand_in(receiver, send.url, success())
    assert (await receiver.wait(task)).text == "A man enters."


async def test_without_room_the_answer_is_come_again(receiver) -> None:
    """Beyond what is being received already nothing is read."""
    send = Submitted()
    await receiver.submit(SUBMISSION, send)
    room = receiver._open().room

    room.requests = 0
    assert await hand_in(receiver, send.url, success()) == 503
    room.requests = 1
    assert await hand_in(receiver, send.url, success()) == 200


async def test_a_secret_of_ones_own_keeps_others_out(path) -> None:
    """Receivers with one secret know each other's tokens, others do not."""
    mine, twin = (Receiver(URL, store=path, secret="my own secret!!!") for _ in range(2))
    stranger = Receiver(URL, store=path)
    send = Submitted()
    await mine.submit(SUBMISSION, send)

    assert await hand_in(stranger, send.url, success()) == 404
    assert await hand_in(twin, send.url, success()) == 200
    for one in (mine, twin, stranger):
        one.close()


async def test_a_token_that_this_store_never_issued_is_refused(path, tmp_path) -> None:
    """Signed with the right secret, and still unknown: the file was another one."""
    one, other = (
        Receiver(URL, store=file, secret="my own secret!!!") for file in (path, tmp_path / "b.db")
    )
    send = Submitted()
    await one.submit(SUBMISSION, send)

    assert await hand_in(other, send.url, success()) == 404
    one.close()
    other.close()


@pytest.mark.parametrize(
    "url", ["", "x.example/cb", "ftp://x.example", "https://x.example/?a=1", "https://x.example/#a"]
)
def test_a_public_url_is_checked_at_once(url) -> None:
    """A URL that could not be called back is refused when the receiver is made."""
    with pytest.raises(ValueError, match="public_url"):
        Receiver(url)


async def test_port_0_stands_for_the_port_that_is_served() -> None:
    """On one machine nobody has to choose a port; before serving there is none."""
    receiver = Receiver("http://127.0.0.1:0/cb/", store=MemoryStore())
    send = Submitted()
    with pytest.raises(ValueError, match="port 0"):
        await receiver.submit(SUBMISSION, send)

    async with receiver.serve() as address:
        await receiver.submit(SUBMISSION, send)

    assert send.url.startswith(f"{address.url}/cb/")


def test_a_receiver_works_with_one_ledger() -> None:
    """Entries of two ledgers would be taken for each other."""
    receiver = Receiver(URL, store=MemoryStore())

    receiver.beside("the ledger")
    receiver.beside("the ledger")
    with pytest.raises(ValueError, match="another ledger"):
        receiver.beside("another")


async def test_an_answer_that_is_no_task_is_passed_on() -> None:
    """The receiver binds tasks and leaves everything else alone."""
    receiver = Receiver(URL, store=MemoryStore())

    assert await receiver.submit(SUBMISSION, Submitted("something else")) == "something else"


async def test_a_receiver_pickles_as_its_settings(receiver, path) -> None:
    """It goes along with a client; a secret does not."""
    twin = pickle.loads(pickle.dumps(receiver))
    send = Submitted()
    await receiver.submit(SUBMISSION, send)

    assert await hand_in(twin, send.url, success()) == 200
    twin.close()
    secretive = Receiver(URL, secret="my own secret!!!")
    assert "secret!!!" not in repr(secretive)
    with pytest.raises(TypeError, match="does not pickle"):
        pickle.dumps(secretive)


@pytest.mark.parametrize("task_id", ["8e03-77", "a b", "../../etc/passwd", "\x1b[2J", "ü%41"])
def test_a_task_goes_through_text_and_back(task_id) -> None:
    """Its text is printable ASCII whatever the service calls a task."""
    text = str(CaptionTask(task_id))

    assert text.isascii()
    assert text.isprintable()
    assert " " not in text
    assert CaptionTask.parse(text) == CaptionTask(task_id)
