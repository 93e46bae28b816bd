"""The receiver: submissions with a callback of their own, awaited in whatever order things come."""

from __future__ import annotations

import pickle

import pytest
from callbacks import SUBMISSION, TASK, FakeSend, deliver, failure, lose_reply, success

from memories_async import CaptionTask, Receiver
from memories_async._database.file import DatabaseFailed
from memories_async.errors import Refused
from memories_async.ledger import Ledger
from memories_async.receiver import MemoryStore

URL = "https://public.example/memories"


async def test_the_token_is_stored_before_the_submission_is_sent(receiver, other) -> None:
    """By the time the service knows a callback, every process would accept it."""

    async def check(url):
        assert url.startswith(f"{URL}/")
        assert await deliver(other, url, success()) == 200

    task = await receiver.submit(SUBMISSION, FakeSend(before_reply=check))

    assert (await receiver.wait(task)).text == "A man enters."


async def test_every_submission_has_a_token_of_its_own(receiver) -> None:
    """A replayed body of one task is not found under another."""
    first, second = FakeSend(CaptionTask("t1")), FakeSend(CaptionTask("t2"))
    await receiver.submit(SUBMISSION, first)
    await receiver.submit(SUBMISSION, second)

    assert first.url != second.url
    assert await deliver(receiver, second.url, success(task_id="t1")) == 404
    assert await deliver(receiver, second.url, success(task_id="t2")) == 200


async def test_a_wait_survives_a_restart(receiver, path) -> None:
    """FakeSend here, delivered there, awaited tomorrow by its text alone."""
    send = FakeSend()
    text = str(await receiver.submit(SUBMISSION, send))
    receiver.close()

    tomorrow = Receiver(URL, store=path)
    assert await deliver(tomorrow, send.url, success("Kept.")) == 200
    assert (await tomorrow.wait(text)).text == "Kept."
    assert (await tomorrow.wait(CaptionTask.parse(text))).text == "Kept."
    tomorrow.close()


async def test_a_lost_reply_is_made_good_by_the_callback(receiver, other) -> None:
    """The error of the lost submission is waited for like a task, in any process."""
    send, error = await lose_reply(receiver)
    assert await deliver(receiver, send.url, success("Accepted after all.")) == 200

    assert (await receiver.wait(error)).text == "Accepted after all."
    assert (await other.wait(pickle.loads(pickle.dumps(error)))).text == "Accepted after all."
    assert (await other.wait(TASK)).text == "Accepted after all."


async def test_a_refused_submission_stays_refused(receiver) -> None:
    """What the service refused is raised as it is."""

    async def refuse(call):
        raise Refused("no")

    with pytest.raises(Refused):
        await receiver.submit(SUBMISSION, refuse)


async def test_the_first_delivery_counts_and_repetitions_change_nothing(receiver, path) -> None:
    """Duplicates, days apart or after a restart, are accepted without effect."""
    send = FakeSend()
    task = await receiver.submit(SUBMISSION, send)
    for _ in range(2):
        assert await deliver(receiver, send.url, success("First.")) == 200
    receiver.close()

    again = Receiver(URL, store=path)
    assert await deliver(again, send.url, success("First.")) == 200
    assert (await again.wait(task)).text == "First."
    assert len(await again.deliveries(task)) == 1
    again.close()


@pytest.mark.parametrize("second", [success("Second."), failure()])
async def test_a_conflicting_delivery_is_recorded_and_changes_nothing(
    receiver, second, caplog
) -> None:
    """Another text, or a failure after a success: accepted, kept, logged, without effect."""
    send = FakeSend()
    task = await receiver.submit(SUBMISSION, send)
    await deliver(receiver, send.url, success("First."))

    assert await deliver(receiver, send.url, second) == 200

    assert (await receiver.wait(task)).text == "First."
    assert len(await receiver.deliveries(task)) == 2
    assert "different callback" in caplog.text


