"""The metrics of calls, requests, waits and callbacks."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from callers import Scripted, Unlimited, over
from samples import EMBEDDED, FOUND, LIMITED, embed_call, reply, search_call

from memories_async import InProcessLimiter, Ledger, Limit, Limits, OutcomeUnknown
from memories_async.budget import Budget


def total(points, **attributes) -> float:
    """The sum of the values that have *attributes*."""
    wanted = {f"memories.{name}": value for name, value in attributes.items()}
    return sum(value for facts, value in points.items() if wanted.items() <= dict(facts).items())


async def test_calls_and_requests_are_counted_by_what_they_cost(recorded, tmp_path):
    """A replay is a call without a request; a request that was refused cost nothing."""
    script = [reply(LIMITED, status=429), reply(EMBEDDED), OutcomeUnknown("lost")]
    with Ledger(tmp_path / "run.db") as ledger:
        one = over(
            Scripted(script), observers=[recorded.observer()], limiter=Unlimited(), ledger=ledger
        )
        for name in ("re_1", "re_1", "re_2"):
            with suppress(OutcomeUnknown):
                await one.send(embed_call(name))

    requests, calls = recorded.points("memories.requests"), recorded.points("memories.calls")
    assert [total(requests, billed=billed) for billed in ("no", "yes", "maybe")] == [1, 1, 1]
    assert total(calls, outcome="done", billed="yes", replayed=False) == 1
    assert total(calls, outcome="done", billed="no", replayed=True) == 1
    assert total(calls, outcome="unknown", billed="maybe", replayed=False) == 1
    assert sum(recorded.points("memories.limiter.pauses").values()) == 1
    assert total(calls, call="embeddings.video") == sum(calls.values()) == 3


async def test_points_are_those_of_a_budget_and_say_how_certain_they_are(recorded):
    """What was refused costs none."""
    script = [reply(EMBEDDED), OutcomeUnknown("lost"), reply({"code": "0003", "msg": "no"})]
    budget = Budget(points=100, prices={"embedding": 2.5})
    one = over(Scripted(script), observers=[recorded.observer()], budget=budget)
    await asyncio.gather(*(one.send(embed_call()) for _ in script), return_exceptions=True)

    points = recorded.points("memories.points")
    assert (total(points, billed="yes"), total(points, billed="maybe")) == (2.5, 2.5)
    assert sum(points.values()) == 5


async def test_durations_are_told_by_operation_and_by_status(recorded):
    """The call's over all requests, with the attributes of the conventions."""
    script = [reply(LIMITED, status=429), reply(FOUND)]
    one = over(Scripted(script), observers=[recorded.observer()], limiter=Unlimited())
    await one.send(search_call())

    (call,) = recorded.points("gen_ai.client.operation.duration").items()
    server = {"server.address": "localhost", "server.port": 1}
    assert dict(call[0]) == {
        "gen_ai.operation.name": "retrieval",
        "gen_ai.provider.name": "memories_ai",
        **server,
    }
    requests = [dict(facts) for facts in recorded.points("http.client.request.duration")]
    shared = {"http.request.method": "POST", **server}
    assert {**shared, "http.response.status_code": 200} in requests
    assert {**shared, "http.response.status_code": 429, "error.type": "429"} in requests
    assert len(requests) == 2


async def test_the_queue_and_the_waits_for_permits_are_told(recorded):
    """The queue is empty again at the end, also of calls that were cancelled in it."""
    limits = Limits(embeddings=Limit(1, per=60))
    one = over(
        Scripted([reply(EMBEDDED)]),
        observers=[recorded.observer()],
        limits=limits,
        limiter=InProcessLimiter(),
    )
    await one.send(embed_call())
    tasks = [asyncio.create_task(one.send(embed_call())) for _ in range(3)]
    for _ in range(20):
        await asyncio.sleep(0)
    waiting = recorded.points("memories.limiter.queue")
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

    bucket = frozenset({("memories.bucket", "embeddings")})
    assert waiting == {bucket: 3}
    assert recorded.points("memories.limiter.queue") == {bucket: 0}
    assert [*recorded.points("memories.limiter.wait")] == [bucket]
