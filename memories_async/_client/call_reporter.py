"""Builds the events of one call and tells its observers."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Awaitable
from time import monotonic
from typing import Any

from attrs import define, field

from memories_async._client.settings import Settings
from memories_async._protocol.call import Call, Json
from memories_async._protocol.reply import Reply
from memories_async.errors import (
    Billed,
    MemoriesError,
    NotSent,
    OutcomeUnknown,
    PaidElsewhere,
    Refused,
)
from memories_async.events import (
    Answered,
    Began,
    BucketPaused,
    BucketResumed,
    CallOutcome,
    Degraded,
    Ended,
    Event,
    Failed,
    Observer,
    Sending,
    Sent,
    Waiting,
    WaitReason,
    tell,
)
from memories_async.limiter import Bucket, Permit

_ids = random.Random()  # noqa: S311  # ids guard nothing, and a program may seed its own generator
if sys.platform != "win32":
    os.register_at_fork(after_in_child=_ids.seed)


def draw_id() -> str:
    """Draw an id for a call or a batch."""
    return f"{_ids.getrandbits(64):016x}"


@define(eq=False)
class CallReporter:
    """Tells observers of one call. There is none for a call that nobody observes."""

    settings: Settings
    call: Call[Any]
    call_id: str
    item: object
    """The key of a batch's item."""
    batch_id: str | None
    observers: tuple[Observer, ...]
    waited: float = field(default=0.0, init=False)
    """Seconds of all waits so far."""
    _began_at: float = field(factory=monotonic, init=False)
    _reason: WaitReason | None = field(default=None, init=False)
    _waiting_since: float | None = field(default=None, init=False)
    _permit_waited: float = field(default=0.0, init=False)
    """Seconds that the attempt under way waited for its permit."""
    _sending_since: float | None = field(default=None, init=False)
    """When the attempt under way began, later by what it waited since."""

    def begin(self) -> None:
        """Tell that the call begins."""
        call, body = self.call, self.call.body
        document = body.document if isinstance(body, Json) else ()
        model = None if isinstance(document, tuple) else document.get("model")
        self._tell(
            Began(
                call_id=self.call_id,
                call=call.name,
                base_url=self.settings.hosts.of(call.host),
                family=call.family,
                unit=call.unit,
                price=self.settings.price(call.unit) if self.settings.budgets else None,
                model=model if isinstance(model, str) else None,
                account=self.settings.account(call),
                tag=call.tag,
                item=None if self.item is None else name_item(self.item),
                batch_id=self.batch_id,
            )
        )

    def tell_waiting(
        self, reason: WaitReason, *, attempt: int, seconds: float | None = None
    ) -> None:
        """Tell that the call waits, until the next event or `end_wait`."""
        if self._reason == reason == "identical":  # it was looked for again, and is still in flight
            return
        self.end_wait()
        self._reason, self._waiting_since = reason, monotonic()
        self._tell(
            Waiting(
                call_id=self.call_id,
                call=self.call.name,
                attempt=attempt,
                bucket=self.call.family,
                reason=reason,
                seconds=seconds,
            )
        )

    def end_wait(self) -> None:
        """Count the seconds of a wait that is over."""
        if self._waiting_since is None:
            return
        seconds = monotonic() - self._waiting_since
        self._reason = self._waiting_since = None
        self.waited += seconds
        self._permit_waited = seconds
        if self._sending_since is not None:  # it waited for another permit, being late for its own
            self._sending_since += seconds

    def tell_sending(self, *, attempt: int, fault: str | None) -> None:
        """Tell that an attempt has its permit, and why it is one of the slow rate, if it is."""
        call = self.call
        if fault is not None:
            self._tell(
                Degraded(call_id=self.call_id, call=call.name, attempt=attempt, reason=fault)
            )
        self._tell(
            Sending(
                call_id=self.call_id,
                call=call.name,
                attempt=attempt,
                waited=self._permit_waited,
                method=call.method,
                url=self.settings.hosts.of(call.host) + call.path,
            )
        )
        self._sending_since = monotonic()

    def tell_paused(self, bucket: Bucket, seconds: float) -> None:
        """Tell that the service refused an attempt for its rate, so that its bucket is paused."""
        self.settings.paused.setdefault((bucket.account, bucket.family), monotonic())
        self._tell(BucketPaused(account=bucket.account, family=bucket.family, seconds=seconds))

    def tell_permit(self, bucket: Bucket) -> None:
        """Count the wait for a permit; tell where it is the first one after a pause."""
        self.end_wait()
        paused = self.settings.paused
        if paused and (since := paused.pop((bucket.account, bucket.family), None)) is not None:
            seconds = monotonic() - since
            self._tell(BucketResumed(account=bucket.account, family=bucket.family, seconds=seconds))

    def renew_permit(self, permit: Permit, *, attempt: int) -> Awaitable[None] | None:
        """Do what `Permit.renew_if_late` does, and tell of the wait."""
        renewal = permit.renew_if_late()
        return None if renewal is None else self._wait_for(renewal, attempt)

    async def _wait_for(self, renewal: Awaitable[None], attempt: int) -> None:
        self.tell_waiting("permit", attempt=attempt)
        await renewal
        self.end_wait()

    def tell_sent(self, *, attempt: int) -> None:
        """Tell that the first bytes of an attempt leave."""
        self._tell(Sent(call_id=self.call_id, call=self.call.name, attempt=attempt))

    def end_attempt(self) -> float:
        """Return the seconds that the attempt under way took; 0 where there is none."""
        self.end_wait()
        since, self._sending_since = self._sending_since, None
        return 0.0 if since is None else monotonic() - since

    def tell_answered(self, reply: Reply, *, attempt: int, seconds: float) -> None:
        """Tell that an attempt has its answer."""
        self._tell(
            Answered(
                call_id=self.call_id,
                call=self.call.name,
                attempt=attempt,
                status=reply.status,
                seconds=seconds,
                size=len(reply.body),
            )
        )

    def tell_failed(self, error: MemoriesError, *, attempt: int) -> None:
        """Tell that an attempt, or the wait for its permit, failed."""
        self._tell(
            Failed(
                call_id=self.call_id,
                call=self.call.name,
                attempt=attempt,
                error=error,
                seconds=self.end_attempt(),
            )
        )

    def end(self, error: BaseException | None, *, attempts: int, charge: Billed) -> None:
        """Tell that the call ended, with an answer or in *error*."""
        self.end_wait()
        replayed = not attempts and (
            error is None or isinstance(error, OutcomeUnknown | PaidElsewhere)
        )
        billed: Billed = "no" if replayed or self.call.is_free else charge
        self._tell(
            Ended(
                call_id=self.call_id,
                call=self.call.name,
                outcome=_classify(error, charge),
                billed=error.billed if isinstance(error, MemoriesError) else billed,
                attempts=attempts,
                replayed=replayed,
                seconds=monotonic() - self._began_at,
                waited=self.waited,
                error=error,
            )
        )

    def _tell(self, event: Event) -> None:
        tell(self.observers, event)


def name_item(key: object) -> str:
    """Write an item's key as text that UTF-8 can encode: a file name may hold bytes that are no text."""
    return str(key).encode("utf-8", "backslashreplace").decode()


def _classify(error: BaseException | None, charge: Billed) -> CallOutcome:
    if error is None:
        return "done"
    if not isinstance(error, Exception):
        return "cancelled"
    if isinstance(error, Refused):
        return "refused"
    # What is no error of this library is a mistake somewhere: it may come before or after the bytes.
    is_unsent = isinstance(error, NotSent) or (
        charge == "no" and not isinstance(error, MemoriesError)
    )
    return "unsent" if is_unsent else "unknown"
