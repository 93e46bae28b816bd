"""The script in Redis and the rules in Python are the same rules."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memories_async import Limit
from memories_async.limiter._redis import _LOOK as LOOK
from memories_async.limiter._redis import PREFIX, heard, script, seen, spoken
from memories_async.limiter._rule import BucketState, Word, hear

WORDS = st.builds(
    Word,
    member=st.sampled_from("abcd"),
    busy=st.integers(0, 3),
    wants=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    early=st.sampled_from([-1.0, 0.0, 0.05]),
    pause=st.sampled_from([None, None, None, 0.0, 1.5]),
    late=st.sampled_from([0.0, 0.0, 0.02, 3.0]),
    unused=st.integers(0, 4),
)
STEPS = st.lists(
    st.tuples(WORDS, st.floats(0, 1.5) | st.sampled_from([-5.0, 6.0])), min_size=1, max_size=30
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, limit=st.sampled_from([Limit(1), Limit(10, concurrency=2), Limit(1, per=60)]))
def test_the_script_answers_as_the_rules_do(redis_url, steps, limit):
    """Any words at any times: the same answers, and the same bucket after each."""
    from redis import Redis

    with Redis.from_url(redis_url) as client:
        client.flushall()
        run, look = client.register_script(script()), client.register_script(LOOK)
        now = 1000.0
        state = BucketState(seen=now + steps[0][1])
        for word, step in steps:
            now += step
            state, expected = hear(state, word, limit, now)
            answer = heard(run(keys=[PREFIX], args=[spoken(word, limit), repr(now)]))
            _, stored = seen(look(keys=[PREFIX]))
            same(answer, expected)
            assert {n: (m.busy, m.tickets) for n, m in stored.members.items()} == {
                n: (m.busy, m.tickets) for n, m in state.members.items()
            }
            assert stored.spacing.next_at == pytest.approx(state.spacing.next_at)
            assert stored.spacing.slowness == pytest.approx(state.spacing.slowness)


def same(answer, expected):
    """Compare all but the last digits."""
    for name in ("granted", "permit", "scarce"):
        assert getattr(answer, name) == getattr(expected, name)
    for name in ("start", "again"):
        assert getattr(answer, name) == pytest.approx(getattr(expected, name), abs=1e-6)
