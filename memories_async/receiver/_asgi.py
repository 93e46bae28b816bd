"""The receiver as a pure ASGI application: mount it in FastAPI or Starlette, or serve it alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from attrs import frozen

from memories_async.receiver._callback_service import Desk
from memories_async.receiver._core import Answer, Head

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]


class _GoneError(Exception):
    """The sender hung up before its body was complete."""


@frozen
class AsgiApp:
    """Speaks ASGI 3 on behalf of a desk."""

    desk: Callable[[], Desk]

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request, or say yes to a server that starts or stops."""
        if scope["type"] == "lifespan":
            await _live(receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
        else:
            await self._answer(scope, receive, send)

    async def _answer(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        head = Head(method=scope["method"], path=scope["path"], headers=headers)
        try:
            answer = await self.desk().receive(head, _chunks(receive))
        except _GoneError:
            return
        await _send(answer, send)


async def _send(answer: Answer, send: Send) -> None:
    headers = [(b"content-length", b"0")]
    headers += [(name.lower().encode(), value.encode()) for name, value in answer.headers.items()]
    start = {"type": "http.response.start", "status": int(answer.status), "headers": headers}
    await send(start)
    await send({"type": "http.response.body", "body": b""})


async def _chunks(receive: Receive) -> AsyncIterator[bytes]:
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _GoneError
        yield message.get("body", b"")
        more = message.get("more_body", False)


async def _live(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
