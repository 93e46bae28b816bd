"""One client under several event loops, threads, copies and processes."""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import os
import pickle
import threading
import tracemalloc

import pytest
import trustme
from callers import HASTY, UNLIMITED, client, settings, settings_of
from samples import FOUND, KEY, search_call
from servers import answer, serving

from memories_async import Client, InProcessLimiter, Limit, Limits, blocking
from memories_async._http import transport as session_module
from memories_async._protocol.keys import Key
from memories_async.errors import NotSent
from memories_async.limiter import in_process


@pytest.fixture
def url():
    """A server on a thread of its own, for tests whose loops come and go."""
    with serving_aside(answer(FOUND)) as server:
        yield server.url


class serving_aside:  # noqa: N801  # used like a function
    """A raw server on a loop that is not the test's."""

    def __init__(self, *script):
        self.server = serving(*script)
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)

    def run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(10)

    def __enter__(self):
        self.thread.start()
        return self.run(self.server.__aenter__())

    def __exit__(self, *_):
        self.run(self.server.__aexit__())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


def test_one_client_works_under_three_runs(url):
    """The sessions of loops that ended are closed without a call of `aclose`."""
    one = client(url)
    for _ in range(3):
        assert len(asyncio.run(one.send(search_call()))) == 1

    assert len(one._transport._sessions._open) == 1
    asyncio.run(one.aclose())
    assert not one._transport._sessions._open


def test_a_loop_that_ends_badly_takes_its_session_along(url):
    """The next one opens its own."""
    one = client(url)

    async def fail():
        await one.send(search_call())
        raise KeyError

    with pytest.raises(KeyError):
        asyncio.run(fail())
    assert asyncio.run(one.send(search_call()))


def test_two_threads_with_loops_share_one_client(url):
    """Each has its own session; the line for permits is common."""
    one = client(url)
    found = []

    def work():
        async def ask():
            for _ in range(5):
                found.append(await one.send(search_call()))

        asyncio.run(ask())

    run_threads(4, work)

    assert len(found) == 20


def test_sessions_of_dead_loops_are_forgotten(url):
    """From several threads at once."""
    one = client(url)
    run_threads(8, lambda: [asyncio.run(one.send(search_call())) for _ in range(4)])
    asyncio.run(one.send(search_call()))

    assert len(one._transport._sessions._open) == 1


