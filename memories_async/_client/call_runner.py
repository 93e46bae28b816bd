"""Runs one call: permits, attempts and waits, until there is an answer or a reason to give up."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable
from contextvars import Token
from functools import partial
from math import inf
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

from attrs import define, field

from memories_async._client.call_reporter import CallReporter, draw_id, name_item
from memories_async._client.settings import Settings
from memories_async._http.attempt import Attempt, Deadline
from memories_async._http.transport import Transport
from memories_async._protocol.call import Call
from memories_async._protocol.messages import make_printable
from memories_async._protocol.reply import Reply
from memories_async.errors import (
    Billed,
    MemoriesError,
    NotSent,
    OutcomeUnknown,
    RateLimited,
    add_context,
)
from memories_async.events import CurrentCall, WaitReason, current_call, logger
from memories_async.limiter import Bucket, Permit, Priority

if TYPE_CHECKING:
    from memories_async.ledger._claims import Claimed

T = TypeVar("T")


class AttemptHook(Protocol):
    """Is told of the attempts at one call, in time to write them down."""

    async def sending(self) -> None:
        """Note that an attempt begins. Nothing is sent before this returns, or if it raises."""

    def sent(self) -> None:
        """Note that the first bytes of the attempt leave: from here on it may be billed."""

    async def answered(self, reply: Reply) -> None:
        """Keep *reply*, a success that was read. The caller gets the answer after this returns."""

    async def failed(self, error: MemoriesError, *, final: bool) -> None:
        """Note how an attempt ended without an answer, and whether it was the last one."""

    def cancelled(self) -> None:
        """Note that the call was cancelled: nothing more comes of the attempt under way."""


@define(eq=False)
class CallRunner:
    """One call from its beginning to its end, as a context; `run` is its loop of attempts.

    An item of a batch may enter the context and run several times. It has ended when the context is
    left without `is_suspended`.
    """

    settings: Settings
    transport: Transport
    call: Call[Any]
    item: object = None
    """The key of a batch's item, for its events; so is *batch_id*."""
    batch_id: str | None = None
    hooks: tuple[AttemptHook, ...] = field(default=(), init=False)
    """Told of every attempt, in this order."""
    bucket: Bucket = field(init=False)
    deadline: float | None = field(default=None, init=False)
    """The loop's time by which everything must be over."""
    attempts: int = field(default=0, init=False)
    """Requests so far."""
    limited: int = field(default=0, init=False)
    """How many of this run were refused for their rate; they cost no attempt."""
    earlier: int = field(default=0, init=False)
    """How many belong to earlier runs."""
    doubt: MemoriesError | None = field(default=None, init=False)
    """The last attempt's error that does not say that nothing was done, if there was one."""
    failure: MemoriesError | None = field(default=None, init=False)
    """The last attempt's error, if there was one."""
    charge: Billed = field(default="no", init=False)
    """Whether the attempts so far may have been charged."""
    reporter: CallReporter | None = field(default=None, init=False)
    """Tells the observers; None where there are none, as mostly."""
    error: BaseException | None = field(default=None, init=False)
    """What the call ended in, where it is not raised."""
    is_suspended: bool = field(default=False, init=False)
    _call_id: str = field(default="", init=False)
    _token: Token[CurrentCall | None] = field(init=False)

    @property
    def call_id(self) -> str:
        """The id that the call's events and log records carry."""
        self._call_id = self._call_id or draw_id()
        return self._call_id

    def __enter__(self) -> Self:
        self._token = current_call.set(self)
        settings = self.settings
        observers = settings.find_observers()
        if observers and self.reporter is None:
            self.reporter = CallReporter(
                settings, self.call, self.call_id, self.item, self.batch_id, observers
            )
            self.reporter.begin()
        self.is_suspended = False
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if isinstance(error, MemoriesError):
            error.tag = self.call.tag
        if self.reporter is not None and (error is not None or not self.is_suspended):
            self.end(error or self.error)
        try:  # noqa: SIM105  # half a microsecond less than suppress
            current_call.reset(self._token)
        except ValueError:  # a coroutine that is collected is closed in another context
            pass

    def end(self, error: BaseException | None) -> None:
        """Tell the observers how the call ended, unless they know."""
        reporter, self.reporter = self.reporter, None
        if reporter is not None:
            reporter.end(error, attempts=self.attempts, charge=self.charge)

    def tell_waiting(self, reason: WaitReason, seconds: float | None = None) -> None:
        """Tell the observers that the call waits."""
        if self.reporter is not None:
            self.reporter.tell_waiting(reason, attempt=self.attempts, seconds=seconds)

    def submit(
        self, call: Call[T], entry: Claimed | None = None, *others: AttemptHook
    ) -> Awaitable[T]:
        """Send *call* over the wire; its *entry* in the ledger and *others* hear of each attempt."""
        settings = self.settings
        hooks: list[AttemptHook] = [] if entry is None else [entry]
        if settings.budgets:
            watching = (budget.watch(call) for budget in settings.budgets)
            hooks.extend(hook for hook in watching if hook is not None)
        self.hooks = (*hooks, *others)
        if settings.receiver is None or not (call.needs_callback or call.welcomes_callback):
            return self.run(call)
        return settings.receiver.submit(call, self.run, key=None if entry is None else entry.key)

    async def run(self, call: Call[T]) -> T:
        """Return the answer, or raise the error that says most about what the call cost."""
        if call.prepare is not None:
            async with call.prepare(call) as prepared:
                return await self.run(prepared)
        self.call, self.bucket = call, self.settings.bucket(call.host, call.family)
        self.earlier, self.limited, self.doubt, self.failure = self.attempts, 0, None, None
        if (seconds := self.settings.policy.deadline) is not None:
            now = asyncio.get_running_loop().time()
            self.deadline = now + seconds + call.allowance + call.patience
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
                        raise  # as it is: `raise error` would show this frame twice
                    if wait is None:
                        raise self._outweigh(error) from None
                await asyncio.sleep(wait)
        except asyncio.CancelledError as cancelled:
            self._report_cancelled(cancelled)
            raise

    async def _try_once(self, call: Call[T]) -> T:
        settings, clock = self.settings, asyncio.get_running_loop().time
        permit, asked_at, reporter = settings.limiter.permit(self.bucket), clock(), self.reporter
        if reporter is not None:
            reporter.tell_waiting("permit", attempt=self.attempts)
        is_batch = settings.priority is Priority.BATCH
        with Deadline(None if is_batch else self.deadline) as waiting:
            async with permit:
                waiting.reschedule(inf)
                if is_batch and self.deadline is not None:
                    # What a batch's call waits behind the others costs none of its own time.
                    self.deadline += clock() - asked_at
                if reporter is not None:
                    reporter.tell_permit(self.bucket)
                for hook in self.hooks:
                    await hook.sending()
                self.attempts += 1
                if reporter is not None:
                    reporter.tell_sending(attempt=self.attempts, fault=permit.fault)
                reply = settings.mask_reply(await self.transport.carry(self._build_attempt(permit)))
                seconds = 0.0 if reporter is None else reporter.end_attempt()
                answer = call.read(reply)
                self.charge = "yes"
                for hook in self.hooks:
                    await hook.answered(reply)
        if reporter is not None:
            reporter.tell_answered(reply, attempt=self.attempts, seconds=seconds)
        return answer

    def _build_attempt(self, permit: Permit) -> Attempt:
        settings, policy, call = self.settings, self.settings.policy, self.call
        renew = permit.renew_if_late
        if self.reporter is not None:
            renew = partial(self.reporter.renew_permit, permit, attempt=self.attempts)
        return Attempt(
            method=call.method,
            url=call.storage_url or settings.hosts.of(call.host) + call.target,
            body=call.body,
            progress=call.progress,
            save_to=call.save_to,
            key=None if call.storage_url else settings.key_of(call.host),
            proxy=settings.proxies.get(call.host),
            connect_timeout=policy.connect_timeout,
            timeout=policy.timeout + call.patience,
            deadline=self.deadline,
            renew_permit=renew,
            on_sent=self._note_sent,
        )

    def _note_sent(self) -> None:
        self.charge = "maybe"
        for hook in self.hooks:
            hook.sent()
        if self.reporter is not None:
            self.reporter.tell_sent(attempt=self.attempts)

    def _report_cancelled(self, cancelled: asyncio.CancelledError) -> None:
        """Tell the caller, the log and the hooks what a cancelled call may have cost."""
        for hook in self.hooks:
            hook.cancelled()
        if self.charge == "no" or self.call.is_free:
            return
        when = "after its answer came" if self.charge == "yes" else "after it was sent"
        name = self.call.name
        if self.item is not None:
            name = f"{name} of item {make_printable(name_item(self.item), limit=80)}"
        note = f"{name} was cancelled {when} (billed: {self.charge})"
        cancelled.add_note(note)
        logger.warning(note)

    async def _fail(self, error: MemoriesError) -> float | None:
        """Tell everybody of a failed attempt; return the seconds until the next, or None."""
        self.settings.mask_error(error)
        add_context(error, call=self.call.name, attempts=self.attempts)
        self.failure = error
        if error.billed != "no" or isinstance(error, OutcomeUnknown):
            self.doubt = error
        if self.call.is_free:
            error.billed = "no"
        self.charge = "no" if self.doubt is None else self.doubt.billed
        if self.reporter is not None:
            self.reporter.tell_failed(error, attempt=self.attempts)
        wait = self._wait_after(error)
        if isinstance(error, RateLimited):
            # Also where this call gives up: the refusal concerns the whole account.
            policy = self.settings.policy
            asked = policy.backoff if error.retry_after is None else error.retry_after
            pause = min(asked, policy.max_retry_after) if wait is None else wait
            if self.reporter is not None:
                self.reporter.tell_paused(self.bucket, pause)
            await self.settings.limiter.pause(self.bucket, pause)
            wait = None if wait is None else 0.0
        for hook in self.hooks:
            await hook.failed(error, final=wait is None)
        return wait

    def _wait_after(self, error: MemoriesError) -> float | None:
        """Ask the policy, and the deadline, whether to go on."""
        is_limited = isinstance(error, RateLimited)
        self.limited += is_limited
        failed = self.limited if is_limited else self.attempts - self.earlier - self.limited
        jitter = random.random()  # noqa: S311  # spreads waits, guards nothing
        wait = self.settings.policy.wait_after(error, self.call, failed, jitter=jitter)
        now = asyncio.get_running_loop().time()
        if wait is None or (self.deadline is not None and now + wait >= self.deadline):
            return None
        self.tell_waiting("rate" if is_limited else "retry", wait)
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
