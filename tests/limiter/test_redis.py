"""The limiter of many machines: what the server and the way there must withstand."""

from __future__ import annotations

import asyncio
import pickle
import socket
import sys
import time

import pytest
from limiters import bucket

from memories_async import RedisLimiter
from memories_async.limiter._redis import RedisStore
from memories_async.limiter._rule import Word
from memories_async.limiter._store import StoreDown

ASK = Word(member="a", wants=(1, 0))


@pytest.fixture
def nowhere() -> str:
    """The URL of a server that is not there."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"redis://:geheim@127.0.0.1:{probe.getsockname()[1]}/0"


def test_two_clients_of_a_server_share_a_bucket(redis_url):
    """By the server's clock; other keys are other buckets."""
    first = RedisStore(redis_url).exchange(bucket(1), ASK)
    second = RedisStore(redis_url).exchange(bucket(1), Word(member="b", wants=(1, 0)))
    other = RedisStore(redis_url).exchange(bucket(1, family="captions"), ASK)

    assert (first.granted, second.granted, other.granted) == (0, None, 0)
    assert second.again == pytest.approx(1.0, abs=0.1)


def test_a_store_goes_on_after_a_fork_with_a_connection_of_its_own(redis_url):
    """Two processes must not read one another's answers."""
    store = RedisStore(redis_url)
    store.exchange(bucket(), ASK)
    store.forget()

    assert store._held == []
    assert store.exchange(bucket(), ASK).granted is None


def test_a_server_that_is_not_there_counts_as_down(nowhere):
    """What is said of it holds no password."""
    with pytest.raises(StoreDown, match="refused") as caught:
        RedisStore(nowhere).exchange(bucket(), ASK)
    said = RedisLimiter(nowhere).describe()

    assert "refused" in said.fault
    for text in (str(caught.value), said.where, said.fault, repr(RedisLimiter(nowhere))):
        assert "geheim" not in text


def test_what_is_in_force_is_said(redis_url):
    """Per bucket, by the server's clock."""
    limiter = RedisLimiter(redis_url, account="acme")

    async def work():
        async with limiter.permit(bucket(1)):
            await limiter.pause(bucket(1), 30)
            await asyncio.sleep(0.1)
            return limiter.describe()

    said = asyncio.run(work())
    (state,) = said.buckets
    assert (said.store, said.fault, state.account) == ("redis", None, "acme")
    assert (state.family, state.busy, state.waiting, state.slowness) == ("search", 1, 0, 2.0)
    assert 29 < state.wait <= 30


def test_a_bucket_that_ends_while_it_is_looked_at_is_left_out(redis_url):
    """It was in the list, and is gone."""
    from redis import Redis

    with Redis.from_url(redis_url) as client:
        client.set("memories_async:limiter:gone soon", b"", px=1)
        time.sleep(0.01)
        store = RedisStore(redis_url)
        store._client().scan_iter = lambda _: [b"memories_async:limiter:gone soon"]
        assert store.look()[1] == {}


def test_the_limiter_pickles_as_its_url(redis_url):
    """In another process it is the same server's; here it shares one clerk."""
    limiter = RedisLimiter(redis_url, account="acme")
    other = pickle.loads(pickle.dumps(limiter))

    assert other._clerk is limiter._clerk
    assert other._named(bucket()).account == "acme"


def test_other_urls_are_refused():
    """At once."""
    with pytest.raises(ValueError, match="redis://"):
        RedisLimiter("https://example.com")


def test_the_missing_extra_is_named(monkeypatch):
    """At once, and how to get it."""
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(ImportError, match=r"memories_async\[redis\]"):
        RedisLimiter("redis://127.0.0.1:1/0")
