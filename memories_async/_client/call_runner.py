"""Runs one call: permits, attempts and waits, until there is an answer or a reason to give up."""

from __future__ import annotations

import asyncio
import logging
import random
from math import inf
from typing import Any, Protocol, TypeVar

from attrs import define, field

from memories_async._client.settings import Settings
from memories_async._http.attempt import Attempt, Deadline
from memories_async._http.transport import Transport
from memories_async._protocol.call import Call
from memories_async._protocol.reply import Reply
from memories_async.errors import Billed, MemoriesError, NotSent, RateLimited, add_context
from memories_async.events import (
    Answered,
    Degraded,
    Event,
    Failed,
    Sending,
    Waiting,
    log,
    logger,
)
from memories_async.limiter import Bucket, Permit, Priority

T = TypeVar("T")


class AttemptHook(Protocol):
    """Is told of the attempts at one call, in time to write them down."""

    async def sending(self) -> None:
        """Note that an attempt begins. Nothing is sent before this returns, or if it raises."""
        ...

    def sent(self) -> None:
        """Note that the first bytes of the attempt leave: from here on it may be billed."""
        ...

    async def answered(self, reply: Reply) -> None:
        """Keep *reply*, a success that was read. The caller gets the answer after this returns."""
        ...

    async def failed(self, error: MemoriesError, *, final: bool) -> None:
        """Note how an attempt ended without an answer, and whether it was the last one."""
        ...

    def cancelled(self) -> None:
        """Note that the call was cancelled: nothing more comes of the attempt under way."""
        ...


