"""A batch's plan, its progress, and its budget."""

from __future__ import annotations

import callers
import pytest
from batches import WRONG, awaited, by_asset, items, outcomes
from samples import EMBEDDED, embed_call
from servers import answer, hang_up, serving

from memories_async import Budget, Limit, Limits, captions
from memories_async.errors import BudgetExceeded


async def test_progress_counts_the_outcomes(ledger):
    """By kind, with the points spent and at risk."""
    special = {"re_3": answer(WRONG, 400), "re_5": hang_up}
    budget = Budget(prices={"embedding": 2.5})
    async with serving(by_asset(special)) as server, callers.patient_client(server.url) as client:
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


async def test_a_plan_sends_nothing(ledger):
    """It counts what is paid, unknown, repeated and left, and says how long that takes and its cost."""
    async with serving(by_asset({"re_1": hang_up})) as server:
        limits = Limits(embeddings=Limit(2))
        async with callers.patient_client(server.url) as client:
            await outcomes(client, items(3), ledger=ledger)
        async with callers.patient_client(server.url, limits=limits) as client:
            calls = [*items(10).items(), ("again", embed_call("re_9"))]
            budget = Budget(prices={"embedding": 3})
            plan = await client.batch(calls, ledger=ledger, budget=budget).plan()

        assert server.requests == 3
    assert (plan.items, plan.paid, plan.unknown, plan.repeated) == (11, 2, 1, 1)
    assert (plan.calls, plan.by_unit, plan.seconds, plan.points) == (7, {"embedding": 7}, 3.5, 21.0)


async def test_a_plan_without_ledger_or_prices_counts_every_call(tmp_path):
    """The cost is unknown."""
    film = tmp_path / "film.mp4"
    film.write_bytes(b"one")
    asked = {"user_prompt": "what", "system_prompt": "brief", "callback": "https://example.com/"}
    calls = {1: captions.upload_file(film, **asked), 2: embed_call(), 3: embed_call()}
    film.unlink()
    async with callers.patient_client("http://localhost:9") as client:
        plan = await client.batch(calls).plan()

    assert (plan.items, plan.calls, plan.invalid, plan.points) == (3, 2, 1, None)


async def test_a_plan_of_an_iterator_is_refused():
    """An iterator cannot be read twice."""
    async with callers.patient_client("http://localhost:9") as client:
        for calls in (iter(items(3).items()), awaited(items(3))):
            with pytest.raises(TypeError, match="list or mapping"):
                await client.batch(calls).plan()
            if not hasattr(calls, "__next__"):
                await calls.aclose()


async def test_a_budget_stops_a_batch_before_it_is_passed(ledger):
    """Five calls are paid and no more; the rest is planned."""
    async with serving(answer(EMBEDDED)) as server, callers.patient_client(server.url) as client:
        budget = Budget(calls=5)
        async with client.batch(items(50), ledger=ledger, budget=budget) as batch:
            found = [outcome async for outcome in batch]

        assert server.requests == budget.spending.calls == 5
        assert isinstance(batch.stopped, BudgetExceeded)
        assert sum(one.error is None for one in found) == 5
