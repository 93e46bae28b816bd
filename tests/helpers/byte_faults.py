"""A proxy that cuts, stalls or resets a connection after an exact number of bytes, and the verdict.

Three things are judged, by what the proxy and the server counted: that no error denies a bill, that no
request is repeated once a byte of it was sent, and that an outcome is unknown exactly where no
complete reply came.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from attrs import define, field, frozen
from servers import Exchange, http, serving

from memories_async import (
    Client,
    Hosts,
    InProcessLimiter,
    Limit,
    Limits,
    Policy,
    captions,
    clips,
    embeddings,
)
from memories_async.errors import MemoriesError

KINDS = ("cut", "stall", "reset")
FAR = Limits(search=Limit(1e6), captions=Limit(1e6), embeddings=Limit(1e6))
SILENCE = 1.0
"""How long a client waits for an answer where the connection stalls; elsewhere it has a minute."""


@frozen
class ByteFault:
    """What happens to a connection once *at* bytes of its request or reply have passed."""

    side: str
    at: int
    kind: str


@define(eq=False)
class Relay:
    """A proxy before the server on *port_behind*, with at most one fault."""

    port_behind: int
    fault: ByteFault | None
    sent: int = 0
    """Connections on which the client sent a byte."""
    passed: dict[str, bytes] = field(factory=lambda: {"request": b"", "reply": b""})
    is_broken: bool = False
    writers: list[asyncio.StreamWriter] = field(factory=list)

    async def relay(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        """Carry one connection, until it breaks or ends."""
        self.writers.append(client)
        first = await reader.read(65536)
        if not first:
            return
        self.sent += 1
        answers, server = await asyncio.open_connection("127.0.0.1", self.port_behind)
        self.writers.append(server)
        with contextlib.suppress(ConnectionError):
            await asyncio.gather(
                self._carry("request", reader, server, client, first),
                self._carry("reply", answers, client, client),
            )

    async def _carry(
        self,
        side: str,
        source: asyncio.StreamReader,
        target: asyncio.StreamWriter,
        client: asyncio.StreamWriter,
        data: bytes = b"",
    ) -> None:
        fault = self.fault if self.fault and self.fault.side == side else None
        while data := data or await source.read(65536):
            if not self.is_broken:
                room = len(data) if fault is None else fault.at - len(self.passed[side])
                self.passed[side] += data[:room]
                target.write(data[:room])
                if fault is not None and len(self.passed[side]) == fault.at:
                    self._break(client, fault.kind)
                await target.drain()
            if self.is_broken:
                # The case ends this; a server that was sent a whole request goes on with it.
                await asyncio.Event().wait()
            data = b""

    def _break(self, client: asyncio.StreamWriter, kind: str) -> None:
        self.is_broken = True
        if kind == "cut":
            client.close()
        elif kind == "reset":
            linger = struct.pack("ii", 1, 0)
            client.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            client.transport.abort()


@asynccontextmanager
async def relaying(port_behind: int, fault: ByteFault | None) -> AsyncIterator[tuple[Relay, str]]:
    """Run a proxy; yield it and its URL."""
    relay = Relay(port_behind, fault)
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        # asyncio logs the cancellation of a handler of its own.
        with contextlib.suppress(asyncio.CancelledError):
            await relay.relay(reader, writer)

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield relay, f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    finally:
        listener.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for writer in relay.writers:
            writer.transport.abort()


@frozen
class Case:
    """One fault, and what came of it."""

    fault: ByteFault | None
    billed: str
    """What the client says: `yes` by an answer, or an error's word."""
    sent: int
    worked: int
    """Requests that the server received completely, and did the work for."""
    request: bytes
    reply: bytes

    def judge(self, reply_size: int) -> str | None:
        """Return what is wrong, or None."""
        assert self.fault is not None
        is_whole = self.fault.side == "reply" and self.fault.at >= reply_size
        if (self.billed == "no" and self.worked) or (self.billed == "yes" and self.worked != 1):
            return "billed wrong"
        if self.sent != 1:
            return "repeated after sending"
        if self.billed != ("yes" if is_whole else "maybe"):
            # A reset may overtake the last bytes before it.
            return None if is_whole and self.fault.kind == "reset" else "outcome misjudged"
        return None


