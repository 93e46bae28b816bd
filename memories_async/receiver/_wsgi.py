"""The receiver as a WSGI application: mount it in Flask or Django, or serve it alone.

The worker's thread reads the body, a loop thread of this process stores it. How long a body may
take is up to the server: a blocking read cannot be given a clock from here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, TypeAlias

from attrs import define, field

from memories_async._client.loop_thread import LoopThread
from memories_async.receiver._callback_service import Desk
from memories_async.receiver._core import MAX_BODY, Answer, Head

Environ: TypeAlias = dict[str, Any]
StartResponse: TypeAlias = Callable[[str, list[tuple[str, str]]], object]


@define(eq=False)
class WsgiApp:
    """Speaks WSGI on behalf of a desk."""

    desk: Callable[[], Desk]
    _thread: LoopThread = field(factory=LoopThread, init=False)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        answer = self._answer(environ)
        headers = [("Content-Length", "0"), *answer.headers.items()]
        start_response(f"{answer.status.value} {answer.status.phrase}", headers)
        return ()

    def _answer(self, environ: Environ) -> Answer:
        desk, head = self.desk(), _head(environ)
        admitted = self._thread.wait(partial(desk.admit, head))
        if isinstance(admitted, Answer):
            return admitted
        body = _body(environ, head)
        return self._thread.wait(partial(desk.keep, admitted, head, body))

    def close(self) -> None:
        """End the loop thread, if there is one; may be called twice."""
        self._thread.stop()


def _head(environ: Environ) -> Head:
    names = ("content-length", "content-type", "content-encoding")
    variables = ("CONTENT_LENGTH", "CONTENT_TYPE", "HTTP_CONTENT_ENCODING")
    headers = {name: environ.get(key) for name, key in zip(names, variables, strict=True)}
    return Head(
        method=environ["REQUEST_METHOD"],
        path=environ.get("PATH_INFO", ""),
        headers={name: value for name, value in headers.items() if value},
    )


def _body(environ: Environ, head: Head) -> bytes:
    """Read the body; one byte more than is allowed tells a body that never ends."""
    if head.length is None and not environ.get("wsgi.input_terminated"):
        return b""  # nothing says where it would end
    body: bytes = environ["wsgi.input"].read(MAX_BODY + 1 if head.length is None else head.length)
    return body
