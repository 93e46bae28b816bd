"""A budget: reserved before a call is sent, settled after, and never passed."""

from __future__ import annotations

import asyncio
import pickle

import callers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import EMBEDDED, FOUND, caption_call, embed_call, reply, search_call
from servers import answer, hang_up, serving, silent

from memories_async import Budget, videos
from memories_async.budget import Spending
from memories_async.errors import BudgetExceeded, InvalidRequest, NotSent, OutcomeUnknown
from memories_async.ledger import DatabaseFailed, Ledger
from memories_async.ledger._coordinator import build_entry_key

WRONG = {"code": 400, "msg": "no such asset"}


async def test_a_call_that_would_pass_it_is_not_sent():
    """The error is of the kind that costs nothing, and says how much is spent."""
    budget = Budget(points=5, prices={"embedding": 2})
    async with serving(answer(EMBEDDED)) as server:
        async with callers.patient_client(server.url, budget=budget) as client:
            for number in range(2):
                await client.send(embed_call(f"re_{number}"))
            with pytest.raises(BudgetExceeded, match="4 are spent") as caught:
                await client.send(embed_call("re_3"))

        assert server.requests == 2
    assert isinstance(caught.value, NotSent)
    assert budget.spending == Spending(calls=2, points=4)


async def test_many_at_once_share_what_is_left():
    """Each sets its price aside before it is sent."""
    budget = Budget(calls=3)
    async with serving(answer(EMBEDDED, after=0.01)) as server:
        async with callers.patient_client(server.url, budget=budget) as client:
            calls = (client.send(embed_call(f"re_{number}")) for number in range(10))
            ends = await asyncio.gather(*calls, return_exceptions=True)

        assert server.requests == 3
    assert sum(isinstance(end, BudgetExceeded) for end in ends) == 7


async def test_what_was_refused_is_given_back():
    """It was not billed."""
    budget = Budget(calls=1)
    async with serving(answer(WRONG, 400), answer(EMBEDDED)) as server:  # noqa: SIM117  # reads better apart
        async with callers.patient_client(server.url, budget=budget) as client:
            with pytest.raises(InvalidRequest):
                await client.send(embed_call())
            await client.send(embed_call())

    assert budget.spending == Spending(calls=1)


async def test_what_is_unknown_stays_set_aside():
    """It may have been billed, so it counts."""
    budget = Budget(calls=1, prices={"embedding": 3})
    async with (
        serving(hang_up) as server,
        callers.patient_client(server.url, budget=budget) as client,
    ):
        with pytest.raises(OutcomeUnknown):
            await client.send(embed_call())
        with pytest.raises(BudgetExceeded, match="1 calls"):
            await client.send(embed_call("re_2"))

    assert budget.spending == Spending(calls_at_risk=1, points_at_risk=3)


async def test_a_cancelled_call_stays_set_aside():
    """It was sent."""
    budget = Budget(calls=1)
    async with (
        serving(silent) as server,
        callers.patient_client(server.url, budget=budget) as client,
    ):
        task = asyncio.create_task(client.send(embed_call()))
        while not server.requests:  # noqa: ASYNC110  # nothing announces it
            await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.wait([task])

    assert budget.spending.calls_at_risk == 1


async def test_free_calls_need_no_budget():
    """Nor a price."""
    listed = {"code": "0000", "msg": "success", "data": {"videos": []}}
    budget = Budget(points=0)
    async with serving(answer(listed)) as server:  # noqa: SIM117  # reads better apart
        async with callers.patient_client(server.url, budget=budget) as client:
            await client.send(videos.list())

    assert budget.spending == Spending()


async def test_a_missing_price_is_told_before_anything_is_sent():
    """A cap on points cannot hold without it; a cap on calls can."""
    async with serving(answer(FOUND)) as server:
        async with callers.patient_client(server.url, budget=Budget(points=9)) as client:
            with pytest.raises(ValueError, match="price of a search"):
                await client.send(search_call())
        assert server.requests == 0
        async with callers.patient_client(server.url, budget=Budget(calls=9)) as client:
            await client.send(search_call())


async def test_two_budgets_both_hold(tmp_path):
    """A batch's own, and its client's: the ledger learns the price from either."""
    inner, outer = Budget(prices={"embedding": 2}), Budget(calls=3)
    calls = {number: embed_call(f"re_{number}") for number in range(9)}
    with Ledger(tmp_path / "run.db") as ledger:
        async with serving(answer(EMBEDDED)) as server:
            async with callers.patient_client(server.url, budget=inner, ledger=ledger) as client:  # noqa: SIM117  # reads better apart
                async with client.batch(calls, budget=outer, concurrency=2) as batch:
                    assert [one async for one in batch]

            assert server.requests == 3
        assert inner.spending == Spending(calls=3, points=6)
        assert outer.spending == Spending(calls=3)
        assert ledger.summary().points == 6


