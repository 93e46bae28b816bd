"""Many calls: every item has one outcome, a failure stops no other, and nothing is paid twice."""

from __future__ import annotations

import asyncio
import itertools
import threading

import callers
import pytest
from batches import WRONG, awaited, by_asset, items, outcomes
from samples import EMBEDDED, embed_call, search_call
from servers import answer, hang_up, serving

from memories_async import Limit, Limits, captions, embeddings
from memories_async.errors import InvalidRequest, NotSent, OutcomeUnknown
from memories_async.ledger import Ledger


async def test_every_item_has_its_outcome(ledger):
    """In any order, each under its own key."""
    async with serving(answer(EMBEDDED)) as server, callers.patient_client(server.url) as client:
        found = await outcomes(client, items(100), ledger=ledger)

        assert sorted(found) == [*range(100)]
        assert all(one.result().values == (0.5, -0.25, 1.0) for one in found.values())
        assert {one.billed for one in found.values()} == {"yes"}
        assert server.requests == 100


async def test_a_batch_works_without_a_ledger():
    """It is rate-limited and bounded all the same."""
    async with serving(answer(EMBEDDED)) as server, callers.patient_client(server.url) as client:
        assert len(await outcomes(client, items(20))) == server.requests == 20


async def test_a_second_run_sends_nothing(ledger):
    """In any order of the items."""
    async with serving(answer(EMBEDDED)) as server, callers.patient_client(server.url) as client:
        first = await outcomes(client, items(30), ledger=ledger)
        again = await outcomes(client, reversed([*items(30).items()]), ledger=ledger)

        assert server.requests == 30
        assert all(one.replayed and one.billed == "no" for one in again.values())
        assert {k: one.answer for k, one in again.items()} == {
            k: o.answer for k, o in first.items()
        }


@pytest.mark.parametrize(
    "shape", [dict, lambda calls: [*calls.items()], lambda calls: iter(calls.items()), awaited]
)
async def test_calls_come_in_any_shape(shape):
    """A mapping, a list, a generator, an asynchronous generator."""
    async with serving(answer(EMBEDDED)) as server, callers.patient_client(server.url) as client:
        assert sorted(await outcomes(client, shape(items(10)))) == [*range(10)]


async def test_an_endless_iterable_is_read_only_as_far_as_there_is_room():
    """Taking ten outcomes builds few calls more than the concurrency."""
    built = itertools.count()
    endless = ((number, embed_call(f"re_{number}")) for number in built)
    async with serving(answer(EMBEDDED)) as server, callers.patient_client(server.url) as client:
        async with client.batch(endless, concurrency=4) as batch:
            taken = [outcome async for outcome, _ in _zip(batch, range(10))]

        assert len(taken) == 10
    assert next(built) < 3_000


async def _zip(stream, other):
    for one in other:
        yield await anext(stream), one


async def test_no_more_than_the_concurrency_is_in_flight():
    """The server counts the requests."""
    now, most, gate = 0, 0, asyncio.Event()

    async def count(exchange):
        nonlocal now, most
        now, most = now + 1, max(most, now + 1)
        if now == 5:
            gate.set()
        await gate.wait()  # until five are in flight
        await asyncio.sleep(0)
        await answer(EMBEDDED)(exchange)
        now -= 1

    async with serving(count) as server, callers.patient_client(server.url) as client:
        await outcomes(client, items(40), concurrency=5)

    assert most == 5


async def test_a_failing_item_does_not_stop_the_others(ledger):
    """Refused and unknown ones are reported, the rest is answered."""
    special = {"re_3": answer(WRONG, 400), "re_5": hang_up}
    async with serving(by_asset(special)) as server, callers.patient_client(server.url) as client:
        found = await outcomes(client, items(10), ledger=ledger)

        assert isinstance(found[3].error, InvalidRequest)
        assert isinstance(found[5].error, OutcomeUnknown)
        assert (found[3].billed, found[5].billed) == ("no", "maybe")
        assert sum(one.error is None for one in found.values()) == 8
        assert server.requests == 10
        with pytest.raises(InvalidRequest):
            found[3].result()


async def test_unknown_items_are_parked(ledger):
    """The second run reports them as perhaps paid and does not send them."""
    async with (
        serving(by_asset({"re_1": hang_up})) as server,
        callers.patient_client(server.url) as client,
    ):
        await outcomes(client, items(3), ledger=ledger)
        again = await outcomes(client, items(3), ledger=ledger)

        assert isinstance(again[1].error, OutcomeUnknown)
        assert (again[1].billed, again[1].replayed) == ("maybe", True)
        assert server.requests == 3


async def test_unknown_items_are_sent_again_with_resend(ledger):
    """`resend` accepts the risk of a second payment."""
    async with (
        serving(by_asset({"re_1": hang_up})) as server,
        callers.patient_client(server.url) as client,
    ):
        await outcomes(client, items(3), ledger=ledger)
        server.script[:] = [answer(EMBEDDED)]
        again = await outcomes(client, items(3), ledger=ledger, on_unknown="resend")

        assert again[1].error is None
        assert server.requests == 4
        assert ledger.summary().unknown == 0


async def test_the_first_unknown_item_stops_a_batch_with_raise(ledger):
    """The outcomes so far come first, then the error is raised."""
    seen = []
    async with (
        serving(by_asset({"re_1": hang_up})) as server,
        callers.patient_client(server.url) as client,
    ):
        with pytest.raises(OutcomeUnknown):  # noqa: PT012  # raised inside the loop
            async with client.batch(
                items(500), ledger=ledger, on_unknown="raise", concurrency=1
            ) as batch:
                async for outcome in batch:
                    seen.append(outcome.key)

        assert seen == [0, 1]
        assert server.requests == 2


