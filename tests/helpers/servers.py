"""A raw loopback server: it counts what it received and does to each request what a script says.

A behaviour is a coroutine function over an `Exchange`; the last one of a script repeats. The count
is the server's own: every billing test asks it, never the client.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl as tls
import struct
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Self

from attrs import define, field


@define(eq=False)
class Exchange:
    """One request, being answered."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    head: bytes
    body: bytes = b""

    @property
    def path(self) -> str:
        return self.head.split(b" ", 2)[1].decode()

    @property
    def headers(self) -> dict[str, str]:
        lines = self.head.decode("latin-1").split("\r\n")[1:]
        pairs = (line.partition(":") for line in lines if line)
        return {name.lower(): value.strip() for name, _, value in pairs}

    async def receive(self) -> bytes:
        """Read the whole body, whose length is always announced."""
        if not self.body:
            self.body = await self.reader.readexactly(int(self.headers.get("content-length", 0)))
        return self.body

    async def write(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    def close(self) -> None:
        self.writer.close()

    def reset(self) -> None:
        """Drop the connection with a TCP reset."""
        linger = struct.pack("ii", 1, 0)
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.writer.transport.abort()


Behaviour = Callable[[Exchange], Awaitable[None]]


def http(body: bytes, status: int = 200, **headers: str) -> bytes:
    """Write a whole answer with its true length."""
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def answer(document, status: int = 200, *, after: float = 0.0, **headers: str) -> Behaviour:
    """Read the request and answer it: bytes as they are, everything else as JSON."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()

    async def behave(exchange: Exchange) -> None:
        await exchange.receive()
        await asyncio.sleep(after)
        await exchange.write(http(body, status, **headers))

    return behave


def raw(data: bytes) -> Behaviour:
    """Read the request, write *data* and close."""

    async def behave(exchange: Exchange) -> None:
        await exchange.receive()
        await exchange.write(data)
        exchange.close()

    return behave


async def silent(exchange: Exchange) -> None:
    """Read the request and never answer."""
    await exchange.receive()
    await asyncio.Event().wait()


async def hang_up(exchange: Exchange) -> None:
    """Read the request and close without an answer."""
    await exchange.receive()
    exchange.close()


async def reset(exchange: Exchange) -> None:
    """Read the request and reset the connection."""
    await exchange.receive()
    exchange.reset()


@define(eq=False)
class RawServer:
    """Enter it to listen on a free port of 127.0.0.1."""

    script: list[Behaviour]
    ssl: tls.SSLContext | None = None
    exchanges: list[Exchange] = field(factory=list)
    arrivals: list[float] = field(factory=list)
    connections: int = 0
    port: int = 0
    _server: asyncio.Server | None = None
    _tasks: set[asyncio.Task] = field(factory=set)
    _writers: list[asyncio.StreamWriter] = field(factory=list)

    @property
    def requests(self) -> int:
        """How many requests began to arrive."""
        return len(self.exchanges)

    async def saw(self, requests: int) -> None:
        """Wait until that many requests began to arrive."""
        async with asyncio.timeout(10):
            while self.requests < requests:  # noqa: ASYNC110  # the server counts, it does not call
                await asyncio.sleep(0.002)

    @property
    def url(self) -> str:
        scheme = "http" if self.ssl is None else "https"
        return f"{scheme}://localhost:{self.port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", 0, ssl=self.ssl, limit=2**20
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)

    def close_connections(self) -> None:
        """Close every connection that is open, as a server that waited long enough does."""
        for writer in self._writers:
            writer.close()

    async def _serve(self, reader, writer) -> None:
        self.connections += 1
        self._writers.append(writer)
        self._tasks.add(asyncio.current_task())
        try:
            while not writer.is_closing():
                await self._exchange(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, tls.SSLError):
            pass
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            writer.close()

    async def _exchange(self, reader, writer) -> None:
        exchange = Exchange(reader, writer, await reader.readuntil(b"\r\n\r\n"))
        self.arrivals.append(asyncio.get_running_loop().time())
        behave = self.script[min(len(self.exchanges), len(self.script) - 1)]
        self.exchanges.append(exchange)
        await behave(exchange)


@asynccontextmanager
async def listening(greet):
    """Listen on a free port, which is given, for one who speaks first or not at all."""
    writers = []

    async def serve(reader, writer):
        writers.append(writer)
        await greet(writer)
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in writers:
            writer.close()
        await asyncio.sleep(0.01)


def serving(*script: Behaviour, ssl: tls.SSLContext | None = None) -> RawServer:
    """Make a server that follows *script*."""
    return RawServer([*script], ssl)