async def test_what_cannot_be_stored_is_not_acknowledged(receiver, monkeypatch, caplog) -> None:
    """The sender hears "come again"; once the disk has room, the repetition lands."""
    send = FakeSend()
    task = await receiver.submit(SUBMISSION, send)
    store = receiver._open().store

    async def full(*_, **__):
        raise DatabaseFailed("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(type(store), "add_delivery", full)
        assert await deliver(receiver, send.url, success()) == 503
    assert "not acknowledged" in caplog.text

    assert await deliver(receiver, send.url, success()) == 200
    assert (await receiver.wait(task)).text == "A man enters."


async def test_a_store_that_cannot_be_opened_answers_come_again(tmp_path) -> None:
    """A receiver without its secret knows no token, so it asks for patience."""
    receiver = Receiver(URL, store=tmp_path / "missing" / "x.db")

    assert await deliver(receiver, f"{URL}/x", success()) == 503


async def test_a_task_that_cannot_be_stored_is_still_returned(
    receiver, monkeypatch, caplog
) -> None:
    """It is paid for: the callback will name it."""

    async def full(*_, **__):
        raise DatabaseFailed("the disk is full")

    send = FakeSend()
    with monkeypatch.context() as broken:
        broken.setattr(type(receiver._open().store), "set_task", full)
        task = await receiver.submit(SUBMISSION, send)
    assert "could not be stored beside" in caplog.text

    await deliver(receiver, send.url, success())
    assert (await receiver.wait(task)).text == "A man enters."


async def test_without_room_the_answer_is_come_again(receiver) -> None:
    """Beyond what is being received already nothing is read."""
    send = FakeSend()
    await receiver.submit(SUBMISSION, send)
    admission = receiver._open().admission

    admission.requests = 0
    assert await deliver(receiver, send.url, success()) == 503
    admission.requests = 1
    assert await deliver(receiver, send.url, success()) == 200


async def test_a_secret_of_ones_own_keeps_others_out(path) -> None:
    """Receivers with one secret know each other's tokens, others do not."""
    mine, twin = (Receiver(URL, store=path, secret="my own secret!!!") for _ in range(2))
    stranger = Receiver(URL, store=path)
    send = FakeSend()
    await mine.submit(SUBMISSION, send)

    assert await deliver(stranger, send.url, success()) == 404
    assert await deliver(twin, send.url, success()) == 200
    for one in (mine, twin, stranger):
        one.close()


async def test_a_token_that_this_store_never_issued_is_refused(path, tmp_path) -> None:
    """Signed with the right secret, and still unknown: the file was another one."""
    one, other = (
        Receiver(URL, store=file, secret="my own secret!!!") for file in (path, tmp_path / "b.db")
    )
    send = FakeSend()
    await one.submit(SUBMISSION, send)

    assert await deliver(other, send.url, success()) == 404
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
    send = FakeSend()
    with pytest.raises(ValueError, match="port 0"):
        await receiver.submit(SUBMISSION, send)

    async with receiver.serve() as address:
        await receiver.submit(SUBMISSION, send)

    assert send.url.startswith(f"{address.url}/cb/")
    with pytest.raises(ValueError, match="port 0"):
        await receiver.submit(SUBMISSION, send)


async def test_port_0_stands_for_a_port_that_is_still_served() -> None:
    """The one that was opened last, of those that are open."""
    receiver = Receiver("http://127.0.0.1:0", store=MemoryStore())
    send = FakeSend()
    async with receiver.serve() as first:
        async with receiver.serve() as second:
            await receiver.submit(SUBMISSION, send)
            assert send.url.startswith(f"{second.url}/")
        await receiver.submit(SUBMISSION, send)

    assert send.url.startswith(f"{first.url}/")


def test_a_receiver_that_would_accept_nothing_is_refused() -> None:
    """A caption would be paid and turned away."""
    with pytest.raises(ValueError, match="accept_for must be above 0 seconds, not 0"):
        Receiver(URL, accept_for=0)


def test_a_receiver_works_with_one_ledger(tmp_path) -> None:
    """A callback must not be reported to the wrong one of two ledgers."""
    receiver = Receiver(URL, store=MemoryStore())
    ledger, another = Ledger(tmp_path / "a.db"), Ledger(tmp_path / "b.db")

    receiver.beside(ledger)
    receiver.beside(ledger)
    with pytest.raises(ValueError, match="another ledger"):
        receiver.beside(another)


async def test_an_answer_that_is_no_task_is_passed_on() -> None:
    """The receiver binds tasks and leaves everything else alone."""
    receiver = Receiver(URL, store=MemoryStore())

    assert await receiver.submit(SUBMISSION, FakeSend("something else")) == "something else"


async def test_a_receiver_pickles_as_its_settings(receiver, path) -> None:
    """It goes along with a client; a secret does not."""
    twin = pickle.loads(pickle.dumps(receiver))
    send = FakeSend()
    await receiver.submit(SUBMISSION, send)

    assert await deliver(twin, send.url, success()) == 200
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