async def test_identical_items_share_one_request(ledger):
    """Each key has its outcome; one of them is billed."""
    calls = {name: embed_call("re_1") for name in "abcde"}
    async with serving(answer(EMBEDDED, after=0.01)) as server:
        async with callers.patient_client(server.url) as client:
            found = await outcomes(client, calls, ledger=ledger)

        assert (len(found), server.requests) == (5, 1)
        assert sorted(one.billed for one in found.values()) == ["no"] * 4 + ["yes"]


async def test_two_batches_on_one_ledger_send_no_item_twice(tmp_path):
    """Two ledgers on one file, each with its own process lock, as in two processes."""
    ledgers = [Ledger(tmp_path / "run.db") for _ in range(2)]
    async with serving(answer(EMBEDDED, after=0.002)) as server:
        async with (
            callers.patient_client(server.url) as one,
            callers.patient_client(server.url) as other,
        ):
            found = await asyncio.gather(
                outcomes(one, items(60), ledger=ledgers[0], concurrency=3),
                outcomes(other, items(60), ledger=ledgers[1], concurrency=3),
            )

        assert [len(each) for each in found] == [60, 60]
        assert all(one.error is None for each in found for one in each.values())
        assert server.requests == 60


async def test_a_file_changed_between_plan_and_send_is_that_items_error(ledger, tmp_path):
    """It is not sent, and the others are."""
    film = tmp_path / "film.mp4"
    film.write_bytes(b"one")
    asked = {"user_prompt": "what", "system_prompt": "brief", "callback": "https://example.com/"}
    calls = {"film": captions.upload_file(film, **asked), "other": embed_call()}
    film.write_bytes(b"another")
    async with serving(answer(EMBEDDED)) as server, callers.patient_client(server.url) as client:
        found = await outcomes(client, calls, ledger=ledger)

        assert isinstance(found["film"].error, NotSent)
        assert "changed" in str(found["film"].error)
        assert (found["other"].error, server.requests) == (None, 1)


async def test_a_call_that_this_client_cannot_send_is_that_items_error(ledger):
    """A caption without a callback needs a receiver."""
    without_callback = captions.upload("https://example.com/v", user_prompt="a", system_prompt="b")
    async with serving(answer(EMBEDDED)) as server, callers.patient_client(server.url) as client:
        found = await outcomes(
            client, {"caption": without_callback, "other": embed_call()}, ledger=ledger
        )

        assert isinstance(found["caption"].error, ValueError)
        assert found["other"].error is None
        assert (await asyncio.to_thread(ledger.summary)).sending == 0


async def test_waiting_for_a_permit_costs_a_batch_no_deadline():
    """At a slow rate the wait for a permit is longer than the deadline, and no item fails."""
    limits = Limits(embeddings=Limit(50))
    policy = callers.HASTY.__class__(deadline=0.1, timeout=0.09)
    async with serving(answer(EMBEDDED)) as server:  # noqa: SIM117  # reads better apart
        async with callers.patient_client(server.url, limits=limits, policy=policy) as client:
            found = await outcomes(client, items(20))

    assert all(one.error is None for one in found.values())


async def test_wrong_settings_are_refused():
    """When the batch is built, with an error that names the setting."""
    async with callers.patient_client("http://localhost:9") as client:
        with pytest.raises(ValueError, match="concurrency"):
            client.batch({}, concurrency=0)
        with pytest.raises(ValueError, match="on_unknown"):
            client.batch({}, on_unknown="perhaps")
        with pytest.raises(TypeError, match="Ledger"):
            client.batch({}, ledger=object())


async def test_a_batch_is_entered_once():
    """Iterating before entering, or entering twice, is an error."""
    async with callers.patient_client("http://localhost:9") as client:
        batch = client.batch({})
        assert batch.stopped is None
        with pytest.raises(RuntimeError, match="async with"):
            await anext(batch)
        async with batch:
            assert [one async for one in batch] == []
        with pytest.raises(RuntimeError, match="once"):
            await batch.__aenter__()


def test_a_blocking_batch_iterates_without_await(ledger):
    """With the same outcomes, plan and progress."""

    async def serve(ready, done):
        async with serving(answer(EMBEDDED)) as server:
            ready(server)
            await asyncio.to_thread(done.wait)

    started, done, found = threading.Event(), threading.Event(), []

    def ready(server):
        found.append(server)
        started.set()

    thread = threading.Thread(target=lambda: asyncio.run(serve(ready, done)))
    thread.start()
    started.wait(5)
    (server,) = found
    try:
        with callers.blocking.Client(**callers.settings(server.url, ledger=ledger)) as client:
            assert client.batch(items(20)).plan().calls == 20
            with client.batch(items(20)) as batch:
                assert sorted(outcome.key for outcome in batch) == [*range(20)]
            assert batch.progress.done == 20
            assert batch.stopped is None
            with client.batch(items(20)) as batch:
                assert next(batch).replayed
        assert server.requests == 20
    finally:
        done.set()
        thread.join()


async def test_searches_and_embeddings_mix(ledger):
    """Calls with different arguments have entries of their own."""
    calls = {"embed": embed_call(), "model": embeddings.video("re_1", model="other")}
    async with serving(answer(EMBEDDED)) as server, callers.patient_client(server.url) as client:
        found = await outcomes(client, calls, ledger=ledger)

    assert found["model"].answer.model == "other"
    assert len({entry.key for entry in ledger.entries()}) == 2
    assert search_call().unit == "search"
