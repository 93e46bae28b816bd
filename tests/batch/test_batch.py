"""Many calls: every item has one outcome, a failure is its own, and nothing is paid twice."""

from __future__ import annotations

import asyncio
import itertools
import json
import sqlite3
import threading

import callers
import pytest
from samples import EMBEDDED, embed_call, search_call
from servers import answer, hang_up, serving, silent

from memories_async import Budget, Limit, Limits, captions, embeddings
from memories_async.errors import (
    AuthenticationFailed,
    BudgetExceeded,
    InvalidRequest,
    NotSent,
    OutcomeUnknown,
)
from memories_async.ledger import JournalFailed, Ledger

WRONG = {"code": 400, "msg": "no such asset"}


@pytest.fixture
def ledger(tmp_path):
    """A ledger of its own for each test."""
    with Ledger(tmp_path / "run.db") as made:
        yield made


def items(count, start=0):
    """Calls that differ in their asset."""
    return {number: embed_call(f"re_{number}") for number in range(start, start + count)}


def by_asset(special):
    """Do to some assets something else."""
    otherwise = answer(EMBEDDED)

    async def behave(exchange):
        asset = json.loads(await exchange.receive())["asset_id"]
        await special.get(asset, otherwise)(exchange)

    return behave


async def until(condition) -> None:
    """Wait for *condition*, which nothing announces."""
    while not condition():  # noqa: ASYNC110  # nothing announces it
        await asyncio.sleep(0.001)


async def outcomes(client, calls, **settings) -> dict:
    """Run a batch to its end."""
    async with client.batch(calls, **settings) as batch:
        return {outcome.key: outcome async for outcome in batch}


async def test_every_item_has_its_outcome(ledger):
    """In any order, each under its own key."""
    async with serving(answer(EMBEDDED)) as server, callers.client(server.url) as client:
        found = await outcomes(client, items(100), ledger=ledger)

        assert sorted(found) == [*range(100)]
        assert all(one.result().values == (0.5, -0.25, 1.0) for one in found.values())
        assert {one.billed for one in found.values()} == {"yes"}
        assert server.requests == 100


async def test_it_works_without_a_ledger():
    """Then it is only a paced, bounded stream."""
    async with serving(answer(EMBEDDED)) as server, callers.client(server.url) as client:
        assert len(await outcomes(client, items(20))) == server.requests == 20


async def test_the_second_run_sends_nothing(ledger):
    """The order of the items does not matter to resuming."""
    async with serving(answer(EMBEDDED)) as server, callers.client(server.url) as client:
        first = await outcomes(client, items(30), ledger=ledger)
        again = await outcomes(client, reversed([*items(30).items()]), ledger=ledger)

        assert server.requests == 30
        assert all(one.replayed and one.billed == "no" for one in again.values())
        assert {k: one.answer for k, one in again.items()} == {
            k: o.answer for k, o in first.items()
        }


async def _awaited(calls):
    for pair in calls.items():
        await asyncio.sleep(0)
        yield pair


@pytest.mark.parametrize(
    "shape", [dict, lambda calls: [*calls.items()], lambda calls: iter(calls.items()), _awaited]
)
async def test_calls_come_in_any_shape(shape):
    """A mapping, a list, a generator, an asynchronous generator."""
    async with serving(answer(EMBEDDED)) as server, callers.client(server.url) as client:
        assert sorted(await outcomes(client, shape(items(10)))) == [*range(10)]


async def test_an_endless_iterable_is_read_only_as_far_as_there_is_room():
    """Who takes ten outcomes has hardly more than the concurrency built in vain."""
    built = itertools.count()
    endless = ((number, embed_call(f"re_{number}")) for number in built)
    async with serving(answer(EMBEDDED)) as server, callers.client(server.url) as client:
        async with client.batch(endless, concurrency=4) as batch:
            taken = [outcome async for outcome, _ in _zip(batch, range(10))]

        assert len(taken) == 10
    assert next(built) < 3_000


async def _zip(stream, other):
    for one in other:
        yield await anext(stream), one


async def test_no_more_than_the_concurrency_is_in_flight():
    """The server counts."""
    now, most = 0, 0

    async def count(exchange):
        nonlocal now, most
        now, most = now + 1, max(most, now + 1)
        await asyncio.sleep(0.005)
        await answer(EMBEDDED)(exchange)
        now -= 1

    async with serving(count) as server, callers.client(server.url) as client:
        await outcomes(client, items(40), concurrency=5)

    assert most == 5


