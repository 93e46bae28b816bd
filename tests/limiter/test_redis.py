"""The limiter of many machines: what the server and the connection must withstand."""

from __future__ import annotations

import asyncio
import pickle
import socket
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from limiters import bucket

from memories_async import RedisLimiter
from memories_async.limiter import Priority
from memories_async.limiter import _redis as module
from memories_async.limiter._redis import MARKER, PREFIX, ClockOffset, RedisStore
from memories_async.limiter._rule import Request, pause_after_loss
from memories_async.limiter._store import StoreUnavailableError

ASK = Request(member="a", wants=(0, 1, 0))


def exchange(url, where, request):
    """Ask by a store of its own, as another process does."""
    _, response = RedisStore(url).exchange(where, request, patience=1.0)
    return response


@pytest.fixture
def redis_url(redis_url) -> str:
    """The server, emptied, which has been in use for a while."""
    from redis import Redis

    with Redis.from_url(redis_url) as client:
        client.set(MARKER, repr(0.0))
    return redis_url


@pytest.fixture
def nowhere() -> str:
    """The URL of a server that is not there."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"redis://:geheim@127.0.0.1:{probe.getsockname()[1]}/0"


def test_two_clients_of_a_server_share_a_bucket(redis_url):
    """By the server's clock; other keys are other buckets."""
    first = exchange(redis_url, bucket(1), ASK)
    second = exchange(redis_url, bucket(1), Request(member="b", wants=(0, 1, 0)))
    other = exchange(redis_url, bucket(1, family="captions"), ASK)

    assert (first.granted, second.granted, other.granted) == (
        Priority.INTERACTIVE,
        None,
        Priority.INTERACTIVE,
    )
    assert second.again == pytest.approx(1.0, abs=0.1)


def test_a_store_goes_on_after_a_fork_with_a_connection_of_its_own(redis_url):
    """Two processes must not read one another's responses."""
    store = RedisStore(redis_url)
    store.exchange(bucket(), ASK, patience=1.0)
    before = store._client
    store.forget()

    assert store.exchange(bucket(), ASK, patience=1.0)[1].granted is None
    assert store._client is not before


def test_an_exchange_that_another_process_interrupts_is_done_again(redis_url, monkeypatch):
    """Neither sees half of the other: two ticks for two members, a gap apart."""
    real, interrupted = module._send, []

    def send(connection, *commands):
        if commands[-1] == ("EXEC",) and not interrupted:
            interrupted.append(None)
            other = Request(member="b", wants=(0, 1, 0))
            interrupted[0] = exchange(redis_url, bucket(1), other)
        return real(connection, *commands)

    monkeypatch.setattr(module, "_send", send)
    response = exchange(redis_url, bucket(1), ASK)

    assert interrupted[0].granted is Priority.INTERACTIVE
    assert (response.granted, response.permits) == (None, 1)


def test_a_server_that_lost_everything_begins_with_a_pause(redis_url):
    """Also for a process that never used it; without the loss a new bucket waits for nothing."""
    from redis import Redis

    with Redis.from_url(redis_url) as client:
        client.flushall()
    lost = exchange(redis_url, bucket(1), ASK)
    other = exchange(redis_url, bucket(1, family="captions"), ASK)

    assert (lost.granted, other.granted) == (None, None)
    assert lost.again == pytest.approx(pause_after_loss(bucket(1).limit))


@pytest.mark.parametrize("garbage", [b"", b"\xff\xc1garbage", b"x" * 500])
def test_a_record_that_is_damaged_counts_as_lost(redis_url, garbage):
    """The bucket is made anew, and begins with a pause."""
    from redis import Redis

    exchange(redis_url, bucket(1), ASK)
    with Redis.from_url(redis_url) as client:
        client.set(PREFIX + bucket(1).name, garbage)
    response = exchange(redis_url, bucket(1), Request(member="b", wants=(0, 1, 0)))

    assert response.granted is None
    assert response.again > 1.0


