"""Faults of time (cases 49-59): clocks, deadlines and cancellation at every stage."""

from __future__ import annotations

import asyncio
import time

import anyio
import pytest
from attrs import evolve
from callers import HASTY, Caller, Unlimited, client
from samples import FOUND, caption_call, search_call
from servers import answer, http, listening, serving, silent

from memories_async import InProcessLimiter, Limit, Limits, Policy, captions, clips
from memories_async.errors import NotSent, OutcomeUnknown

PATIENT = evolve(HASTY, timeout=30.0, deadline=60.0)


def drip(data, every):
    """Answer a byte at a time."""

    async def behave(exchange):
        await exchange.receive()
        for at in range(len(data)):
            await exchange.write(data[at : at + 1])
            await asyncio.sleep(every)

    return behave


async def test_an_answer_that_arrives_too_slowly_is_cut_off(connect):
    """Case 49: the time limit runs from the last byte sent, not from each byte received."""
    async with serving(drip(http(b"x" * 500), 0.05)) as server:
        error = await connect(server.url).fails(search_call(), OutcomeUnknown)

        assert server.requests == 1
    assert "no complete answer in time" in error.message


async def test_an_upload_longer_than_the_timeout_succeeds_while_bytes_move(connect):
    """Case 50: only silence ends an attempt."""
    took = []

    async def slow(exchange):
        begun = time.monotonic()
        left = int(exchange.headers["content-length"])
        while left:
            left -= len(await exchange.reader.read(1024 * 1024))
            await asyncio.sleep(0.015)
        took.append(time.monotonic() - begun)
        await exchange.write(http(b'{"code": "0000", "data": []}'))

    picture = b"\x89PNG\r\n\x1a\n" + bytes(18 * 1024 * 1024)
    call = clips.search(picture, prompt="x", video_no="VI1")
    async with serving(slow) as server:
        caller = connect(server.url, policy=evolve(HASTY, timeout=0.25))
        assert await caller.send(call) == ()

        assert server.requests == 1
    assert took[0] > 0.25


async def test_a_caption_in_the_reply_may_take_longer_than_timeout_and_deadline(connect):
    """The service works on the video before it answers."""
    call = captions.upload_sync("https://x/a.mp4", user_prompt="u", system_prompt="s")
    document = {"code": 0, "msg": "success", "data": {"text": "a cat"}}
    async with serving(answer(document, after=0.4)) as server:
        caller = connect(server.url, policy=evolve(HASTY, timeout=0.1, deadline=0.2))
        assert (await caller.send(call)).text == "a cat"

        assert server.requests == 1


async def test_an_answer_after_the_deadline_is_unknown(connect):
    """Case 51: the late answer is lost, and the next call does not receive it."""
    async with serving(answer(FOUND, after=0.3), answer({**FOUND, "data": []})) as server:
        caller = connect(server.url, policy=evolve(PATIENT, deadline=0.1))
        begun = time.monotonic()
        await caller.fails(search_call(), OutcomeUnknown)
        assert time.monotonic() - begun < 1.1
        assert await caller.send(search_call()) == ()

        assert server.requests == 2


async def test_the_deadline_covers_all_attempts_and_waits(connect):
    """It is exceeded by less than a second."""
    policy = Policy(deadline=0.2, backoff=0.05, attempts=1000)
    caller = connect("http://localhost:9", policy=policy)
    begun = time.monotonic()
    error = await caller.fails(search_call(), NotSent)

    assert error.attempts > 1
    assert time.monotonic() - begun < 1.2


ONE_AT_A_TIME = Limits(search=Limit(100_000, concurrency=1))


async def test_a_call_cancelled_before_its_permit_sends_nothing():
    """Case 52: the next waiter goes on."""
    settings = {"limits": ONE_AT_A_TIME, "policy": PATIENT}
    async with serving(silent, answer(FOUND)) as server:
        one = client(server.url, **settings)
        async with one:
            first, second, third = (asyncio.create_task(one.send(search_call())) for _ in range(3))
            await server.saw(1)
            await cancel(second)
            assert server.requests == 1
            await cancel(first)

            assert await third
            assert server.requests == 2