@define(eq=False)
class CallRunner:
    """Sends one call: `run`, awaited once, is its loop of attempts."""

    settings: Settings
    transport: Transport
    hooks: tuple[AttemptHook, ...] = ()
    """Told of every attempt, in this order."""
    call: Call[Any] = field(init=False)
    bucket: Bucket = field(init=False)
    deadline: float | None = field(default=None, init=False)
    """The loop's time by which everything must be over."""
    attempts: int = field(default=0, init=False)
    """Requests so far."""
    limited: int = field(default=0, init=False)
    """How many of them were refused for their rate; they cost no attempt."""
    doubt: MemoriesError | None = field(default=None, init=False)
    """The last attempt's error that may have been charged, if there was one."""
    failure: MemoriesError | None = field(default=None, init=False)
    """The last attempt's error, if there was one."""
    charge: Billed = field(default="no", init=False)
    """Whether the attempt under way may have been charged."""

    async def run(self, call: Call[T]) -> T:
        """Return the answer, or raise the error that says most about what the call cost."""
        self.call, self.bucket = call, self.settings.bucket(call.host, call.family)
        if (seconds := self.settings.policy.deadline) is not None:
            self.deadline = asyncio.get_running_loop().time() + seconds + call.allowance
        try:
            while True:
                try:
                    return await self._try_once(call)
                except TimeoutError:  # raised by the wait for a permit, and by nothing else
                    error = self._deadline_error()
                    await self._fail(error)
                    raise self._outweigh(error) from None
                except MemoriesError as error:
                    wait = await self._fail(error)
                    if wait is None and self.doubt in {None, error}:
                        raise
                    if wait is None:
                        raise self._outweigh(error) from None
                await asyncio.sleep(wait)
        except asyncio.CancelledError as cancelled:
            self._report_cancelled(cancelled)
            raise

    async def _try_once(self, call: Call[T]) -> T:
        settings, clock = self.settings, asyncio.get_running_loop().time
        permit, asked_at = settings.limiter.permit(self.bucket), clock()
        is_batch = settings.priority is Priority.BATCH
        with Deadline(None if is_batch else self.deadline) as waiting:
            async with permit:
                waiting.reschedule(inf)
                begun_at = clock()
                if is_batch and self.deadline is not None:
                    # What a batch's call waits behind the others costs none of its own time.
                    self.deadline += begun_at - asked_at
                self._begin(permit, waited=begun_at - asked_at)
                for hook in self.hooks:
                    await hook.sending()
                reply = settings.mask_reply(await self.transport.carry(self._build_attempt(permit)))
                answer = call.read(reply)
                self.charge = "yes"
                for hook in self.hooks:
                    await hook.answered(reply)
        if self._has_listeners():
            seconds, status = clock() - begun_at, reply.status
            self._tell(
                Answered(call=call.name, attempt=self.attempts, status=status, seconds=seconds)
            )
        return answer

    def _begin(self, permit: Permit, *, waited: float) -> None:
        self.attempts, self.charge = self.attempts + 1, "no"
        name, attempt = self.call.name, self.attempts
        if self._has_listeners():
            self._tell(Sending(call=name, attempt=attempt, waited=waited))
        if permit.fault is not None:
            self._tell(Degraded(call=name, attempt=attempt, reason=permit.fault))

    def _build_attempt(self, permit: Permit) -> Attempt:
        settings, policy, call = self.settings, self.settings.policy, self.call
        return Attempt(
            method=call.method,
            url=settings.hosts.of(call.host) + call.target,
            body=call.body,
            progress=call.progress,
            save_to=call.save_to,
            key=settings.key_of(call.host),
            proxy=settings.proxies.get(call.host),
            connect_timeout=policy.connect_timeout,
            timeout=policy.timeout,
            deadline=self.deadline,
            renew_permit=permit.renew_if_late,
            on_sent=(self._note_sent, *(hook.sent for hook in self.hooks)),
        )

    def _note_sent(self) -> None:
        self.charge = "maybe"

    def _report_cancelled(self, cancelled: asyncio.CancelledError) -> None:
        """Tell the caller, the log and the hooks what a cancelled call may have cost."""
        for hook in self.hooks:
            hook.cancelled()
        charge = self.doubt.billed if self.charge == "no" and self.doubt else self.charge
        if charge == "no" or self.call.is_free:
            return
        when = "after its answer came" if charge == "yes" else "after it was sent"
        note = f"{self.call.name} was cancelled {when} (billed: {charge})"
        cancelled.add_note(note)
        logger.warning(note)

    async def _fail(self, error: MemoriesError) -> float | None:
        """Tell everybody of a failed attempt; return the seconds until the next, or None."""
        self.settings.mask_error(error)
        add_context(error, call=self.call.name, attempts=self.attempts)
        self._tell(Failed(call=self.call.name, attempt=self.attempts, error=error))
        self.failure, self.charge = error, "no"
        if error.billed != "no":
            self.doubt = error
        wait = self._wait_after(error)
        if isinstance(error, RateLimited):
            # Also where this call gives up: the refusal concerns the whole account.
            policy = self.settings.policy
            asked = policy.backoff if error.retry_after is None else error.retry_after
            pause = min(asked, policy.max_retry_after) if wait is None else wait
            await self.settings.limiter.pause(self.bucket, pause)
            wait = None if wait is None else 0.0
        for hook in self.hooks:
            await hook.failed(error, final=wait is None)
        return wait

    def _wait_after(self, error: MemoriesError) -> float | None:
        """Ask the policy, and the deadline, whether to go on."""
        self.limited += isinstance(error, RateLimited)
        wait = self.settings.policy.wait_after(
            error,
            self.call,
            self.limited if isinstance(error, RateLimited) else self.attempts - self.limited,
            jitter=random.random(),  # noqa: S311  # spreads waits, guards nothing
        )
        now = asyncio.get_running_loop().time()
        if wait is None or (self.deadline is not None and now + wait >= self.deadline):
            return None
        self._tell(Waiting(call=self.call.name, attempt=self.attempts, seconds=wait))
        return wait

    def _outweigh(self, error: MemoriesError) -> MemoriesError:
        """Return the error of an attempt that may have been charged before one that was not."""
        if self.doubt is None or self.doubt is error:
            return error
        self.doubt.add_note(f"a later attempt: {error}")
        return add_context(self.doubt, call=self.call.name, attempts=self.attempts)

    def _deadline_error(self) -> NotSent:
        passed = f"the deadline of {self.settings.policy.deadline} s passed while the call waited for a permit"
        if self.failure is None:
            return NotSent(
                f"{passed}; raise Policy(deadline=...), or use client.batch, which waits for permits without a deadline"
            )
        count = f"{self.attempts} failed attempt{'s' * (self.attempts > 1)}"
        return NotSent(f"{passed}, after {count}: {self.failure.message}")

    def _has_listeners(self) -> bool:
        """Tell whether anybody sees the events of a call that goes well; mostly nobody does."""
        return self.settings.observers != (log,) or logger.isEnabledFor(logging.DEBUG)

    def _tell(self, event: Event) -> None:
        """Tell every observer; one that raises is logged and does not harm the call."""
        for observer in self.settings.observers:
            try:
                observer(event)
            except Exception:  # noqa: BLE001  # it is logged
                logger.exception("an observer raised")