async def test_a_failing_item_does_not_stop_the_others(ledger):
    """Refused and lost ones are reported, the rest is answered."""
    special = {"re_3": answer(WRONG, 400), "re_5": hang_up}
    async with serving(by_asset(special)) as server, callers.client(server.url) as client:
        found = await outcomes(client, items(10), ledger=ledger)

        assert isinstance(found[3].error, InvalidRequest)
        assert isinstance(found[5].error, OutcomeUnknown)
        assert (found[3].billed, found[5].billed) == ("no", "maybe")
        assert sum(one.error is None for one in found.values()) == 8
        assert server.requests == 10
        with pytest.raises(InvalidRequest):
            found[3].result()


async def test_unknown_ones_are_parked(ledger):
    """The second run reports them, sends nothing, and says that they may have been paid."""
    async with serving(by_asset({"re_1": hang_up})) as server, callers.client(server.url) as client:
        await outcomes(client, items(3), ledger=ledger)
        again = await outcomes(client, items(3), ledger=ledger)

        assert isinstance(again[1].error, OutcomeUnknown)
        assert (again[1].billed, again[1].replayed) == ("maybe", True)
        assert server.requests == 3


async def test_unknown_ones_are_sent_again_when_told_to(ledger):
    """`resend` risks a second payment, and the ledger still counts the first."""
    async with serving(by_asset({"re_1": hang_up})) as server, callers.client(server.url) as client:
        await outcomes(client, items(3), ledger=ledger)
        server.script[:] = [answer(EMBEDDED)]
        again = await outcomes(client, items(3), ledger=ledger, on_unknown="resend")

        assert again[1].error is None
        assert server.requests == 4
        assert ledger.summary().unknown == 0


async def test_the_first_unknown_stops_when_told_to(ledger):
    """`raise` hands the outcomes out that there are, and then raises."""
    seen = []
    async with serving(by_asset({"re_1": hang_up})) as server, callers.client(server.url) as client:
        with pytest.raises(OutcomeUnknown):  # noqa: PT012  # raised inside the loop
            async with client.batch(
                items(500), ledger=ledger, on_unknown="raise", concurrency=1
            ) as batch:
                async for outcome in batch:
                    seen.append(outcome.key)

        assert seen == [0, 1]
        assert server.requests == 2


@pytest.mark.parametrize(
    ("status", "code"), [(401, AuthenticationFailed), (402, None), (403, None)]
)
async def test_what_is_wrong_with_every_item_stops_the_batch(ledger, status, code):
    """It does not burn a list of calls; the rest is planned and goes on later."""
    no = {"code": status, "msg": "no"}
    async with serving(answer(no, status)) as server, callers.client(server.url) as client:
        async with client.batch(items(500), ledger=ledger, concurrency=3) as batch:
            found = [outcome async for outcome in batch]
        assert len(found) <= 3
        assert server.requests <= 3
        assert batch.stopped is not None
        assert code is None or isinstance(batch.stopped, code)

        server.script[:] = [answer(EMBEDDED)]
        rest = await outcomes(client, items(500), ledger=ledger)

        assert all(one.error is None for one in rest.values())
        assert len(rest) == 500


async def test_identical_items_share_one_request(ledger):
    """Each key has its outcome; one of them paid."""
    calls = {name: embed_call("re_1") for name in "abcde"}
    async with serving(answer(EMBEDDED, after=0.01)) as server:
        async with callers.client(server.url) as client:
            found = await outcomes(client, calls, ledger=ledger)

        assert (len(found), server.requests) == (5, 1)
        assert sorted(one.billed for one in found.values()) == ["no"] * 4 + ["yes"]


async def test_two_batches_on_one_ledger_send_no_item_twice(tmp_path):
    """Two processes would see the same: two ledgers on one file, each with an owner of its own."""
    ledgers = [Ledger(tmp_path / "run.db") for _ in range(2)]
    async with serving(answer(EMBEDDED, after=0.002)) as server:
        async with callers.client(server.url) as one, callers.client(server.url) as other:
            found = await asyncio.gather(
                outcomes(one, items(60), ledger=ledgers[0], concurrency=3),
                outcomes(other, items(60), ledger=ledgers[1], concurrency=3),
            )

        assert [len(each) for each in found] == [60, 60]
        assert all(one.error is None for each in found for one in each.values())
        assert server.requests == 60


