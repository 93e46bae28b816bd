"""What a receiver tells its observers of each callback."""

from __future__ import annotations

import pickle

import pytest
from callbacks import SUBMISSION, TASK, FakeSend, deliver, failure, lose_reply, success
from callers import client

from memories_async import Receiver
from memories_async.events import CallbackReceived
from memories_async.receiver import MemoryStore
from memories_async.receiver._records import Submission

URL = "https://public.example/memories"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def told() -> list[CallbackReceived]:
    return []


@pytest.fixture
def observed(place, told):
    """A receiver whose callbacks are noted."""
    receiver = Receiver(URL, store=place, observers=[told.append])
    yield receiver
    receiver.close()


async def test_a_result_is_told_and_its_repetition(observed, told):
    """With the call, the task, the answer's status and the age of the submission."""
    send = FakeSend()
    await observed.submit(SUBMISSION, send)
    for body in (success(), success(), failure()):
        await deliver(observed, send.url, body)

    assert [event.kind for event in told] == ["result", "duplicate", "conflicting"]
    assert {event.call for event in told} == {"captions.upload"}
    assert {event.task_id for event in told} == {TASK.task_id}
    assert {event.status for event in told} == {200}
    assert all(event.seconds >= 0 for event in told)
    assert "A man enters." not in repr(told)


async def test_a_callback_before_the_reply_is_early(observed, told):
    """So is the only callback of a submission whose reply was lost."""

    async def call_back(url):
        await deliver(observed, url, success())

    await observed.submit(SUBMISSION, FakeSend(before_reply=call_back))
    send, _ = await lose_reply(observed)
    await deliver(observed, send.url, success(task_id="another"))

    assert [event.kind for event in told] == ["early", "early"]


async def test_what_is_no_result_is_told_as_what_it_is(observed, told):
    """A body that cannot be read, another task's result, no token, and what is too large."""
    send = FakeSend()
    await observed.submit(SUBMISSION, send)
    await deliver(observed, send.url, b"<html>")
    await deliver(observed, send.url, success(task_id="another"))
    await deliver(observed, f"{URL}/forged", success())
    await deliver(observed, send.url, b"x" * 300_000)

    assert [event.kind for event in told] == ["unclear", "expired", "forged", "unstored"]
    assert [event.status for event in told] == [200, 404, 404, 413]
    assert [event.call for event in told[2:]] == [None, None]


async def test_an_observer_that_raises_keeps_no_callback_from_being_stored(place):
    """The sender has its 200, the waiter its caption."""

    def fail(event):
        raise ZeroDivisionError

    receiver = Receiver(URL, store=place, observers=[fail])
    send = FakeSend()
    task = await receiver.submit(SUBMISSION, send)

    assert await deliver(receiver, send.url, success()) == 200
    assert (await receiver.wait(task)).text == "A man enters."
    receiver.close()


async def test_the_observers_of_the_first_client_are_told_by_default(place, told):
    """Those of a second one are not, and what the receiver was given wins."""
    receiver = Receiver(URL, store=place)
    client(URL, receiver=receiver, observers=[told.append])
    client(URL, receiver=receiver, observers=[pytest.fail])
    send = FakeSend()
    await receiver.submit(SUBMISSION, send)
    await deliver(receiver, send.url, success())
    receiver.close()

    assert [event.kind for event in told] == ["result"]


@pytest.mark.parametrize("kind", ["shared", "memory"])
async def test_the_span_of_a_submission_is_stored_with_it(place, kind):
    """It comes back with the record, in whichever process."""
    receiver = Receiver(URL, store=place if kind == "shared" else MemoryStore())
    submission = Submission(id=b"i" * 16, call="captions.upload", issued_at=0.0, trace=TRACE)
    await receiver.store.add_submission(submission)
    record = await receiver.store.find(submission.id)
    receiver.close()

    assert record.submission == submission


def test_a_receiver_pickles_with_its_observers(place):
    """A web worker that is started elsewhere tells the same ones."""
    receiver = Receiver(URL, store=place, observers=[print])

    assert pickle.loads(pickle.dumps(receiver))._observers == (print,)
