"""The receiver with a ledger: a callback proves that a submission with a lost reply was accepted."""

from __future__ import annotations

import asyncio

import pytest
from attrs import evolve
from callbacks import PROMPTS

from memories_async import OutcomeUnknown, Receiver, captions, events
from memories_async.errors import CallbackTimeout, MemoriesError
from memories_async.ledger import Ledger

pytest.importorskip("cv2", reason="the embedded service computes captions from pictures")


@pytest.fixture
def ledger(place):
    with Ledger(place) as made:
        yield made


async def test_a_callback_turns_an_unknown_entry_into_done(service, client, film, ledger) -> None:
    """The ledger is told that the submission was accepted, and of its task."""
    receiver = Receiver("http://127.0.0.1:0/cb")
    service.faults.add(kind="drop", when="after", route="captions")
    service.faults.add(callback="delay", seconds=0.2)
    call = captions.upload_file(film, **PROMPTS)

    async with receiver.serve(), client(receiver=receiver, ledger=ledger) as one:
        with pytest.raises(OutcomeUnknown):
            await one.send(call)
        assert len(await asyncio.to_thread(ledger.unknown)) == 1
        await service.drain()

        assert await asyncio.to_thread(ledger.unknown) == ()
        assert receiver._open().store.database is ledger.database, "both use one"
        task = await one.send(call)
        assert (await one.receiver.wait(task, timeout=0)).text
    assert service.account.calls == 1
    summary = await asyncio.to_thread(ledger.summary)
    assert (summary.done, summary.unknown) == (1, 0)


async def test_a_waiter_reconciles_what_a_web_worker_received(
    service, client, film, ledger, place
) -> None:
    """The worker has only the store; the process that waits and has the ledger updates the ledger."""
    worker = Receiver("http://127.0.0.1:0/cb", store=place)
    service.faults.add(kind="drop", when="after", route="captions")
    service.faults.add(callback="delay", seconds=0.1)

    async with worker.serve() as address:
        receiver = Receiver(f"{address.url}/cb")
        async with client(receiver=receiver, ledger=ledger) as one:
            with pytest.raises(OutcomeUnknown) as caught:
                await one.captions.upload_file(film, **PROMPTS)
            assert (await receiver.wait(caught.value, timeout=60)).text

    assert await asyncio.to_thread(ledger.unknown) == ()
    worker.close()


async def test_an_early_callback_of_a_lost_reply_answers_the_call_itself(
    service, client, film, ledger
) -> None:
    """The callback came before the reply was known to be lost, so the caller gets the task."""
    receiver = Receiver("http://127.0.0.1:0/cb")
    service.faults.add(kind="drop", when="after", route="captions")
    service.faults.add(callback="early")

    async with receiver.serve(), client(receiver=receiver, ledger=ledger) as one:
        task = await one.captions.upload_file(film, **PROMPTS)

        assert (await one.receiver.wait(task, timeout=0)).text
    assert service.account.calls == 1


async def test_a_receiver_reconciles_at_its_start_what_a_crash_left(  # noqa: PLR0917
    service, client, film, ledger, monkeypatch, caplog
) -> None:
    """A crash between storing the callback and telling the ledger loses nothing."""
    receiver = Receiver("http://127.0.0.1:0/cb")
    service.faults.add(kind="drop", when="after", route="captions")
    service.faults.add(callback="delay", seconds=0.1)

    async def fail(*_, **__):
        raise LookupError("not now")

    async with receiver.serve(), client(receiver=receiver, ledger=ledger) as one:
        with monkeypatch.context() as broken:
            broken.setattr(Ledger, "settled", fail)
            with pytest.raises(OutcomeUnknown) as caught:
                await one.captions.upload_file(film, **PROMPTS)
            await service.drain()
            assert (await receiver.wait(caught.value)).text
        assert "could not be told" in caplog.text
        assert len(await asyncio.to_thread(ledger.unknown)) == 1

    async with Receiver("http://127.0.0.1:0/cb", store=ledger).serve():
        assert await asyncio.to_thread(ledger.unknown) == ()


async def test_a_tag_comes_back_with_all_that_a_submission_brings(
    service, client, film, ledger
) -> None:
    """With task, caption, error and event; a call with another tag is the same call, paid once."""
    receiver, began = Receiver("http://127.0.0.1:0/cb"), []

    def observe(event):
        if isinstance(event, events.Began):
            began.append(event.tag)

    def call(tag):
        return captions.upload_file(film, **PROMPTS, tag=tag)

    settings = {"receiver": receiver, "ledger": ledger, "observers": [observe]}
    async with receiver.serve(), client(**settings) as one:
        task = await one.send(call("order 7"))
        by_text = await receiver.wait(str(task))
        again = await one.send(call("order 8"))
        service.faults.add(kind="code", code="0001", route="captions")
        with pytest.raises(MemoriesError) as refused:
            await one.captions.caption_file(film, **{**PROMPTS, "user_prompt": "?"}, tag="order 9")
        assert (await receiver.wait(again)).tag == "order 8"
        with pytest.raises(CallbackTimeout) as missing:
            await receiver.wait(evolve(again, task_id="none"), timeout=0)

    assert (task.tag, by_text.tag, again.tag) == ("order 7", "order 7", "order 8")
    assert task == again
    assert (refused.value.tag, refused.value.to_dict()["tag"]) == ("order 9", "order 9")
    assert missing.value.tag == "order 8"
    assert began == ["order 7", "order 8", "order 9"]
    assert service.account.paid == 1