async def test_leaving_early_waits_for_what_is_out(ledger):
    """What was sent is paid and recorded; what was not is not sent."""
    gate = asyncio.Event()

    async def slowly(exchange):
        await exchange.receive()
        await gate.wait()
        await answer(EMBEDDED)(exchange)

    async with (
        serving(answer(EMBEDDED), slowly) as server,
        callers.client(server.url) as client,
    ):
        async with client.batch(items(50), ledger=ledger, concurrency=4) as batch:
            await anext(batch)
            await until(lambda: batch.progress.in_flight == 4)
            asyncio.get_running_loop().call_later(0.02, gate.set)

        summary = await asyncio.to_thread(ledger.summary)
        assert (summary.unknown, summary.sending) == (0, 0)
        assert summary.done == server.requests == 5


async def test_a_drain_that_takes_too_long_leaves_unknowns(ledger):
    """Nothing is hidden: what was cut off is listed."""
    async with serving(silent) as server, callers.client(server.url) as client:
        async with client.batch(items(50), ledger=ledger, concurrency=2, drain=0.01) as batch:
            await until(lambda: batch.progress.in_flight == 2 == server.requests)

        summary = await asyncio.to_thread(ledger.summary)
        assert (summary.unknown, summary.done, summary.sending) == (2, 0, 0)


async def test_a_second_interruption_ends_the_drain(ledger):
    """Cancelled while draining: it goes at once, and the calls in flight are unknown."""

    async def use(client, server):
        async with client.batch(items(50), ledger=ledger, concurrency=2) as batch:
            await until(lambda: server.requests == 2)
            await anext(batch)

    async with serving(silent) as server, callers.client(server.url) as client:
        task = asyncio.create_task(use(client.with_policy(timeout=30.0), server))
        await until(lambda: server.requests == 2)
        task.cancel()
        await asyncio.sleep(0.01)
        assert not task.done()
        task.cancel()
        await asyncio.wait([task], timeout=5)

        assert task.cancelled()
        assert (await asyncio.to_thread(ledger.summary)).unknown == 2


async def test_an_error_of_the_iterable_is_raised_after_the_outcomes(ledger):
    """What it brought before is done."""

    def broken():
        yield from items(5).items()
        raise LookupError("the list ended badly")

    seen = []
    async with serving(answer(EMBEDDED)) as server, callers.client(server.url) as client:
        with pytest.raises(LookupError, match="badly"):  # noqa: PT012  # raised inside the loop
            async with client.batch(broken(), ledger=ledger) as batch:
                async for outcome in batch:
                    seen.append(outcome.key)

    assert sorted(seen) == [*range(5)]


async def test_an_error_in_the_body_is_raised_as_it_is(ledger):
    """And the batch is left in order."""
    async with serving(answer(EMBEDDED)) as server, callers.client(server.url) as client:
        with pytest.raises(ZeroDivisionError):  # noqa: PT012  # raised inside the loop
            async with client.batch(items(50), ledger=ledger) as batch:
                await anext(batch)
                raise ZeroDivisionError

        assert (await asyncio.to_thread(ledger.summary)).sending == 0


async def test_a_generator_runs_in_one_thread_and_is_closed():
    """It may hold a database cursor; and it may block without holding up the loop."""
    threads = set()
    closed = threading.Event()

    def rows():
        connection = sqlite3.connect(":memory:")
        try:
            for (number,) in connection.execute("SELECT 1 UNION SELECT 2 UNION SELECT 3"):
                threads.add(threading.get_ident())
                yield number, embed_call(f"re_{number}")
        finally:
            connection.close()
            closed.set()

    async with serving(answer(EMBEDDED)) as server, callers.client(server.url) as client:
        assert len(await outcomes(client, rows())) == 3

    assert closed.wait(5)
    assert len(threads) == 1
    assert threading.get_ident() not in threads


async def test_an_asynchronous_generator_is_closed(ledger):
    """Also where the batch is left before its end."""
    closed = []

    async def endless():
        try:
            for number in itertools.count():
                yield number, embed_call(f"re_{number}")
        finally:
            closed.append(True)

    async with serving(answer(EMBEDDED)) as server, callers.client(server.url) as client:  # noqa: SIM117  # reads better apart
        async with client.batch(endless(), ledger=ledger) as batch:
            await anext(batch)

    assert closed == [True]


