"""The receiver's HTTP application without a framework: from a request's head and body to an answer.

Whatever a request's head alone rules out is answered before its body is read. Answers have no body
and give no reasons, so a sender without a good token learns nothing. A sender with a good token is
the service: whatever it sends is stored, and whatever cannot be stored is logged, without the token.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterable, Callable, Generator, Mapping
from contextlib import contextmanager
from http import HTTPStatus

from attrs import define, field, frozen

from memories_async.captions import CaptionTask
from memories_async.errors import MemoriesError
from memories_async.events import CallbackKind, CallbackReceived, CallLogger, Observer, tell
from memories_async.ledger import Ledger
from memories_async.receiver import _payload
from memories_async.receiver._callback_urls import read_token
from memories_async.receiver._records import CallbackDelivery, CallbackRecord, Verdict, classify
from memories_async.receiver._stores import CallbackStore
from memories_async.receiver._waiters import WaiterRegistry
from memories_async.videos import Video

MAX_BODY = 256 * 1024
"""Bytes of a callback; longer ones are answered 413."""
BODY_SECONDS = 10.0
"""Seconds that a body may take to arrive."""
_MAX_LENGTH_DIGITS = 18
_MAX_CONTENT_TYPE = 200

log: CallLogger = CallLogger(logging.getLogger(__name__))


@frozen
class HttpAnswer:
    """A status and headers; answers have no body."""

    status: HTTPStatus
    headers: Mapping[str, str] = field(factory=dict[str, str])


OK = HttpAnswer(HTTPStatus.OK)
LATER = HttpAnswer(HTTPStatus.SERVICE_UNAVAILABLE, {"Retry-After": "1"})
NOT_FOUND = HttpAnswer(HTTPStatus.NOT_FOUND)
TOO_LARGE = HttpAnswer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
TOO_SLOW = HttpAnswer(HTTPStatus.REQUEST_TIMEOUT)
NOT_ALLOWED = HttpAnswer(HTTPStatus.METHOD_NOT_ALLOWED, {"Allow": "POST"})
BAD = HttpAnswer(HTTPStatus.BAD_REQUEST)
NO_LENGTH = HttpAnswer(HTTPStatus.LENGTH_REQUIRED)

ANSWERS = {
    Verdict.STORED: OK,
    Verdict.REPEATED: OK,
    # It is stored or known: sending it again would change nothing.
    Verdict.CONFLICTING: OK,
    Verdict.REJECTED: NOT_FOUND,
    Verdict.TOO_MANY: LATER,
}


@define(eq=False)
class RequestRejected(Exception):
    """The request is answered without effect."""

    answer: HttpAnswer


@frozen(kw_only=True)
class RequestHead:
    """A request without its body."""

    method: str
    path: str
    """As sent or as routed: only its last segment counts."""
    headers: Mapping[str, str]
    """Names in lower case."""

    @property
    def length(self) -> int | None:
        """The length of the body in bytes; None where it is not stated, or not as a number."""
        stated = self.headers.get("content-length", "")
        is_number = stated.isascii() and stated.isdigit() and len(stated) <= _MAX_LENGTH_DIGITS
        return int(stated) if is_number else None


@define(eq=False)
class AdmissionLimiter:
    """Caps the callbacks that are received at once; beyond it the answer is 503."""

    requests: int = 1_000
    """How many more requests are admitted."""
    size: int = 64 * 1024 * 1024
    """How many more bytes of bodies are admitted."""
    _lock: threading.Lock = field(factory=threading.Lock, init=False)

    @contextmanager
    def admit(self, size: int) -> Generator[None]:
        """Count a request with a body of at most *size* bytes while the context is open."""
        with self._lock:
            if self.requests < 1 or self.size < size:
                raise RequestRejected(LATER)
            self.requests -= 1
            self.size -= size
        try:
            yield
        finally:
            with self._lock:
                self.requests += 1
                self.size += size


@define(eq=False)
class CallbackService:
    """Receives callbacks into a store. Any number of event loops and threads may call it."""

    store: CallbackStore
    ledger: Ledger | None
    accept_for: float
    """Seconds for which the token of a submission is good."""
    _given_secret: bytes | None = field(repr=False)
    observers: tuple[Observer, ...] = ()
    waiters: WaiterRegistry = field(init=False)
    admission: AdmissionLimiter = field(factory=AdmissionLimiter, init=False)
    _secret: bytes | None = field(default=None, init=False, repr=False)
    _has_reconciled: bool = field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        self.waiters = WaiterRegistry(self.store)

    async def open(self) -> bytes:
        """Return the secret of the tokens; the first time, reconcile what a crash left."""
        if self._secret is None:
            self._secret = self._given_secret or await self.store.get_secret()
        if not self._has_reconciled and self.ledger is not None:
            self._has_reconciled = True
            for record in await self.store.list_unreconciled():
                await self.reconcile(record)
        return self._secret

    async def authorize(self, head: RequestHead) -> bytes:
        """Return the submission's id if the body is worth reading; else raise `RequestRejected`."""
        try:
            secret = await self.open()
        except MemoriesError as error:
            raise store_failure(error) from None
        if head.method != "POST":
            raise RequestRejected(NOT_ALLOWED)
        submission_id = read_token(head.path.rstrip("/").rpartition("/")[2], secret)
        if submission_id is None:
            raise RequestRejected(NOT_FOUND)
        length = head.length
        if length is None and head.headers.get("content-length"):
            raise reject(BAD, "the length of its body is not a number")
        if length is not None and length > MAX_BODY:
            raise reject(TOO_LARGE, f"its body has {length} bytes, more than {MAX_BODY}")
        return submission_id

    async def accept(self, submission_id: bytes, head: RequestHead, body: bytes) -> HttpAnswer:
        """Store a callback, wake its waiters and answer; 200 means that it is on the disk."""
        if len(body) > MAX_BODY:
            raise reject(TOO_LARGE, f"its body has more than {MAX_BODY} bytes")
        if not body.strip():
            raise reject(BAD, "its body is empty")
        encodings = head.headers.get("content-encoding", "")
        delivery = CallbackDelivery.read(
            _payload.decompress(body, encodings, limit=MAX_BODY),
            content_type=head.headers.get("content-type", "")[:_MAX_CONTENT_TYPE],
            at=time.time(),
        )
        try:
            verdict, record = await self.store.add_delivery(
                submission_id, delivery, accept_for=self.accept_for
            )
        except MemoriesError as error:
            raise store_failure(error) from None
        if record is None:
            # The token is good, so it was issued with this secret: the store has lost it since.
            raise reject(
                LATER, f"{self.store} does not know its token: was it removed or replaced?"
            )
        kind = classify(verdict, record, delivery)
        _log_verdict(verdict, kind, record, delivery)
        self.tell(kind, ANSWERS[verdict], record, delivery.at)
        if verdict is not Verdict.REJECTED:
            self.waiters.notify(record)
            await self.reconcile(record)
        return ANSWERS[verdict]

    def tell(
        self,
        kind: CallbackKind,
        answer: HttpAnswer,
        record: CallbackRecord | None = None,
        at: float = 0.0,
    ) -> None:
        """Tell the observers of a callback; where it can be told, of which *record* and *at* what time."""
        submission = None if record is None else record.submission
        event = CallbackReceived(
            kind=kind,
            call=None if submission is None else submission.call,
            task_id=None if record is None else record.known_task_id,
            status=answer.status,
            seconds=None if submission is None else at - submission.issued_at,
            trace=None if submission is None else submission.trace,
        )
        tell(self.observers, event)

    async def reconcile(self, record: CallbackRecord) -> None:
        """Tell the ledger that a submission was accepted, if it does not know that."""
        if self.ledger is None or not record.needs_reconciling:
            return
        key, task_id = record.submission.key, record.known_task_id
        assert key is not None
        assert task_id is not None
        is_upload = record.submission.call.startswith("videos.")
        answer = Video(video_no=task_id) if is_upload else CaptionTask(task_id)
        try:
            await self.ledger.settled(key, answer=answer)
            await self.store.mark_reconciled(record.submission.id)
        except (MemoriesError, LookupError) as error:
            # The callback itself is stored; the next start of a receiver tries this again.
            log.warning("the ledger could not be told of a callback: %s", error)


