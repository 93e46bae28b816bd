"""One attempt at a call: what is sent, and the trace that records what has been sent.

aiohttp reports the progress of a request by trace signals. A `TraceConfig` of a session sends each
request six of them, for 16 us. `TracedRequest` is given its one trace directly, for 4 us.
"""

from __future__ import annotations

import logging
from asyncio import AbstractEventLoop
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp.tracing import Trace
from attrs import define, field, frozen

from memories_async._http.deadline import Deadline
from memories_async._protocol.call import Body, Progress
from memories_async._protocol.keys import Key

if TYPE_CHECKING:
    from yarl import URL

log = logging.getLogger(__name__)


@frozen(kw_only=True)
class Attempt:
    """One HTTP request on behalf of a call."""

    url: str
    body: Body
    key: Key
    method: str = "POST"
    progress: Progress | None = field(default=None, repr=False)
    save_to: Path | None = None
    connect_timeout: float
    """Seconds until the request's first byte must have been sent."""
    timeout: float
    """Seconds without a byte in either direction that end the attempt once it is connected."""
    deadline: float | None
    """The loop's time at which the attempt ends, whatever its state."""
    on_sent: tuple[Callable[[], None], ...] = field(default=(), repr=False)
    """Called when the request's headers are sent, not while a connection is made."""


@define(eq=False)
class AttemptTrace(Trace):
    """Receives aiohttp's signals for one attempt, and keeps its time limit.

    It does not call `Trace.__init__`: a signal that this class does not handle raises
    `AttributeError` and fails the request before it is sent, instead of going unnoticed.
    """

    attempt: Attempt
    loop: AbstractEventLoop
    limit: Deadline = field(init=False)
    has_sent: bool = False
    """Whether a byte of the request may have reached the service."""
    body_size: int = 0
    """Bytes of the body."""
    body_sent: int = 0
    """Bytes of the body sent so far."""

    def start_limit(self) -> Deadline:
        """Return the attempt's time limit, set to the time that connecting may take."""
        self.limit = Deadline(self._cap(self.attempt.connect_timeout))
        return self.limit

    def extend_limit(self) -> None:
        """Restart the seconds of silence, because bytes have moved."""
        self.limit.reschedule(self._cap(self.attempt.timeout))

    def _cap(self, seconds: float) -> float:
        when, deadline = self.loop.time() + seconds, self.attempt.deadline
        return when if deadline is None or when < deadline else deadline

    async def send_request_headers(self, method: str, url: URL, headers: Any) -> None:  # noqa: ARG002
        """Record that the service may see the request from here on."""
        self.has_sent = True
        for notify in self.attempt.on_sent:
            notify()
        self.extend_limit()

    async def send_request_chunk_sent(self, method: str, url: URL, chunk: bytes) -> None:  # noqa: ARG002
        """Report the bytes sent to the call's progress callback."""
        self.extend_limit()
        if self.attempt.progress is None:
            return
        self.body_sent += len(chunk)
        try:
            self.attempt.progress(self.body_sent, self.body_size)
        except Exception:
            # A mistake in the callback must not end an upload that may be billed.
            log.exception("a progress callback raised")

    async def send_once(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Middleware that refuses aiohttp's own repeat of a GET or DELETE, which may be billed."""
        if self.has_sent:
            raise aiohttp.ServerDisconnectedError
        return await handler(request)


_traces: ContextVar[list[Trace]] = ContextVar("_traces")


@contextmanager
def trace_requests(trace: AttemptTrace) -> Generator[None]:
    """Give every request that is created meanwhile *trace* as its only trace."""
    traces: list[Trace] = [trace]
    token = _traces.set(traces)
    try:
        yield
    finally:
        _traces.reset(token)
        # A connection that was opened keeps a copy of this context for as long as it lives.
        traces.clear()


class TracedRequest(aiohttp.ClientRequest):
    """A request whose only trace is the one that `trace_requests` has set."""

    def __init__(self, method: str, url: URL, **settings: Any) -> None:
        settings["traces"] = _traces.get()
        super().__init__(method, url, **settings)
