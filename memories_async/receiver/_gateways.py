"""The receiver as ASGI and WSGI applications, to be mounted in a framework or served alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, MutableMapping
from typing import Any, TypeAlias

from attrs import define, field, frozen

from memories_async._client.loop_thread import LoopThread
from memories_async.errors import MemoriesError
from memories_async.receiver._callback_service import (
    BAD,
    MAX_BODY,
    NO_LENGTH,
    CallbackService,
    HttpAnswer,
    RequestHead,
    RequestRejected,
    handle,
    reject,
    store_failure,
)

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Environ: TypeAlias = dict[str, Any]
StartResponse: TypeAlias = Callable[[str, list[tuple[str, str]]], object]

_WSGI_HEADERS = {
    "CONTENT_LENGTH": "content-length",
    "CONTENT_TYPE": "content-type",
    "HTTP_CONTENT_ENCODING": "content-encoding",
}


class _SenderGoneError(Exception):
    """The sender closed the connection before its body was complete."""


@frozen
class AsgiApp:
    """The receiver as an ASGI 3 application, for FastAPI, Starlette or an ASGI server."""

    open_service: Callable[[], CallbackService]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, follow a server's start and stop, and refuse websockets."""
        if scope["type"] == "lifespan":
            message: Message = {"type": ""}
            while message["type"] != "lifespan.shutdown":
                message = await receive()
                await send({"type": f"{message['type']}.complete"})
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
        else:
            await self._answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        head = RequestHead(method=scope["method"], path=scope["path"], headers=headers)
        try:
            answer = await handle(self.open_service, head, _read_chunks(receive))
        except _SenderGoneError:
            return
        pairs = [("content-length", "0"), *answer.headers.items()]
        await send(
            {
                "type": "http.response.start",
                "status": int(answer.status),
                "headers": [(name.lower().encode(), value.encode()) for name, value in pairs],
            }
        )
        await send({"type": "http.response.body", "body": b""})


async def _read_chunks(receive: Receive) -> AsyncIterator[bytes]:
    has_more = True
    while has_more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _SenderGoneError
        yield message.get("body", b"")
        has_more = message.get("more_body", False)


@define(eq=False)
class WsgiApp:
    """The receiver as a WSGI application, for Flask, Django or a WSGI server.

    The server's worker thread reads the body, a loop thread of this process stores it. How long a
    body may take is up to the server: a blocking read has no timeout here.
    """

    open_service: Callable[[], CallbackService]
    _thread: LoopThread = field(factory=LoopThread, init=False)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        try:
            answer = self._answer(environ)
        except RequestRejected as rejected:
            answer = rejected.answer
        except MemoriesError as error:  # the loop thread cannot start, or has ended
            answer = store_failure(error).answer
        headers = [("Content-Length", "0"), *answer.headers.items()]
        start_response(f"{answer.status.value} {answer.status.phrase}", headers)
        return ()

    def _answer(self, environ: Environ) -> HttpAnswer:
        headers = {name: environ.get(key) for key, name in _WSGI_HEADERS.items()}
        head = RequestHead(
            method=environ["REQUEST_METHOD"],
            path=environ.get("PATH_INFO", ""),
            headers={name: value for name, value in headers.items() if value},
        )
        service = self.open_service()
        submission_id = self._thread.wait(service.authorize(head))
        if head.length is None and not environ.get("wsgi.input_terminated"):
            raise reject(NO_LENGTH, "its body has no length, and the server does not mark its end")
        # One byte more than is allowed shows that a body is too long.
        body = environ["wsgi.input"].read(MAX_BODY + 1 if head.length is None else head.length)
        if head.length is not None and len(body) < head.length:
            raise reject(BAD, "its sender broke off")
        return self._thread.wait(service.accept(submission_id, head, body))

    def close(self) -> None:
        """End the loop thread, if there is one; may be called twice."""
        self._thread.stop()
