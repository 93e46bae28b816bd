"""The key is in one header and nowhere else: not in errors, tracebacks, logs, reprs or pickles."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import pickle
import traceback

import pytest
from attrs import evolve
from callers import HASTY, Unlimited, client, settings
from samples import FOUND, KEY, LIMITED, caption_call, search_call
from servers import answer, hang_up, raw, reset, serving, silent

from memories_async import Ledger, clips
from memories_async.errors import MemoriesError

PROMPT = "a very private prompt"
FAILURES = {
    "closed": hang_up,
    "reset": reset,
    "silent": silent,
    "garbage": raw(b"SSH-2.0\r\n"),
    "cut": raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"),
    "long": raw(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 99_999 + b"\r\n\r\n"),
    "bomb": raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n" + bytes(9_000_000)),
    "html": answer(b"<html>"),
    "refused": answer({"code": "0401", "msg": "no"}),
    "limited": answer(LIMITED, Retry_After="86400"),
    "500": answer(b"oops", 500),
    "redirect": answer(b"", 307, Location="http://localhost:1/"),
    "gzip": raw(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nxxxx"),
}


def everything_told(error) -> str:
    """All that a log, a debugger or a crash reporter could show of *error* and its kin."""
    seen, told = [error], [pickle.dumps(error).decode("latin-1")]
    for one in seen:
        told += [repr(one), str(one), repr(one.args), repr(vars(one))]
        told += getattr(one, "__notes__", [])
        kin = [one.__cause__, one.__context__, *getattr(one, "exceptions", [])]
        seen += [e for e in kin if e is not None and e not in seen]
        # Python's own report of locals, and then what a debugger would find inside them.
        below = below_the_tests(one.__traceback__)
        report = traceback.TracebackException(type(one), one, below, capture_locals=True)
        told += report.format(chain=False)
        told += [repr(v) for frame, _ in traceback.walk_tb(below) for v in inside(frame)]
    return "\n".join(told)


def below_the_tests(below):
    """The part of a traceback that is not the tests' own, whose server knows the key."""
    last = below
    while last is not None:
        if "/tests/" in last.tb_frame.f_code.co_filename:
            below = last.tb_next
        last = last.tb_next
    return below


def inside(frame):
    """What the locals of a frame hold, one level deep."""
    for value in frame.f_locals.values():
        yield value
        yield from (vars(value).values() if hasattr(value, "__dict__") else ())


@pytest.fixture
def log():
    """Everything that is logged anywhere, down to DEBUG, with tracebacks."""
    stream = io.StringIO()
    handler, root = logging.StreamHandler(stream), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield stream
    root.removeHandler(handler)
    root.setLevel(level)


@pytest.mark.parametrize("name", FAILURES)
async def test_no_failure_tells_the_key(connect, log, name):
    """Whatever goes wrong after the request has left."""
    async with serving(FAILURES[name]) as server:
        caller = connect(server.url, limiter=Unlimited())
        with pytest.raises(MemoriesError) as caught:
            await caller.send(search_call(prompt=PROMPT))

        assert server.exchanges[0].headers["authorization"] == KEY
    told = everything_told(caught.value) + log.getvalue()
    assert KEY not in told
    assert PROMPT not in log.getvalue()
    assert log.getvalue()


ECHOES = {
    "message": answer({"code": "0401", "msg": f"Incorrect API key provided: {KEY}"}),
    "escaped": answer(json.dumps({"code": "0401", "msg": KEY}).replace("-", "\\u002d").encode()),
    "code": answer({"code": KEY, "msg": "no"}),
    "success": answer({"code": "0000", "data": [{"start_time": KEY}]}),
    "page": answer(f"<html>{KEY}</html>".encode(), 502),
    "limited": answer({"code": "0429", "msg": KEY}, 429),
    "redirect": answer(b"", 307, Location=f"http://localhost:1/?key={KEY}"),
}


@pytest.mark.parametrize("name", ECHOES)
async def test_a_key_that_the_service_echoes_is_masked(connect, log, name, tmp_path):
    """In the error and its pickle, in the log, and in the ledger's file."""
    policy = evolve(HASTY, attempts=2, deadline=1.0)
    with Ledger(tmp_path / "run.db") as ledger:
        async with serving(ECHOES[name]) as server:
            caller = connect(server.url, limiter=Unlimited(), ledger=ledger, policy=policy)
            with pytest.raises(MemoriesError) as caught:
                await caller.send(search_call())
        entries = [*ledger.entries()]

    assert KEY not in everything_told(caught.value) + log.getvalue() + repr(entries)
    assert not [path for path in tmp_path.iterdir() if KEY.encode() in path.read_bytes()]


async def test_a_header_that_is_no_text_does_not_lose_a_paid_reply(connect):
    """Its bytes are kept as they came."""
    body = json.dumps(FOUND).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nDate: caf\xe9\r\n"
    head += b"Content-Length: %d\r\n\r\n" % len(body)
    async with serving(raw(head + body)) as server:
        assert await connect(server.url).send(search_call())


async def test_no_failure_before_the_request_tells_the_key(connect):
    """Names, ports, files."""
    for url in ("https://nowhere.invalid", "http://localhost:9", "https://localhost:9"):
        with pytest.raises(MemoriesError) as caught:
            await connect(url, policy=evolve(HASTY, attempts=1)).send(search_call())
        assert KEY not in everything_told(caught.value)


async def test_no_failure_of_a_file_tells_the_key(connect, tmp_path):
    """One that is gone when the call is sent, small or streamed."""
    for size in (10, 2_000_000):
        path = tmp_path / "a.png"
        path.write_bytes(bytes(size))
        call = clips.search(path, prompt=PROMPT, video_no="VI1")
        path.unlink()
        with pytest.raises(MemoriesError, match="cannot be opened") as caught:
            await connect("http://localhost:9").send(call)
        assert caught.value.billed == "no"
        assert KEY not in everything_told(caught.value)


async def test_no_cancelled_call_tells_the_key():
    """The frames below hold the headers while it waits."""
    policy = evolve(HASTY, timeout=60.0)
    async with serving(silent) as server, client(server.url, policy=policy) as one:
        task = asyncio.create_task(one.send(caption_call()))
        await server.saw(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await task

    assert KEY not in everything_told(caught.value)


async def test_no_call_that_succeeds_logs_the_key(connect, log):
    """Nor its prompt."""
    async with serving(answer(FOUND)) as server:
        await connect(server.url).send(search_call(prompt=PROMPT))

    assert "clips.search: answered" in log.getvalue()
    assert KEY not in log.getvalue()
    assert PROMPT not in log.getvalue()


def test_no_client_shows_the_key():
    """In any way that prints, nor the proxy's password."""
    one = client("http://localhost:1", proxy="http://me:local-password@localhost:1")

    for shown in (one, one._settings, one._transport, vars(one), one._settings.key, settings):
        assert KEY not in repr(shown)
        assert KEY not in f"{shown}"
        assert "local-password" not in repr(shown)


async def test_no_event_holds_the_key_or_a_prompt(connect):
    """Observers may write them anywhere."""
    events = []
    async with serving(hang_up) as server:
        caller = connect(server.url, observers=[events.append])
        with pytest.raises(MemoriesError):
            await caller.send(search_call(prompt=PROMPT))

    assert {type(event).__name__ for event in events} >= {"Began", "Sent", "Ended"}
    assert KEY not in repr(events)
    assert PROMPT not in repr(events)
    assert KEY.encode() not in pickle.dumps(events)
