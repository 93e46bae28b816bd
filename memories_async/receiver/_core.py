"""The receiver's core: (method, path, headers, bounded body) to (status, effect), no framework in it.

What can be refused by the request's head alone is refused before its body is read. Answers have no
body and never say why: who has no token learns nothing.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterable, Mapping
from http import HTTPStatus

from attrs import define, field, frozen

from memories_async._protocol import wire_json
from memories_async.receiver import _parse
from memories_async.receiver._records import Arrival, Verdict
from memories_async.receiver._tokens import id_of

MAX_BODY = 256 * 1024
"""Bytes of a delivery; longer ones are answered 413."""
BODY_SECONDS = 10.0
"""How long a body may take to arrive."""


@frozen
class Answer:
    """A status, and how to behave after it."""

    status: HTTPStatus
    headers: Mapping[str, str] = field(factory=dict[str, str])


@frozen(kw_only=True)
class Head:
    """A request without its body."""

    method: str
    path: str
    """As routed or as sent, below whatever prefix: the last segment counts."""
    headers: Mapping[str, str]
    """Names in lower case."""

    @property
    def length(self) -> int | None:
        """How long the body says it is; None where it does not say or is to be refused."""
        said = self.headers.get("content-length", "")
        return int(said) if said.isascii() and said.isdigit() and len(said) <= 18 else None  # noqa: PLR2004  # fits 64 bits


OK = Answer(HTTPStatus.OK)
LATER = Answer(HTTPStatus.SERVICE_UNAVAILABLE, {"Retry-After": "1"})
NOT_FOUND = Answer(HTTPStatus.NOT_FOUND)
TOO_LARGE = Answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
TOO_SLOW = Answer(HTTPStatus.REQUEST_TIMEOUT)
_NOT_ALLOWED = Answer(HTTPStatus.METHOD_NOT_ALLOWED, {"Allow": "POST"})
_BAD = Answer(HTTPStatus.BAD_REQUEST)
_UNSUPPORTED = Answer(HTTPStatus.UNSUPPORTED_MEDIA_TYPE)

AFTER = {
    Verdict.STORED: OK,
    Verdict.REPEATED: OK,
    # Kept or known: to have it sent again would change nothing.
    Verdict.CONFLICTING: OK,
    Verdict.STRANGE: NOT_FOUND,
    Verdict.TOO_MANY: LATER,
}


def admit(head: Head, secret: bytes) -> bytes | Answer:
    """Return the submission's id if the body is worth reading, else the answer."""
    if head.method != "POST":
        return _NOT_ALLOWED
    id_ = id_of(head.path.rpartition("/")[2], secret)
    if id_ is None:
        return NOT_FOUND
    if head.headers.get("content-encoding", "identity").strip().lower() not in {"", "identity"}:
        return _UNSUPPORTED
    if head.length is None and head.headers.get("content-length"):
        return _BAD
    return TOO_LARGE if head.length is not None and head.length > MAX_BODY else id_


def read(head: Head, body: bytes, *, at: float) -> Arrival | Answer:
    """Read a body, whatever its type is called: JSON that says something about a task is taken."""
    if len(body) > MAX_BODY:
        return TOO_LARGE
    try:
        return _parse.arrival(body, at=at)
    except wire_json.NotJson:
        says_json = "json" in head.headers.get("content-type", "json").lower()
        return _BAD if says_json else _UNSUPPORTED
    except ValueError:
        return _BAD


async def gathered(chunks: AsyncIterable[bytes]) -> bytes | Answer:
    """Collect a body that may be longer than it said, or never end."""
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in chunks:
                body += chunk
                if len(body) > MAX_BODY:
                    return TOO_LARGE
    except TimeoutError:
        return TOO_SLOW
    return bytes(body)


@define(eq=False)
class Room:
    """How much is being received at once: beyond it the answer is 503, so memory stays flat."""

    requests: int = 1_000
    size: int = 64 * 1024 * 1024
    _lock: threading.Lock = field(factory=threading.Lock, init=False)

    def take(self, size: int) -> bool:
        """Take a place for a body; False if there is none."""
        with self._lock:
            fits = self.requests > 0 and self.size >= size
            if fits:
                self.requests -= 1
                self.size -= size
            return fits

    def give_back(self, size: int) -> None:
        """Give a place back."""
        with self._lock:
            self.requests += 1
            self.size += size
