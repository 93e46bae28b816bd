"""Runs a batch: one feeder and a number of workers over its jobs, inside one task group.

The feeder reads only as far ahead as the workers have room, so memory does not grow with the number
of items. When a batch ends early its claimed entries are released and stay *planned*.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from typing import Any, Generic, Literal, TypeVar

from attrs import define, field

from memories_async._client.settings import Settings
from memories_async._database.file import DatabaseFailed
from memories_async._database.group_commit import POLL
from memories_async._protocol.call import Call
from memories_async._protocol.reply import Reply
from memories_async.batch._channel import Channel
from memories_async.batch._circuit_breaker import CircuitBreaker
from memories_async.batch._jobs import Job, OpenCall, prepare_jobs
from memories_async.batch._source import DaemonThread, Source
from memories_async.batch._tally import Tally
from memories_async.batch._values import Outcome
from memories_async.errors import (
    AuthenticationFailed,
    BudgetExceeded,
    InsufficientCredits,
    MemoriesError,
    NotSent,
    OutcomeUnknown,
    PermissionDenied,
    Refused,
)
from memories_async.ledger._claimed import Claimed
from memories_async.ledger._coordinator import (
    Coordinator,
    InFlight,
    OtherAccount,
    Paid,
    Unknown,
)

K = TypeVar("K")
T = TypeVar("T")

OnUnknown = Literal["park", "resend", "raise"]
BUFFER = 1024
"""Outcomes that the caller has not taken yet, above which the batch waits."""
REFUSALS = 20
"""Items that are refused in the same words, by a code without a documented meaning and with none
answered, after which the batch stops: the caption host refuses a wrong key so."""
# An item that ends in one of these shows what is wrong with every other item, too.
_STOPPING = (
    AuthenticationFailed,
    InsufficientCredits,
    PermissionDenied,
    BudgetExceeded,
    DatabaseFailed,
)


@define(eq=False)
class BatchRun(Generic[K, T]):
    """The state of a batch that was entered."""

    source: Source[K, T]
    open_call: OpenCall
    settings: Settings
    coordinator: Coordinator | None
    tally: Tally
    concurrency: int
    on_unknown: OnUnknown
    outbox: Channel[Outcome[K, T]] = field(
        factory=lambda: Channel[Outcome[K, T]](BUFFER), init=False
    )
    failure: BaseException | None = field(default=None, init=False)
    """An exception to raise to the caller once the outcomes are read."""
    cancelled: int = field(default=0, init=False)
    """Items that were under way when the batch was left."""
    stopped: Exception | None = field(default=None, init=False)
    """The error of the item that stopped the batch."""
    _jobs: Channel[Job[K, T]] = field(init=False)
    _breaker: CircuitBreaker = field(factory=CircuitBreaker, init=False)
    _idle: set[asyncio.Task[Any]] = field(factory=set[asyncio.Task[Any]], init=False)
    """Tasks that send nothing now and can be cancelled without losing anything."""
    _dropped: list[Job[K, T]] = field(factory=list[Job[K, T]], init=False)
    """Jobs that were waiting when the batch was stopped."""
    _preparing: DaemonThread = field(factory=DaemonThread, init=False)
    _refusals: int = field(default=0, init=False)
    """How many items in a row were refused in the same words; -1 once an item was answered."""
    _last_refusal: Refused | None = field(default=None, init=False)
    _is_stopping: bool = field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        self._jobs = Channel[Job[K, T]](self.concurrency)

    async def run(self) -> None:
        """Run until every item has its outcome, or until `stop`."""
        try:
            async with asyncio.TaskGroup() as group:
                self._idle.add(group.create_task(self._feed()))
                for _ in range(self.concurrency):
                    group.create_task(self._work())
        finally:
            self.outbox.end()
            for job in (*self._dropped, *self._jobs.take_all()):
                self.cancelled += job.runner.is_suspended
                job.runner.end(asyncio.CancelledError())
                await _release(job)
            self._preparing.end()
            await self.source.aclose()

    def stop(self) -> None:
        """Begin no further request. A request that is out goes on; a wait for a permit ends."""
        if self._is_stopping:
            return
        self._is_stopping = True
        self.outbox.widen()
        self._dropped = self._jobs.take_all()
        self._jobs.end()
        for task in self._idle:
            task.cancel()

    def mark_sending(self, worker: asyncio.Task[Any], *, is_sending: bool) -> None:
        """Count a request that begins or ends; `stop` cancels only workers that send nothing."""
        if is_sending:
            self._idle.discard(worker)
            self.tally.in_flight += 1
        else:
            self._idle.add(worker)
            self.tally.in_flight -= 1

    async def _feed(self) -> None:
        try:
            while items := await self.source.read():
                while items:
                    prepared = await self._preparing.run(
                        partial(
                            prepare_jobs, items, self.coordinator, self.settings, self.open_call
                        )
                    )
                    items = items[len(prepared) :]
                    answered = [one for one in prepared if isinstance(one, Outcome)]
                    await self._emit(self._tell_of(answered))
                    await self._enqueue([one for one in prepared if isinstance(one, Job)])
        except BaseException as error:  # of the caller's iterable, or of the ledger
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                raise  # this batch is stopping; without it, the iterable waited for a cancelled task
            self.failure = error
        finally:
            self._jobs.end()

    async def _enqueue(self, jobs: list[Job[K, T]]) -> None:
        """Claim jobs and hand them to the workers, as many at a time as there is room for."""
        while jobs:
            room = await self._jobs.wait_for_room()
            some, jobs = jobs[:room], jobs[room:]
            await self._claim(some)
            self._jobs.add(some)

    async def _claim(self, jobs: Iterable[Job[K, T]]) -> None:
        recorded = [(job, job.entry_key) for job in jobs if job.entry_key is not None]
        if self.coordinator is None or not recorded:
            return
        resend = self.on_unknown == "resend"
        claims = await self.coordinator.claim([key for _, key in recorded], resend=resend)
        for (job, _), claim in zip(recorded, claims, strict=True):
            job.claim = claim

    async def _work(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        while not self._is_stopping and (taken := await self._jobs.take(1)):
            (job,) = taken
            self._idle.add(task)
            try:
                with job.runner:
                    outcome = await self._process(job, task)
                    job.runner.is_suspended = outcome is None
                    job.runner.error = None if outcome is None else outcome.error
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
            finally:
                self._idle.discard(task)
                await _release(job)
            if outcome is None:
                self._jobs.add([job])
            else:
                await self._emit([outcome])
                self._stop_if_hopeless(outcome)

    def _tell_of(self, outcomes: list[Outcome[K, T]]) -> list[Outcome[K, T]]:
        """Tell the observers of items that have an outcome and that no worker took."""
        for outcome in outcomes:
            if outcome.call is not None:
                with self.open_call(outcome.call, outcome.key) as runner:
                    runner.error = outcome.error
        return outcomes

    async def _emit(self, outcomes: list[Outcome[K, T]]) -> None:
        if outcomes:
            for outcome in outcomes:
                self.tally.count(outcome)
            await self.outbox.put(outcomes)

    def _stop_if_hopeless(self, outcome: Outcome[K, T]) -> None:
        """Stop where the outcome shows that the other items would fail as well."""
        error, last = outcome.error, self._last_refusal
        if type(error) is Refused and self._refusals >= 0:
            is_same = last is None or (last.code, last.message) == (error.code, error.message)
            self._refusals, self._last_refusal = self._refusals + 1 if is_same else 1, error
        elif not outcome.replayed and error is None:
            self._refusals = -1  # the account is fine: a refusal is the item's own
        if isinstance(error, _STOPPING) or self._refusals >= REFUSALS:
            self.stopped = self.stopped or error
            self.stop()
        elif isinstance(error, OutcomeUnknown) and self.on_unknown == "raise":
            self.failure = self.failure or error
            self.stop()

    async def _process(self, job: Job[K, T], task: asyncio.Task[Any]) -> Outcome[K, T] | None:
        """Send or answer one item; None where it has to be queued again."""
        try:
            self.settings.check(job.call)
            if job.claim is None:
                await self._claim([job])
            if isinstance(job.claim, InFlight):
                # A worker that waited longer could wait for one that waits for it.
                with suppress(TimeoutError):
                    async with asyncio.timeout(POLL):
                        await job.claim.wait()
                job.claim = None
                return None
            outcome = job.succeed(await self._answer(job, job.claim, task))
        except NotSent as error:
            if error.transient and await self._breaker.wait():
                job.claim = None
                return None
            return job.fail(error)
        except (MemoriesError, ValueError, TypeError, OSError) as error:
            outcome = job.fail(error)
        self._breaker.close()
        return outcome

    async def _answer(
        self,
        job: Job[K, T],
        claim: Claimed | Paid | Unknown | OtherAccount | None,
        task: asyncio.Task[Any],
    ) -> T:
        async def send(call: Call[T], entry: Claimed | None) -> T:
            worker = WorkerHook(self, task)
            try:
                return await job.runner.submit(call, entry, worker)
            finally:
                self.tally.in_flight -= worker.is_sending

        if self.coordinator is None or claim is None:
            return await send(job.call, None)
        return await self.coordinator.resolve(claim, job.call, send)


@define(eq=False)
class WorkerHook:
    """Tells a batch when the request of one worker is out; see `AttemptHook`."""

    run: BatchRun[Any, Any]
    worker: asyncio.Task[Any]
    is_sending: bool = field(default=False, init=False)

    async def sending(self) -> None:
        """Count the request, and keep `stop` from cancelling it."""
        self.is_sending = True
        self.run.mark_sending(self.worker, is_sending=True)

    def sent(self) -> None:
        """Do nothing: the request counts since it had its permit."""

    async def answered(self, reply: Reply) -> None:
        """Do nothing: the worker ends the request."""

    async def failed(self, error: MemoriesError, *, final: bool) -> None:  # noqa: ARG002  # a hook's
        """Let `stop` cancel the wait for the next attempt."""
        if self.is_sending and not final:
            self.is_sending = False
            self.run.mark_sending(self.worker, is_sending=False)

    def cancelled(self) -> None:
        """Note nothing: the worker ends the request."""


async def _release(job: Job[Any, Any]) -> None:
    if isinstance(job.claim, Claimed):
        await job.claim.close()
