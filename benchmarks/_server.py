"""A server that answers with fixed bytes at little cost, so that the benchmark measures the client.

It is a process of its own. It answers from the path alone and throws the bodies away unread.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import sys

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)
_PATH = re.compile(rb"^\S+ (\S+) ")
BUFFER = 1024 * 1024


def _reply(data: object) -> bytes:
    envelope = {"code": "0000", "msg": "success", "data": data, "success": True, "failed": False}
    body = json.dumps(envelope).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return f"{head}\r\n".encode() + body


def _replies() -> dict[bytes, bytes]:
    chance = random.Random(1)
    vector = [chance.gauss(0, 0.03) for _ in range(1024)]
    clips = [{"start_time": at, "end_time": at + 4, "score": 0.9 - at / 50} for at in range(10)]
    return {
        b"/serve/api/v2/embeddings/video": _reply({"embedding": vector, "model": "m"}),
        b"/serve/api/v1/search_clips_by_image": _reply(clips),
        b"/v1/understand/uploadFile": _reply({"task_id": "t-1"}),
        b"/v1/understand/upload": _reply({"task_id": "t-1"}),
    }


class Canned(asyncio.BufferedProtocol):
    """One connection: count the bytes of a request, then answer it."""

    def __init__(self, replies: dict[bytes, bytes]) -> None:
        self._replies = replies
        self._buffer = bytearray(BUFFER)
        self._head = b""
        self._left = 0
        self._reply = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def get_buffer(self, sizehint: int) -> bytearray:
        """Return the same buffer for each read."""
        return self._buffer

    def buffer_updated(self, count: int) -> None:
        """Process the *count* bytes that were read."""
        if not self._left:
            self._head += bytes(self._buffer[:count])
            count = self._begin()
        if count:
            self._left -= count
            if not self._left:
                self._transport.write(self._reply)

    def _begin(self) -> int:
        """Parse a head once it is complete; return how many bytes of the message have arrived."""
        end = self._head.find(b"\r\n\r\n")
        if end < 0:
            return 0
        length, path = _LENGTH.search(self._head), _PATH.match(self._head)
        assert length is not None
        assert path is not None
        self._reply = self._replies[path[1]]
        self._left, come = int(length[1]) + end + 4, len(self._head)
        self._head = b""
        return come


async def _serve() -> None:
    replies = _replies()
    server = await asyncio.get_running_loop().create_server(
        lambda: Canned(replies), "127.0.0.1", 0, backlog=512
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    # The parent closes our input when it ends, however it ends.
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    os.sched_setaffinity(0, {int(sys.argv[1])})
    asyncio.run(_serve())