async def test_what_the_ledger_cannot_record_is_given_back(tmp_path):
    """Nothing was sent, so nothing is spent."""
    budget = Budget(calls=1)
    with Ledger(tmp_path / "run.db") as ledger:
        async with serving(answer(EMBEDDED)) as server:
            async with callers.patient_client(server.url, budget=budget, ledger=ledger) as client:
                pages = ledger.database.write_now(
                    lambda c: c.execute("PRAGMA page_count").fetchone()[0]
                )
                ledger.database.write_now(lambda c: c.execute(f"PRAGMA max_page_count={pages}"))
                with pytest.raises(NotSent.__base__):  # noqa: PT012  # raised inside the loop
                    for number in range(200):
                        budget.calls = number + 1
                        await client.send(embed_call(f"re_{number}{'x' * 300}"))

            assert server.requests == budget.spending.calls + budget.spending.calls_at_risk


async def test_what_was_paid_but_not_recorded_is_charged():
    """The error of the ledger says that the call was billed."""
    budget = Budget(calls=1)
    hook = budget.watch(embed_call())
    await hook.sending()
    await hook.failed(DatabaseFailed("the disk is full", billed="yes"), final=True)

    assert budget.spending == Spending(calls=1)


async def test_the_ledger_keeps_the_price_of_an_entry(tmp_path):
    """It is known when the entry is claimed."""
    with Ledger(tmp_path / "run.db") as ledger:
        (entry,) = await ledger.coordinator.claim(
            [build_entry_key(caption_call(), "account", price=2.0)]
        )
        await entry.sending()
        entry.sent()
        await entry.close()

        (known,) = ledger.unknown()
    assert (known.price, known.billed) == (2.0, "maybe")


async def test_a_reservation_is_given_back_once():
    """Also where a call failed before it was sent."""
    budget = Budget(calls=1)
    hook = budget.watch(caption_call())
    await hook.failed(NotSent("no"), final=False)
    await hook.sending()
    await hook.failed(NotSent("no"), final=True)

    assert budget.spending == Spending()


@pytest.mark.parametrize("is_sent", [False, True])
async def test_a_cancelled_attempt_is_given_back_unless_it_was_sent(is_sent):
    """Each attempt counts for itself: the one before this one was sent, and refused."""
    budget = Budget(calls=1, prices={"caption": 2})
    hook = budget.watch(caption_call())
    await hook.sending()
    hook.sent()
    await hook.failed(InvalidRequest("no"), final=False)
    await hook.sending()
    if is_sent:
        hook.sent()
    hook.cancelled()
    hook.cancelled()

    at_risk = Spending(calls_at_risk=1, points_at_risk=2)
    assert budget.spending == (at_risk if is_sent else Spending())


async def test_an_attempt_is_settled_once():
    """What comes after its answer or its failure changes nothing."""
    answered, failed = Budget(calls=1), Budget(calls=1)
    for budget in (answered, failed):
        hook = budget.watch(caption_call())
        await hook.sending()
        if budget is answered:
            await hook.answered(reply(FOUND))
        else:
            await hook.failed(OutcomeUnknown("lost"), final=False)
        await hook.failed(NotSent("no"), final=True)
        await hook.failed(DatabaseFailed("full", billed="yes"), final=True)
        hook.cancelled()

    assert (answered.spending, failed.spending) == (Spending(calls=1), Spending(calls_at_risk=1))


def test_a_call_that_is_too_much_already_is_not_watched():
    """Its price is looked at before it waits for a permit."""
    budget = Budget(points=5, calls=9, prices={"caption": 6, "search": 5, "embedding": 0})

    with pytest.raises(BudgetExceeded, match="6 points more would pass the budget of 5; 0 are"):
        budget.watch(caption_call())
    assert budget.watch(search_call()).price == 5
    assert budget.watch(embed_call()).price == 0
    assert budget.watch(videos.list()) is None
    assert budget.spending == Spending()


def test_a_price_that_nothing_depends_on_may_be_missing():
    """Only a cap on points needs it."""
    assert Budget(calls=1).price("search") is None
    assert Budget(prices={"search": 2}).price("search") == 2
    assert Budget(calls=1).watch(search_call()).price == 0
    assert Budget(calls=0, points=0, prices={"search": 0}).calls == 0


def test_a_budget_says_what_it_is_and_stays_where_it_is():
    """Two processes with one budget each would spend it twice."""
    budget = Budget(points=5, prices={"search": 1})
    assert "points=5" in repr(budget)
    with pytest.raises(TypeError, match="one process"):
        pickle.dumps(budget)
    with pytest.raises(ValueError, match="needs"):
        Budget()


@pytest.mark.parametrize(
    ("wrong", "named"),
    [({"points": -1}, "points"), ({"calls": -1}, "calls"), ({"prices": {"search": -2}}, "search")],
)
def test_a_budget_of_less_than_nothing_is_refused(wrong, named):
    """A price below 0 would let everything through."""
    with pytest.raises(ValueError, match=f"{named}.* must be a .*number, 0 or more, .*not -"):
        Budget(**wrong)


@given(
    st.integers(0, 20),
    st.lists(st.sampled_from(["charge", "release", "hold"]), max_size=60),
)
def test_it_is_never_passed(cap, ends):
    """Whatever becomes of the calls, what is spent and at risk fits."""
    budget = Budget(points=cap, prices={"search": 3})
    for end in ends:
        try:
            budget.reserve(3)
        except BudgetExceeded:
            continue
        if end != "hold":
            getattr(budget, end)(3)
        seen = budget.spending
        assert seen.points + seen.points_at_risk <= cap
        assert seen.calls + seen.calls_at_risk <= cap // 3
