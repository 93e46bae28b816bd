"""Faults of the network (cases 1-13), each with the server's own count of requests."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest
from attrs import evolve
from callers import HASTY, PATIENT, Caller, client
from samples import FOUND, caption_call, embed_call, search_call
from servers import answer, hang_up, http, raw, reset, serving, silent

from memories_async import Limit, Limits, clips
from memories_async._http import reference
from memories_async.errors import NotSent, OutcomeUnknown

ONCE = evolve(HASTY, attempts=1)


def closed_port() -> str:
    """A URL where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://localhost:{free.getsockname()[1]}"


async def test_a_host_name_that_does_not_resolve_is_not_sent(connect):
    """Case 1: the attempt is repeated; the error names the host and holds no key."""
    caller = connect("https://nowhere.invalid", policy=evolve(HASTY, attempts=2))
    error = await caller.fails(search_call(), NotSent)

    assert (error.billed, error.attempts, error.transient) == ("no", 2, True)
    assert "nowhere.invalid could not be resolved" in error.message


async def test_the_connect_timeout_ends_a_slow_name_lookup(connect, monkeypatch):
    """Case 2: nothing is sent."""

    def slow(*_, **__):
        time.sleep(0.4)
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    policy = evolve(ONCE, connect_timeout=0.1, timeout=60.0)
    error = await connect("https://slow.example", policy=policy).fails(search_call(), NotSent)

    assert (error.billed, error.transient) == ("no", True)
    assert "could not be reached within" in error.message


async def test_one_reachable_address_of_two_gets_one_request(connect, monkeypatch):
    """Case 6: whichever address is tried first."""
    genuine = socket.getaddrinfo

    def two(_, port, *more, **settings):
        dead, alive = (genuine(a, port, *more, **settings) for a in ("127.0.0.2", "127.0.0.1"))
        return [*dead, *alive]

    async with serving(answer(FOUND)) as server:
        monkeypatch.setattr(socket, "getaddrinfo", two)
        assert await connect(server.url).send(search_call())

        assert server.requests == 1


async def test_a_refused_connection_is_not_sent(connect):
    """Case 3: the attempt is repeated."""
    error = await connect(closed_port()).fails(search_call(), NotSent)

    assert (error.billed, error.attempts) == ("no", HASTY.attempts)
    assert "could not be reached" in error.message


async def test_a_server_that_starts_during_the_repeats_gets_one_request(connect):
    """Case 3."""
    url = closed_port()
    caller = connect(url, policy=evolve(HASTY, attempts=50, backoff=0.02, max_backoff=0.02))
    task = asyncio.create_task(caller.send(search_call()))
    await asyncio.sleep(0.05)
    seen = []

    async def serve(reader, writer):
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(http(b'{"code": "0000", "data": []}'))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", int(url.rpartition(":")[2]))
    async with server:
        assert await task == ()
    assert len(seen) == 1