def run_threads(number, work):
    """Run *work* in that many threads and raise what any of them raised."""
    failures = []

    def guarded():
        try:
            work()
        except BaseException as error:  # noqa: BLE001  # told to the test
            failures.append(error)

    threads = [threading.Thread(target=guarded) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


async def test_closing_closes_the_sessions_of_other_loops_too(url):
    """Their loops are asked to."""
    one = client(url)
    opened, done = threading.Event(), threading.Event()
    closed = []

    async def ask():
        await one.send(search_call())
        session = next(iter(one._transport._sessions._open.values()))
        opened.set()
        await asyncio.to_thread(done.wait)
        closed.append(session.connector.closed)

    thread = threading.Thread(target=lambda: asyncio.run(ask()))
    thread.start()
    await asyncio.to_thread(opened.wait)
    await one.aclose()
    await asyncio.sleep(0.05)
    done.set()
    await asyncio.to_thread(thread.join)

    assert closed == [True]


async def test_a_client_may_be_closed_twice_and_used_again(url):
    """Closing closes what is open."""
    one = client(url)
    await one.aclose()
    assert await one.send(search_call())
    await one.aclose()
    await one.aclose()
    assert await one.send(search_call())
    await one.aclose()


async def test_a_copy_with_another_policy_shares_the_session(url):
    """So it costs nothing to make one for a single call."""
    async with client(url) as one:
        await one.send(search_call())
        twin = one.with_policy(attempts=1)
        await twin.send(search_call())

        assert twin._transport is one._transport
        assert settings_of(twin).limiter is settings_of(one).limiter
        assert (settings_of(twin).policy.attempts, settings_of(one).policy) == (1, HASTY)


@pytest.mark.parametrize("kind", [Client, blocking.Client])
def test_ten_thousand_copies_stay_flat(kind):
    """Nothing is kept of them."""
    one = kind(**settings("http://localhost:1"))
    gc.collect()
    tracemalloc.start()
    for _ in range(10_000):
        one.with_policy(timeout=1.0)
    gc.collect()
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert size < 100_000


@pytest.mark.parametrize("kind", [Client, blocking.Client])
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_clients_pickle_as_configuration(kind, protocol):
    """Without the key's bytes, and before as after use."""
    one = kind(**settings("http://localhost:1", limiter=InProcessLimiter(), proxy="http://p:1"))
    packed = pickle.dumps(one, protocol)
    twin = pickle.loads(packed)

    assert KEY.encode() not in packed
    assert settings_of(twin).key.reveal() == KEY
    assert (settings_of(twin).policy, settings_of(twin).limits) == (HASTY, UNLIMITED)
    assert {*settings_of(twin).proxies.values()} == {"http://p:1"}
    assert type(twin) is kind


def test_a_client_in_use_pickles(url):
    """Its sessions, threads and waiters stay here."""
    with blocking.Client(**settings(url)) as one:
        one.send(search_call())
        twin = pickle.loads(pickle.dumps(one))

    with twin:
        assert twin.send(search_call())


@pytest.mark.parametrize("kind", [Client, blocking.Client])
def test_a_client_without_its_key_unpickles_and_says_so_when_it_sends(kind, monkeypatch):
    """A pool waits for ever for a worker that fails to unpickle; the error is the call's."""
    packed = pickle.dumps(kind(**settings("http://localhost:1")))
    monkeypatch.setattr(Key, "_known", {})
    twin = pickle.loads(packed)
    awaited = twin if isinstance(twin, Client) else twin._client

    with pytest.raises(ValueError, match="set MEMORIES_API_KEY in this process"):
        asyncio.run(awaited.send(search_call()))


def test_a_client_whose_ca_file_is_elsewhere_unpickles_and_says_so_when_it_sends(tmp_path):
    """As it does without its key."""
    file = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(file)
    packed = pickle.dumps(client("https://localhost:1", ssl=str(file)))
    file.unlink()
    twin = pickle.loads(packed)

    async def send():
        async with twin:
            await twin.send(search_call())

    with pytest.raises(NotSent, match="cannot send in this process"):
        asyncio.run(send())


def test_an_unpicklable_trust_says_what_to_do_instead():
    """A context cannot travel, a file's path can."""
    import ssl

    one = client("https://localhost:1", ssl=ssl.create_default_context())
    with pytest.raises(TypeError, match="pass ssl= the path of a CA file"):
        pickle.dumps(one)


async def test_inherited_sessions_are_neither_used_nor_closed(url):
    """What a forked child does first, told apart from the fork."""
    async with client(url) as one:
        await one.send(search_call())
        sessions = one._transport._sessions
        mine = sessions._open
        session_module._all.call(session_module.Sessions.reset_after_fork)
        await one.send(search_call())

        session, inherited = *sessions._open.values(), *mine.values()
        assert session is not inherited
        assert not inherited.connector.closed
        sessions._open |= mine
        await session.client.close()


def in_child(work) -> int:
    """Run *work* in a forked child; return 0 if it succeeded."""
    child = os.fork()
    if child == 0:
        status = 1
        faulthandler.dump_traceback_later(20, exit=True)  # a failure, not a test that hangs
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_both_clients_work_in_a_forked_child(url):
    """Used before the fork, used after it on both sides, and closed on both."""
    awaited, waited = client(url), blocking.Client(**settings(url))
    waited.send(search_call())

    async def ask():
        return await awaited.send(search_call())

    def work():
        assert not waited._client._transport._sessions._open
        assert asyncio.run(ask())
        assert waited.send(search_call())
        waited.close()

    asyncio.run(ask())
    assert in_child(work) == 0
    assert waited.send(search_call())
    waited.close()


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.parametrize("limiter", [in_process, InProcessLimiter()])
def test_a_child_forked_in_the_middle_of_a_call_holds_none_of_its_permits(url, limiter):
    """The child does not inherit the parent's permits, which it could never give back."""
    one = blocking.Client(
        **settings(url, limiter=limiter, limits=Limits(search=Limit(100_000, concurrency=1)))
    )
    taken = settings_of(one).limiter.permit(settings_of(one).bucket(search_call().host, "search"))
    one._thread.wait(taken.__aenter__())

    def work():
        assert one.with_policy(deadline=5.0).send(search_call())

    assert in_child(work) == 0
    one._thread.wait(taken.__aexit__(None, None, None))
    one.close()