async def test_a_file_changed_between_plan_and_send_is_that_items_error(ledger, tmp_path):
    """It is refused, not sent, and the others go on."""
    film = tmp_path / "film.mp4"
    film.write_bytes(b"one")
    asked = {"user_prompt": "what", "system_prompt": "brief", "callback": "https://example.com/"}
    calls = {"film": captions.upload_file(film, **asked), "other": embed_call()}
    film.write_bytes(b"another")
    async with serving(answer(EMBEDDED)) as server, callers.client(server.url) as client:
        found = await outcomes(client, calls, ledger=ledger)

        assert isinstance(found["film"].error, NotSent)
        assert "changed" in str(found["film"].error)
        assert (found["other"].error, server.requests) == (None, 1)


async def test_a_call_that_this_client_cannot_send_is_that_items_error(ledger):
    """A caption without a callback needs a receiver."""
    homeless = captions.upload("https://example.com/v", user_prompt="a", system_prompt="b")
    async with serving(answer(EMBEDDED)) as server, callers.client(server.url) as client:
        found = await outcomes(client, {"caption": homeless, "other": embed_call()}, ledger=ledger)

        assert isinstance(found["caption"].error, ValueError)
        assert found["other"].error is None
        assert (await asyncio.to_thread(ledger.summary)).sending == 0


async def test_a_ledger_that_cannot_be_written_stops_the_batch(tmp_path):
    """Nothing is sent unrecorded."""
    (tmp_path / "run.db").write_text("this is no database, and long enough to be told from one")
    async with serving(answer(EMBEDDED)) as server, callers.client(server.url) as client:
        with pytest.raises(JournalFailed, match="not a database"):
            await outcomes(client, items(10), ledger=Ledger(tmp_path / "run.db"))

        assert server.requests == 0


async def test_a_network_that_goes_away_is_waited_for(ledger, monkeypatch):
    """Items are not failed one after the other while nothing can be reached."""
    monkeypatch.setattr("memories_async._batch.outage.LONGEST", 0.01)
    async with serving(answer(EMBEDDED)) as server, callers.client(server.url) as client:  # noqa: SIM117  # reads better apart
        async with client.batch(items(20), ledger=ledger, concurrency=1) as batch:
            await anext(batch)
            await server.__aexit__(None, None, None)
            await asyncio.sleep(0.05)
            server._server = await asyncio.start_server(
                server._serve, "127.0.0.1", server.port, limit=2**20
            )
            rest = [outcome async for outcome in batch]

    assert [one.error for one in rest if isinstance(one.error, NotSent)] == []
    assert len(rest) == 19


async def test_a_service_that_was_never_there_fails_every_item(ledger):
    """A misspelt host is told at once."""
    async with callers.client("http://localhost:9", policy=callers.HASTY) as client:
        found = await outcomes(client, items(3), ledger=ledger)

    assert all(isinstance(one.error, NotSent) for one in found.values())
    assert ledger.summary().planned == 3


async def test_a_long_line_costs_no_deadline():
    """At a slow rate the wait for a turn is longer than the whole deadline; nothing fails."""
    limits = Limits(embeddings=Limit(50))
    policy = callers.HASTY.__class__(deadline=0.1, timeout=0.09)
    async with serving(answer(EMBEDDED)) as server:  # noqa: SIM117  # reads better apart
        async with callers.client(server.url, limits=limits, policy=policy) as client:
            found = await outcomes(client, items(20))

    assert all(one.error is None for one in found.values())


async def test_progress_is_a_value(ledger):
    """Counts, and an end that follows from the account's limits."""
    special = {"re_3": answer(WRONG, 400), "re_5": hang_up}
    budget = Budget(prices={"embedding": 2.5})
    async with serving(by_asset(special)) as server, callers.client(server.url) as client:
        await outcomes(client, items(2), ledger=ledger)
        batch = client.batch(items(10), ledger=ledger, budget=budget)
        assert (batch.progress.finished, batch.progress.total) == (0, None)
        async with batch:
            assert batch.progress.total == 10
            async for _ in batch:
                pass

        seen = batch.progress
        assert (seen.done, seen.replayed, seen.refused, seen.unknown) == (6, 2, 1, 1)
        assert (seen.points, seen.points_at_risk) == (15.0, 2.5)
        assert (seen.finished, seen.in_flight, seen.seconds_left) == (10, 0, 0.0)
        assert seen.rate > 0
        assert ledger.summary().points == 15.0