async def test_the_connect_timeout_ends_a_host_that_drops_packets(connect):
    """Case 5: nothing is sent, and the time limit for answers does not apply."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(3)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        policy = evolve(ONCE, connect_timeout=0.1, timeout=60.0)
        caller = connect(f"http://localhost:{full.getsockname()[1]}", policy=policy)
        error = await caller.fails(search_call(), NotSent)
        for one in waiting:
            one.close()

    assert error.billed == "no"
    assert "could not be reached within" in error.message


@pytest.mark.parametrize("behaviour", [hang_up, reset, silent])
@pytest.mark.parametrize(
    "call", [search_call(), caption_call(), embed_call()], ids=lambda c: c.name
)
async def test_a_lost_reply_is_not_repeated(connect, behaviour, call):
    """Cases 4, 9, 11 and 12: the connection is closed, reset or silent after the request."""
    async with serving(behaviour) as server:
        error = await connect(server.url).fails(call, OutcomeUnknown)

        assert server.requests == 1
    assert (error.billed, error.attempts, error.call) == ("maybe", 1, call.name)
    assert f"localhost:{server.port}" in error.message


async def test_resend_unknown_repeats_a_lost_reply(connect):
    """The server then counts two requests."""
    async with serving(hang_up, answer(FOUND)) as server:
        caller = connect(server.url, policy=evolve(HASTY, resend_unknown=True))

        assert len(await caller.send(search_call())) == 1
        assert server.requests == 2


async def test_a_connection_that_was_closed_while_idle_is_not_used(connect):
    """Case 7: a new one is opened, and each call is one request."""

    async def then_close(exchange):
        await answer(FOUND)(exchange)
        exchange.close()

    async with serving(then_close) as server:
        caller = connect(server.url)
        await caller.send(search_call())
        await asyncio.sleep(0.02)
        await caller.send(search_call())

        assert (server.requests, server.connections) == (2, 2)


async def test_an_idle_connection_is_dropped_before_servers_close_it(connect, monkeypatch):
    """Case 8: many servers close after 5 s, which must not coincide with a billed request."""
    assert reference.KEEP_ALIVE < 5
    monkeypatch.setattr(reference, "KEEP_ALIVE", 0.02)
    async with serving(answer(FOUND)) as server:
        caller = connect(server.url)
        await caller.send(search_call())
        await asyncio.sleep(0.1)
        await caller.send(search_call())

        assert (server.requests, server.connections) == (2, 2)


async def test_a_kept_connection_that_closes_during_the_request_is_unknown(connect):
    """Case 8: the request is not repeated on another connection."""
    async with serving(answer(FOUND), reset) as server:
        caller = connect(server.url)
        await caller.send(search_call())
        await caller.fails(search_call(), OutcomeUnknown)

        assert (server.requests, server.connections) == (2, 1)


async def test_a_reset_in_the_middle_of_an_upload_is_unknown(connect):
    """Case 10: the server had the headers."""

    async def cut(exchange):
        await exchange.reader.readexactly(100_000)
        exchange.reset()

    async with serving(cut) as server:
        error = await connect(server.url).fails(big_search(), OutcomeUnknown)

        assert server.requests == 1
    assert error.billed == "maybe"


def big_search():
    """A search whose picture does not fit into the buffers of a loopback connection."""
    picture = b"\x89PNG\r\n\x1a\n" + bytes(12 * 1024 * 1024)
    return clips.search(picture, prompt="x", video_no="VI1")


async def test_waiting_calls_hold_no_connection_and_no_timeout():
    """Case 13: only the limiter makes calls wait, so no timeout runs while one waits in a pool."""
    in_flight, all_there = 0, asyncio.Event()

    async def answer_together(exchange):
        nonlocal in_flight
        in_flight += 1
        if in_flight == 120:
            all_there.set()
        await all_there.wait()
        await answer(FOUND)(exchange)

    async with serving(answer_together) as server:
        limits = Limits(search=Limit(100_000, concurrency=120))
        async with client(server.url, policy=PATIENT, limits=limits) as caller:
            await asyncio.gather(*(caller.send(search_call()) for _ in range(120)))

        assert server.requests == 120


@pytest.mark.parametrize(
    "data",
    [
        b'HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n{"code":',
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n{}\r\n0\r\n\r\n",
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"co',
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\x00\x01\x02\x03\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 10_000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    ],
    ids=[
        "cut",
        "cut-head",
        "bad-chunk",
        "cut-chunk",
        "ssh",
        "bytes",
        "long",
        "many",
        "length",
        "101",
    ],
)
async def test_a_broken_answer_is_an_unknown_outcome(connect, data):
    """Cases 38-41 and 47: it is never a refusal with a status that no server sent."""
    async with serving(raw(data)) as server:
        error = await connect(server.url).fails(search_call(), OutcomeUnknown)

        assert server.requests == 1
    assert error.billed == "maybe"
    assert error.status in (None, 101)


async def test_bytes_after_an_answer_are_ignored(connect):
    """Case 48: the first answer counts, and the connection is not used again."""
    good = http(b'{"code": "0000", "data": []}')
    async with serving(raw(good + http(b'{"code": "0402"}')), answer(FOUND)) as server:
        caller = connect(server.url)
        assert await caller.send(search_call()) == ()
        assert len(await caller.send(search_call())) == 1

        assert (server.requests, server.connections) == (2, 2)


async def test_bytes_on_an_idle_connection_are_no_answer_to_the_next_call(connect, transport):
    """Case 48: an answer that no request asked for is not taken for one that is paid."""
    if transport == "reference":
        pytest.skip("aiohttp's session takes it for the next answer, and does not tell")
    is_idle, has_come = asyncio.Event(), asyncio.Event()

    async def answer_twice(exchange):
        await answer(FOUND)(exchange)
        await is_idle.wait()
        await exchange.write(http(b'{"code": "0402"}'))
        has_come.set()

    async with serving(answer_twice, answer(FOUND)) as server:
        caller = connect(server.url)
        await caller.send(search_call())
        is_idle.set()
        await has_come.wait()
        for _ in range(20):  # cycles of the loop, in which the client reads them
            await asyncio.sleep(0)

        assert len(await caller.send(search_call())) == 1
        assert (server.requests, server.connections) == (2, 2)


async def test_interim_answers_are_skipped(connect):
    """Case 47: many "100 Continue" come before the answer."""
    storm = b"HTTP/1.1 100 Continue\r\n\r\n" * 50
    async with serving(raw(storm + http(b'{"code": "0000", "data": []}'))) as server:
        assert await connect(server.url).send(search_call()) == ()
        assert server.requests == 1


async def test_closing_a_client_ends_its_calls_as_unknown():
    """A caller whose client is closed during a call learns that the call may be billed."""
    async with serving(silent) as server:
        one = client(server.url, policy=evolve(HASTY, timeout=30.0))
        task = asyncio.create_task(Caller(one).fails(search_call(), OutcomeUnknown))
        await server.saw(1)
        await one.aclose()
        error = await task

        assert server.requests == 1
    assert error.billed == "maybe"