async def run_case(call: Any, answer: bytes, fault: ByteFault | None) -> Case:
    """Send *call* through a proxy with *fault*, to a server that works and then sends *answer*."""
    worked = 0

    async def work(exchange: Exchange) -> None:
        nonlocal worked
        await exchange.receive()
        worked += 1
        await exchange.write(answer)

    is_stall = fault is not None and fault.kind == "stall"
    policy = Policy(timeout=SILENCE if is_stall else 60.0, attempts=3, backoff=0.001, deadline=90.0)
    async with serving(work) as server, relaying(server.port, fault) as (relay, url):
        settings = {"limits": FAR, "limiter": InProcessLimiter(), "policy": policy}
        async with Client(api_key="local-key", hosts=Hosts.at(url), **settings) as client:
            try:
                await client.send(call)
                billed = "yes"
            except MemoriesError as error:
                billed = error.billed
        if billed == "no":
            # A request that was passed on before the fault may still be on its way to the server.
            await asyncio.sleep(0.1)
        passed = relay.passed
        return Case(fault, billed, relay.sent, worked, passed["request"], passed["reply"])


def choose_positions(whole: bytes, *, step: int, in_body: int) -> list[int]:
    """Choose every *step*-th position of the head, and *in_body* of the body, its end among them."""
    head = whole.index(b"\r\n\r\n") + 4
    body = len(whole) - head
    places = {head + body * part // in_body for part in range(in_body + 1)}
    edges = {head - 2, head - 1, head, head + 1, len(whole) - 2, len(whole) - 1, len(whole)}
    return sorted({*range(0, head, step), *places, *edges})


async def sweep(
    call: Any, answer: bytes, *, step: int, in_body: int, width: int = 32
) -> list[tuple[Case, str | None]]:
    """Try every kind of fault at every chosen position; return each case with what is wrong."""
    clean = await run_case(call, answer, None)
    assert clean.reply == answer
    wholes = {"request": clean.request, "reply": clean.reply}
    faults = [
        ByteFault(side, at, kind)
        for kind in KINDS
        for side, whole in wholes.items()
        for at in choose_positions(whole, step=step, in_body=in_body)
    ]
    slots = asyncio.Semaphore(width)

    async def one(fault: ByteFault) -> tuple[Case, str | None]:
        async with slots:
            case = await run_case(call, answer, fault)
        return case, case.judge(len(answer))

    return await asyncio.gather(*map(one, faults))


def build_calls(*, film_size: int) -> dict[str, tuple[Any, bytes]]:
    """Build each billed call, with a success that answers it."""
    picture = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 160
    film = b"\x00\x00\x00\x18ftypmp42" + bytes(film_size)
    prompts = {"user_prompt": "u", "system_prompt": "s", "callback": "https://example.com/cb"}
    vector = {"code": "0000", "msg": "success", "data": {"embedding": [0.5, -0.25] * 128}}
    clip = {"start_time": 12.5, "end_time": 18.2, "score": 0.8631}
    found = {"code": "0000", "msg": "success", "data": [clip] * 9, "success": True}
    task = {"code": 0, "msg": "success", "data": {"task_id": "8e03075a-2230"}}
    return {
        "embedding": (embeddings.video("re_1"), _answer(vector)),
        "embedding, reply in chunks": (embeddings.video("re_1"), _answer(vector, is_chunked=True)),
        "search with a picture": (
            clips.search(picture, prompt="a red shirt", video_no="VI1"),
            _answer(found),
        ),
        "caption upload": (captions.upload_file(film, **prompts), _answer(task)),
    }


def _answer(document: object, *, is_chunked: bool = False) -> bytes:
    body = json.dumps(document).encode()
    if not is_chunked:
        return http(body, Content_Type="application/json")
    chunks = b"".join(
        f"{len(part):x}\r\n".encode() + part + b"\r\n"
        for part in (body[at : at + 200] for at in range(0, len(body), 200))
    )
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