async def test_the_end_is_reckoned_from_the_limits(ledger):
    """Ninety items at a hundred a second take nine tenths of a second."""
    limits = Limits(embeddings=Limit(100))
    async with serving(answer(EMBEDDED)) as server:  # noqa: SIM117  # reads better apart
        async with callers.client(server.url, limits=limits) as client:
            async with client.batch(items(100), ledger=ledger, concurrency=1) as batch:
                for _ in range(10):
                    await anext(batch)
                left = batch.progress.seconds_left

    assert 0.7 < left <= 0.9


async def test_a_plan_sends_nothing(ledger):
    """It tells what is paid, unknown, repeated and left, how long that takes and what it costs."""
    async with serving(by_asset({"re_1": hang_up})) as server:
        limits = Limits(embeddings=Limit(2))
        async with callers.client(server.url) as client:
            await outcomes(client, items(3), ledger=ledger)
        async with callers.client(server.url, limits=limits) as client:
            calls = [*items(10).items(), ("again", embed_call("re_9"))]
            budget = Budget(prices={"embedding": 3})
            plan = await client.batch(calls, ledger=ledger, budget=budget).plan()

        assert server.requests == 3
    assert (plan.items, plan.paid, plan.unknown, plan.repeated) == (11, 2, 1, 1)
    assert (plan.calls, plan.by_unit, plan.seconds, plan.points) == (7, {"embedding": 7}, 3.5, 21.0)


async def test_a_plan_without_ledger_or_prices_says_what_it_can(tmp_path):
    """Every call counts, and the cost is not known."""
    film = tmp_path / "film.mp4"
    film.write_bytes(b"one")
    asked = {"user_prompt": "what", "system_prompt": "brief", "callback": "https://example.com/"}
    calls = {1: captions.upload_file(film, **asked), 2: embed_call(), 3: embed_call()}
    film.unlink()
    async with callers.client("http://localhost:9") as client:
        plan = await client.batch(calls).plan()

    assert (plan.items, plan.calls, plan.invalid, plan.points) == (3, 2, 1, None)


async def test_a_plan_does_not_use_up_the_calls():
    """A generator could not be read twice."""
    async with callers.client("http://localhost:9") as client:
        for calls in (iter(items(3).items()), _awaited(items(3))):
            with pytest.raises(TypeError, match="list or mapping"):
                await client.batch(calls).plan()
            if not hasattr(calls, "__next__"):
                await calls.aclose()


async def test_a_budget_stops_a_batch_before_it_is_passed(ledger):
    """Five calls are paid, and not one more; the rest is planned."""
    async with serving(answer(EMBEDDED)) as server, callers.client(server.url) as client:
        budget = Budget(calls=5)
        async with client.batch(items(50), ledger=ledger, budget=budget) as batch:
            found = [outcome async for outcome in batch]

        assert server.requests == budget.spending.calls == 5
        assert isinstance(batch.stopped, BudgetExceeded)
        assert sum(one.error is None for one in found) == 5


async def test_wrong_settings_are_refused():
    """When the batch is made, naming the setting."""
    async with callers.client("http://localhost:9") as client:
        with pytest.raises(ValueError, match="concurrency"):
            client.batch({}, concurrency=0)
        with pytest.raises(ValueError, match="on_unknown"):
            client.batch({}, on_unknown="perhaps")
        with pytest.raises(TypeError, match="Ledger"):
            await outcomes(client, {}, ledger=object())


async def test_a_batch_is_entered_once():
    """A stream has one end; and nothing comes from one that was not entered."""
    async with callers.client("http://localhost:9") as client:
        batch = client.batch({})
        assert batch.stopped is None
        with pytest.raises(RuntimeError, match="async with"):
            await anext(batch)
        async with batch:
            assert [one async for one in batch] == []
        with pytest.raises(RuntimeError, match="once"):
            await batch.__aenter__()


def test_the_blocking_form(ledger):
    """The same stream, iterated without await."""

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
    """Every kind of call goes through the same line, and a free one is not recorded."""
    calls = {"embed": embed_call(), "model": embeddings.video("re_1", model="other")}
    async with serving(answer(EMBEDDED)) as server, callers.client(server.url) as client:
        found = await outcomes(client, calls, ledger=ledger)

    assert found["model"].answer.model == "other"
    assert len({entry.key for entry in ledger.entries()}) == 2
    assert search_call().unit == "search"