async def test_a_call_cancelled_while_connecting_sends_nothing():
    """Case 53: its slot is free again."""
    limiter = Unlimited()
    reached = asyncio.Event()

    async def stall(_):
        reached.set()

    async with listening(stall) as port:
        url = f"https://localhost:{port}"
        async with client(url, policy=PATIENT, limiter=limiter) as one:
            task = asyncio.create_task(one.send(search_call()))
            await reached.wait()
            await cancel(task)

    assert limiter.busy() == 0


async def test_a_call_cancelled_while_waiting_closes_its_connection():
    """Case 54: its slot is free, and no other call gets the late answer."""
    limiter, closed = Unlimited(), asyncio.Event()

    async def notice(exchange):
        await exchange.receive()
        await exchange.reader.read()
        closed.set()

    async with serving(notice, answer(FOUND)) as server:
        async with client(server.url, policy=PATIENT, limiter=limiter) as one:
            task = asyncio.create_task(one.send(caption_call()))
            await server.saw(1)
            await cancel(task)
            await asyncio.wait_for(closed.wait(), 5)
            assert limiter.busy() == 0
            assert await one.send(search_call())

        assert server.requests == 2


async def test_a_call_cancelled_while_uploading_closes_every_file(tmp_path):
    """Case 54: an open file would raise a ResourceWarning."""
    (tmp_path / "big.png").write_bytes(b"\x89PNG" + bytes(15 * 1024 * 1024))

    async def slow(exchange):
        await exchange.reader.readexactly(100)
        await asyncio.Event().wait()

    async with serving(slow) as server:
        async with client(server.url, policy=PATIENT) as one:
            call = clips.search(tmp_path / "big.png", prompt="x", video_no="VI1")
            task = asyncio.create_task(one.send(call))
            await server.saw(1)
            await asyncio.sleep(0.05)
            await cancel(task)

        assert server.requests == 1


async def test_timeouts_and_scopes_of_the_caller_work():
    """Case 56: `asyncio.timeout`, anyio's scopes, a failing sibling task."""
    async with serving(silent) as server, client(server.url, policy=PATIENT) as one:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await one.send(search_call())
        with anyio.move_on_after(0.05) as scope:
            await one.send(search_call())
        assert scope.cancelled_caught
        with pytest.raises(ExceptionGroup) as caught:
            await with_failing_sibling(one, server)

        assert [type(error) for error in caught.value.exceptions] == [KeyError]
        assert server.requests <= 3


async def with_failing_sibling(one, server):
    """Send in a group whose other task fails."""

    seen = server.requests

    async def fail():
        await server.saw(seen + 1)
        raise KeyError

    async with asyncio.TaskGroup() as group:
        group.create_task(one.send(search_call()))
        group.create_task(fail())


async def test_a_limiter_ignores_the_wall_clock(monkeypatch):
    """Case 58: the wall clock jumps by an hour, and no call waits for it."""
    async with (
        serving(answer(FOUND)) as server,
        client(server.url, limiter=InProcessLimiter()) as one,
    ):
        await one.send(search_call())
        for jump in (-3600.0, 3600.0):
            now = time.time() + jump
            monkeypatch.setattr(time, "time", lambda now=now: now)
            async with asyncio.timeout(5):
                await one.send(search_call())

        assert server.requests == 3


async def test_a_blocked_event_loop_sends_nothing_twice():
    """Case 59: the time limits fire late, and the call stays one request."""
    async with serving(silent) as server, client(server.url) as one:
        task = asyncio.create_task(Caller(one).fails(search_call(), OutcomeUnknown))
        await server.saw(1)
        time.sleep(0.6)  # noqa: ASYNC251  # the fault itself
        error = await task

        assert server.requests == 1
    assert error.billed == "maybe"


async def cancel(task) -> None:
    """Cancel a call, which must not swallow it."""
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