async def handle(
    open_service: Callable[[], CallbackService],
    head: RequestHead,
    body: bytes | AsyncIterable[bytes],
) -> HttpAnswer:
    """Answer one request."""
    try:
        service = open_service()
    except RequestRejected as rejected:
        return rejected.answer
    try:
        submission_id = await service.authorize(head)
        length = head.length
        with service.admission.admit(MAX_BODY if length is None else length):
            whole = body if isinstance(body, bytes) else await read_body(body)
            return await service.accept(submission_id, head, whole)
    except RequestRejected as rejected:
        if rejected.answer is not NOT_ALLOWED:
            service.tell("forged" if rejected.answer is NOT_FOUND else "unstored", rejected.answer)
        return rejected.answer


async def read_body(chunks: AsyncIterable[bytes]) -> bytes:
    """Collect a body; stop where it exceeds `MAX_BODY`, since it may be endless."""
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in chunks:
                body += chunk
                if len(body) > MAX_BODY:
                    break
    except TimeoutError:
        raise reject(TOO_SLOW, f"its body took more than {BODY_SECONDS:g} s") from None
    except Exception:
        log.warning("a callback was not stored: its sender broke off")
        raise
    return bytes(body)


def reject(answer: HttpAnswer, reason: str) -> RequestRejected:
    """Log why a callback with a good token is not stored, and return the exception to raise."""
    log.warning("a callback was answered %d and not stored: %s", answer.status, reason)
    return RequestRejected(answer)


def _log_verdict(
    verdict: Verdict, kind: CallbackKind, record: CallbackRecord, delivery: CallbackDelivery
) -> None:
    """Warn of a callback that is not what a waiter expects. %r escapes a sender's characters."""
    call, task = record.submission.call, record.task_id or delivery.task_id
    is_foreign = delivery.task_id is not None and delivery.task_id != task
    if verdict is Verdict.REJECTED:
        reason = f"it names {delivery.task_id!r}" if is_foreign else "its token has expired"
        log.warning("%s, task %r: a callback was not stored: %s", call, task, reason)
    elif verdict is Verdict.CONFLICTING:
        log.warning("task %r: a second, different callback was stored; the first one counts", task)
    elif verdict is Verdict.TOO_MANY:
        log.warning("%s, task %r: too many unclear callbacks; this one was not stored", call, task)
    elif kind == "unclear":
        log.warning(
            "%s, task %r: a callback of %d bytes (%r) is unclear; it was stored as it came",
            *(call, task, len(delivery.body), delivery.content_type),
        )


def store_failure(error: Exception) -> RequestRejected:
    """Log that the store does not work, and return the exception to raise: try again later."""
    log.error("a callback could not be stored and was not acknowledged: %s", error)
    return RequestRejected(LATER)
