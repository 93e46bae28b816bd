"""The server that every peer is measured against: it counts the requests, and fails as it is told.

`python -m _peers.server PEER MODE` prints its port. Modes: `answer`; `drop`, `500` and `cut` do the
work and lose the reply; `rate` grants one request a second and refuses the others. `GET /count`
returns the number of requests, which no client can deny.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

from aiohttp import web

from _peers import PEERS
from _peers.base import VECTOR

TOLERANCE = 0.2
"""Seconds that a request may be early, because the network delays requests unevenly."""
LIMITED = {"error": {"message": "too many requests"}}
THROTTLED = {"x-amzn-ErrorType": "ThrottlingException"}
"""botocore does not take a bare 429 for a throttled request."""
BARE = json.dumps({"data": {"embedding": VECTOR}}).encode()


class PeerServer:
    """Answers one peer in one mode."""

    def __init__(self, replies: dict[str, Any], mode: str) -> None:
        self.replies = {
            part: b"" if document is None else json.dumps(document).encode()
            for part, document in replies.items()
        }
        self.mode = mode
        self.requests = 0
        self.next_at = 0.0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Read the whole request, then do what the mode says."""
        async for _ in request.content.iter_any():
            pass
        if request.path == "/count":
            return web.json_response(self.requests)
        if request.path == "/bare":
            return web.Response(body=BARE, content_type="application/json")
        self.requests += 1
        if self.mode == "rate" and not self.grant():
            return web.json_response(LIMITED, status=429, headers=THROTTLED)
        if self.mode == "500":
            return web.json_response({"error": {"message": "failed after the work"}}, status=500)
        body = next(body for part, body in self.replies.items() if part in request.path)
        if self.mode in {"drop", "cut"}:
            assert request.transport is not None
            if self.mode == "cut":
                head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n"
                request.transport.write(head.encode() + body[: len(body) // 2])
            request.transport.close()
        return web.Response(
            body=body, content_type="application/json", headers=self.resumable(request)
        )

    def grant(self) -> bool:
        """Grant one request a second, evenly."""
        now = time.monotonic()
        if now < self.next_at - TOLERANCE:
            return False
        self.next_at = max(now, self.next_at) + 1.0
        return True

    @staticmethod
    def resumable(request: web.Request) -> dict[str, str]:
        """Return the headers by which Google's resumable upload goes on."""
        command = request.headers.get("X-Goog-Upload-Command", "")
        state = "final" if "finalize" in command else "active"
        return {"X-Goog-Upload-URL": str(request.url), "X-Goog-Upload-Status": state}


async def main(peer: str, mode: str) -> None:
    """Serve until the parent closes our input, which it does however it ends."""
    app = web.Application()
    server = PeerServer(PEERS[peer].replies, mode)
    app.router.add_route("*", "/{any:.*}", server.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
