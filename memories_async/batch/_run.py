"""A batch at work: one feeder, and workers over its jobs, inside one task group.

The feeder reads ahead no further than there is room, so memory does not grow with the number of
items. Whatever ends the batch early leaves the rest *planned*: claimed entries are let go of.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from contextlib import suppress
from typing import Any, Generic, Literal, Protocol, TypeVar

from attrs import define, field

from memories_async._client.call_runner import AttemptHook
from memories_async._client.settings import Settings
from memories_async._database.file import DatabaseFailed
from memories_async._protocol.call import Call
from memories_async._protocol.reply import Reply
from memories_async.batch._channel import Pipe
from memories_async.batch._circuit_breaker import Outage
from memories_async.batch._jobs import Job, prepared
from memories_async.batch._source import Source
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
)
from memories_async.ledger._claimed import Line
from memories_async.ledger._claims import POLL, Elsewhere
from memories_async.ledger._coordinator import Desk

K = TypeVar("K")
T = TypeVar("T")

OnUnknown = Literal["park", "resend", "raise"]
BUFFER = 1024
"""Outcomes that wait for the caller before the batch waits, too."""
# What is wrong with one item is its own matter; these are wrong with all of them.
_STOPPING = (
    AuthenticationFailed,
    InsufficientCredits,
    PermissionDenied,
    BudgetExceeded,
    DatabaseFailed,
)


class Submit(Protocol):
    """Sends a call, telling its ledger entry and other hooks of the attempts."""

    def __call__(
        self, call: Call[T], entry: Line | None, /, *others: AttemptHook
    ) -> Awaitable[T]: ...


@define(eq=False)
class Run(Generic[K, T]):
    """The state of a batch that was entered."""

    source: Source[K, T]
    submit: Submit
    settings: Settings
    desk: Desk | None
    tally: Tally
    concurrency: int
    on_unknown: OnUnknown
    outbox: Pipe[Outcome[K, T]] = field(factory=lambda: Pipe[Outcome[K, T]](BUFFER), init=False)
    failure: Exception | None = field(default=None, init=False)
    """What the caller is to be told by an exception, once the outcomes are read."""
    stopped: Exception | None = field(default=None, init=False)
    """The error of an item that is wrong with every further item, too."""
    _jobs: Pipe[Job[K, T]] = field(init=False)
    _outage: Outage = field(factory=Outage, init=False)
    _loose: set[asyncio.Task[Any]] = field(factory=set[asyncio.Task[Any]], init=False)
    """Tasks that can be cancelled without losing anything: nothing of theirs is under way."""
    _dropped: list[Job[K, T]] = field(factory=list[Job[K, T]], init=False)
    """What was in line when it was stopped."""
    _stopping: bool = field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        self._jobs = Pipe[Job[K, T]](self.concurrency)

    async def run(self) -> None:
        """Bring every item to its end."""
        try:
            async with asyncio.TaskGroup() as group:
                self._loose.add(group.create_task(self._feed()))
                for _ in range(self.concurrency):
                    group.create_task(self._work())
        finally:
            self.outbox.end()
            for job in (*self._dropped, *self._jobs.drained()):
                await _let_go(job)
            await self.source.aclose()

    def stop(self) -> None:
        """Begin nothing more. What is being sent goes on, what waits for its permit does not."""
        if self._stopping:
            return
        self._stopping = True
        self.outbox.widen()
        self._dropped = self._jobs.drained()
        self._jobs.end()
        for task in self._loose:
            task.cancel()

    def mark_sending(self, worker: asyncio.Task[Any], *, is_sending: bool) -> None:
        """Count a request that begins or ends; `stop` cancels only workers that send nothing."""
        if is_sending:
            self._loose.discard(worker)
            self.tally.in_flight += 1
        else:
            self._loose.add(worker)
            self.tally.in_flight -= 1

    async def _feed(self) -> None:
        try:
            while items := await self.source.some():
                while items:
                    jobs = await asyncio.to_thread(prepared, items, self.desk, self.settings)
                    items = items[len(jobs) :]
                    await self._admit(jobs)
        except Exception as error:  # noqa: BLE001  # the caller's iterable, or the ledger: they end it
            self.failure = error
        finally:
            self._jobs.end()

    async def _admit(self, jobs: Iterable[Job[K, T]]) -> None:
        """Tell what is known already, and line the rest up as room comes."""
        known: list[Outcome[K, T]] = []
        rest: list[Job[K, T]] = []
        for job in jobs:
            if job.outcome is None:
                rest.append(job)
            else:
                known.append(job.outcome)
        await self._tell(known)
        while rest:
            room = await self._jobs.room()
            some, rest = rest[:room], rest[room:]
            await self._claim(some)
            self._jobs.add(some)

    async def _claim(self, jobs: Iterable[Job[K, T]]) -> None:
        recorded = [(job, job.ask) for job in jobs if job.ask is not None]
        if self.desk is None or not recorded:
            return
        resend = self.on_unknown == "resend"
        claims = await self.desk.claim([ask for _, ask in recorded], resend=resend)
        for (job, _), claim in zip(recorded, claims, strict=True):
            job.claim = claim

    async def _work(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        while not self._stopping and (taken := await self._jobs.take(1)):
            (job,) = taken
            self._loose.add(task)
            try:
                outcome = await self._outcome(job, task)
            finally:
                self._loose.discard(task)
                await _let_go(job)
            if outcome is None:
                self._jobs.add([job])
            else:
                await self._tell([outcome])
                self._heed(outcome)

    async def _tell(self, outcomes: list[Outcome[K, T]]) -> None:
        if outcomes:
            for outcome in outcomes:
                self.tally.count(outcome)
            await self.outbox.put(outcomes)

    def _heed(self, outcome: Outcome[K, T]) -> None:
        """Stop where an outcome says that the next ones would be no better."""
        error = outcome.error
        if isinstance(error, _STOPPING):
            self.stopped = self.stopped or error
            self.stop()
        elif isinstance(error, OutcomeUnknown) and self.on_unknown == "raise":
            self.failure = self.failure or error
            self.stop()

    async def _outcome(self, job: Job[K, T], task: asyncio.Task[Any]) -> Outcome[K, T] | None:
        """Bring one item to its end; None where it has to come again."""
        try:
            self.settings.check(job.call)
            if not await self._is_ready(job):
                return None
            outcome = job.answered(await self._answer(job, task))
        except NotSent as error:
            if error.transient and await self._outage.sat_out():
                job.claim = None
                return None
            return job.failed(error)
        except (MemoriesError, ValueError, TypeError, OSError) as error:
            outcome = job.failed(error)
        self._outage.over()
        return outcome

    async def _is_ready(self, job: Job[K, T]) -> bool:
        """Claim the item if it is not, and look whether somebody else is delivering it."""
        if job.claim is None:
            await self._claim([job])
        if not isinstance(job.claim, Elsewhere):
            return True
        # A worker that waited longer could wait for one that waits for it.
        with suppress(TimeoutError):
            async with asyncio.timeout(POLL):
                await job.claim.over()
        job.claim = None
        return False

    async def _answer(self, job: Job[K, T], task: asyncio.Task[Any]) -> T:
        async def send(call: Call[T], entry: Line | None) -> T:
            worker = WorkerHook(self, task)
            try:
                return await self.submit(call, entry, worker)
            finally:
                self.tally.in_flight -= worker.is_sending

        if self.desk is None or job.claim is None:
            return await send(job.call, None)
        assert not isinstance(job.claim, Elsewhere)
        return await self.desk.finish(job.claim, job.call, send)


@define(eq=False)
class WorkerHook:
    """Notes when the request of one worker is under way; see `AttemptHook`."""

    run: Run[Any, Any]
    worker: asyncio.Task[Any]
    is_sending: bool = field(default=False, init=False)

    async def sending(self) -> None:
        """Count the request, and keep `stop` from cancelling it."""
        self.is_sending = True
        self.run.mark_sending(self.worker, is_sending=True)

    def sent(self) -> None:
        """Note nothing: the request counts since it had its permit."""

    async def answered(self, reply: Reply) -> None:
        """Note nothing: the worker ends the request."""

    async def failed(self, error: MemoriesError, *, final: bool) -> None:  # noqa: ARG002  # a hook's
        """Let `stop` cancel the wait for the next attempt."""
        if self.is_sending and not final:
            self.is_sending = False
            self.run.mark_sending(self.worker, is_sending=False)


async def _let_go(job: Job[Any, Any]) -> None:
    if isinstance(job.claim, Line):
        await job.claim.close()