def test_a_marker_that_is_damaged_counts_as_lost(redis_url):
    """It is written anew, and the buckets that are new begin with a pause."""
    from redis import Redis

    with Redis.from_url(redis_url) as client:
        client.set(MARKER, b"\xff\xc1garbage")
        assert exchange(redis_url, bucket(1), ASK).granted is None
        assert float(client.get(MARKER)) > 0


def test_a_connection_that_the_server_closed_while_idle_is_replaced(redis_url):
    """Servers do so after some minutes, and with a restart: the store counts as available."""
    from redis import Redis

    store = RedisStore(redis_url)
    store.exchange(bucket(1), ASK, patience=1.0)
    with Redis.from_url(redis_url) as client:
        client.client_kill_filter(_type="normal", skipme=True)

    assert store.exchange(bucket(1), ASK, patience=1.0) is not None


def test_a_key_of_another_kind_counts_as_unavailable(redis_url):
    """Another program's key is not overwritten."""
    from redis import Redis

    with Redis.from_url(redis_url) as client:
        client.lpush(PREFIX + bucket(1).name, "x")
        with pytest.raises(StoreUnavailableError, match="WRONGTYPE"):
            exchange(redis_url, bucket(1), ASK)
        assert client.llen(PREFIX + bucket(1).name) == 1


def test_a_server_that_is_not_there_counts_as_down(nowhere):
    """No message holds the password."""
    with pytest.raises(StoreUnavailableError, match="refused") as caught:
        exchange(nowhere, bucket(), ASK)
    said = RedisLimiter(nowhere).describe()

    assert "refused" in said.fault
    for text in (str(caught.value), said.where, said.fault, repr(RedisLimiter(nowhere))):
        assert "geheim" not in text


def test_describe_shows_the_state_of_each_bucket(redis_url):
    """Times are by the server's clock."""
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


def test_a_bucket_that_ends_while_the_list_is_read_is_left_out(redis_url, monkeypatch):
    """It was in the list, and is gone."""
    exchange(redis_url, bucket(), ASK)
    real = module._send

    def send(connection, *commands):
        gone = [None] if commands[0][0] == "GET" else None
        return gone or real(connection, *commands)

    monkeypatch.setattr(module, "_send", send)
    assert RedisStore(redis_url).read_all()[1] == {}


def test_the_limiter_pickles_as_its_url(redis_url):
    """In another process it is the same server's; here it shares one worker."""
    limiter = RedisLimiter(redis_url, account="acme")
    other = pickle.loads(pickle.dumps(limiter))

    assert other._worker is limiter._worker
    assert other._with_account(bucket()).account == "acme"


def test_other_urls_are_refused():
    """When the limiter is created."""
    with pytest.raises(ValueError, match="redis://"):
        RedisLimiter("https://example.com")


def test_a_missing_extra_is_named_in_the_error(monkeypatch):
    """When the limiter is created."""
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(ImportError, match=r"memories_async\[redis\]"):
        RedisLimiter("redis://127.0.0.1:1/0")


def test_a_slow_round_trip_does_not_move_the_servers_clock():
    """The offset is that of the quickest one, until the server's clock is set."""
    offset = ClockOffset()
    first = offset.convert(1000.001, 50.000, 50.002)
    slow = offset.convert(1001.001, 51.000, 51.300)
    jumped = offset.convert(5000.001, 52.000, 52.002)

    assert first == pytest.approx(50.001)
    assert slow == pytest.approx(51.001)
    assert jumped == pytest.approx(52.001)


@given(
    st.floats(-1e-5, 1e-5),
    st.lists(st.tuples(st.floats(0, 0.5), st.floats(0, 0.5), st.floats(0, 60)), max_size=30),
)
def test_a_slow_way_there_or_back_moves_no_tick(drift, round_trips):
    """However late a busy machine reads a response, the estimate is as good as the first one's."""
    offset, now = ClockOffset(), 50.0
    for there, back, pause in [(0.001, 0.001, 0.0), *round_trips]:
        server_at = now + there
        server = 1000 + server_at * (1 + drift)
        found = offset.convert(server, now, server_at + back)
        now = server_at + back + pause

        assert abs(found - server_at) <= 0.001 + 1e-4 * (now - 50) + 1e-9
