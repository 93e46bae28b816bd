"""Runs a batch: one feeder, and workers over its calls and over the uploads of its flows.

The feeder reads only as far ahead as the workers have room, so memory does not grow with the number
of items. When a batch ends early its claimed entries are released and stay *planned*.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Any, Generic, Literal, TypeVar

from attrs import define, field

from memories_async._client.call_runner import CallRunner
from memories_async._client.settings import Settings
from memories_async._database.database import POLL
from memories_async._protocol.call import Call
from memories_async.batch._channel import Channel
from memories_async.batch._circuit_breaker import CircuitBreaker, FaultDetector
from memories_async.batch._jobs import Job, WorkerHook, continue_flow, prepare_jobs
from memories_async.batch._source import DaemonThread, Source
from memories_async.batch._tally import Tally
from memories_async.batch._values import Outcome
from memories_async.batch._waits import PaidUploads, UploadWaits, WaitForUpload
from memories_async.errors import MemoriesError, NotSent, OutcomeUnknown
from memories_async.ledger._claims import Claimed, InFlight
from memories_async.ledger._coordinator import Coordinator

K = TypeVar("K")
T = TypeVar("T")

OnUnknown = Literal["park", "resend", "raise"]
BUFFER = 1024
"""Outcomes not taken yet, above which the batch waits."""


@define(eq=False)
class BatchRun(Generic[K, T]):
    """The state of a batch that was entered."""

    source: Source[K, T]
    open_call: Callable[[Call[Any], object], CallRunner]
    wait: WaitForUpload
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
    _calls: Channel[Job[K, T]] = field(init=False)
    _uploads: Channel[Job[K, T]] = field(init=False)
    """The uploads of flows, which have a limit and workers of their own: calls do not wait for them."""
    _uploaders: int = field(default=0, init=False)
    """How many of those workers have been started."""
    _waits: UploadWaits[K, T] = field(init=False)
    _paid: PaidUploads[K, T] = field(factory=PaidUploads[K, T], init=False)
    _breaker: CircuitBreaker = field(factory=CircuitBreaker, init=False)
    _faults: FaultDetector = field(factory=FaultDetector, init=False)
    _idle: set[asyncio.Task[Any]] = field(factory=set[asyncio.Task[Any]], init=False)
    """Tasks that send nothing now and can be cancelled without losing anything."""
    _dropped: list[Job[K, T]] = field(factory=list[Job[K, T]], init=False)
    """Jobs that were waiting when the batch was stopped."""
    _preparing: DaemonThread = field(factory=DaemonThread, init=False)
    _is_stopping: bool = field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        self._calls = Channel[Job[K, T]](self.concurrency)
        self._uploads = Channel[Job[K, T]](self.concurrency)

    async def run(self) -> None:
        """Run until every item has its outcome, or until `stop`."""
        try:
            async with asyncio.TaskGroup() as calling:
                for _ in range(self.concurrency):
                    calling.create_task(self._work(self._calls))
                async with asyncio.TaskGroup() as uploading:
                    self._waits = UploadWaits(
                        wait=self.wait,
                        tally=self.tally,
                        start=lambda waiting: self._idle.add(uploading.create_task(waiting)),
                        send=self._calls.add,
                        fail=self._end_items,
                    )
                    self._idle.add(uploading.create_task(self._feed(uploading)))
                # No upload is under way any more, so no further call comes.
                self._calls.end()
        finally:
            self.tally.waiting = 0
            self._add_outcomes(self._paid.take_outcomes())
            self.outbox.end()
            for job in (*self._dropped, *self._calls.take_all(), *self._uploads.take_all()):
                if job.runner is not None:
                    self.cancelled += job.runner.is_suspended
                    job.runner.end(asyncio.CancelledError())
                await job.release()
            self._preparing.end()
            await self.source.aclose()

    def stop(self) -> None:
        """Begin no further request. A request that is out goes on; a wait for a permit ends."""
        if self._is_stopping:
            return
        self._is_stopping = True
        self.outbox.widen()
        for jobs in (self._calls, self._uploads):
            self._dropped += jobs.take_all()
            jobs.end()
        for task in self._idle:
            task.cancel()

    def _mark_sending(self, worker: asyncio.Task[Any], is_sending: bool) -> None:
        """Count a request that begins or ends; `stop` cancels only workers that send nothing."""
        if is_sending:
            self._idle.discard(worker)
            self.tally.in_flight += 1
        else:
            self._idle.add(worker)
            self.tally.in_flight -= 1
            if self._is_stopping:  # another attempt would be a further request
                worker.cancel()

    async def _feed(self, group: asyncio.TaskGroup) -> None:
        try:
            while items := await self.source.read():
                while items:
                    prepared = await self._preparing.run(
                        partial(prepare_jobs, items, self.coordinator, self.settings)
                    )
                    items = items[len(prepared) :]
                    outcomes = [one for one in prepared if isinstance(one, Outcome)]
                    self._tell_of(outcomes)
                    await self._emit(outcomes)
                    await self._hand_out([one for one in prepared if isinstance(one, Job)], group)
        except BaseException as error:  # of the caller's iterable, or of the ledger
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                raise  # this batch is stopping; without it, the iterable waited for a cancelled task
            self.failure = error
        finally:
            self._uploads.end()

    async def _hand_out(self, jobs: list[Job[K, T]], group: asyncio.TaskGroup) -> None:
        # Sorted now: a worker continues a job while the next ones wait for room.
        calls = [job for job in jobs if job.flow is None]
        uploads = [job for job in jobs if job.is_upload]
        uploaded = [job for job in jobs if job.upload is not None]
        for _ in range(self._uploaders, min(self.concurrency, self._uploaders + len(uploads))):
            self._uploaders += 1
            group.create_task(self._work(self._uploads))
        await self._enqueue(self._calls, calls)
        await self._enqueue(self._uploads, uploads)
        for job in uploaded:
            await self._waits.add(job)

    async def _enqueue(self, lane: Channel[Job[K, T]], jobs: list[Job[K, T]]) -> None:
        """Claim jobs and hand them to the workers, as many at a time as there is room for."""
        while jobs:
            room = await lane.wait_for_room()
            some, jobs = jobs[:room], jobs[room:]
            await self._claim(some)
            lane.add(some)

    async def _claim(self, jobs: Iterable[Job[K, T]]) -> None:
        keyed = [(job, key) for job in jobs if (key := job.build_entry_key(self.settings))]
        if self.coordinator is not None and keyed:
            keys, resend = [key for _, key in keyed], self.on_unknown == "resend"
            claims = await self.coordinator.claim(keys, resend=resend)
            for (job, _), claim in zip(keyed, claims, strict=True):
                job.claim = claim

    async def _work(self, lane: Channel[Job[K, T]]) -> None:
        task = asyncio.current_task()
        assert task is not None
        while not self._is_stopping and (taken := await lane.take(1)):
            (job,) = taken
            self._idle.add(task)
            job.runner = job.runner or self.open_call(job.call, job.key)
            try:
                with job.runner as runner:
                    outcome = await self._process(job, runner, task)
                    runner.is_suspended = outcome is None
                    runner.error = None if outcome is None else outcome.error
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
            finally:
                self._idle.discard(task)
                await job.release()
            if outcome is None:
                lane.add([job])
            elif job.is_upload and outcome.error is None:
                if self.coordinator is None:  # a ledger keeps it
                    self._paid.add(job, outcome)
                self._stop_if_hopeless(outcome)
                if not self._is_stopping:
                    await self._continue(job, outcome, task)
            else:
                if job.upload is not None:
                    self._waits.leave()
                await self._end_items([outcome])

    async def _continue(
        self, job: Job[K, T], uploaded: Outcome[K, Any], task: asyncio.Task[Any]
    ) -> None:
        """Wait with *job*, whose file is *uploaded*, for room among those that wait for the service."""
        self._idle.add(task)
        try:
            failed = await self._preparing.run(
                partial(continue_flow, job, uploaded, self.coordinator, self.settings)
            )
            if failed is None:
                await self._waits.add(job)
        finally:
            self._idle.discard(task)
        if failed is not None:
            await self._end_items([failed])

    def _tell_of(self, outcomes: list[Outcome[K, T]]) -> None:
        """Tell the observers of items that have an outcome and that no worker took."""
        for outcome in outcomes if self.settings.find_observers() else ():
            for one in (outcome.upload, outcome):
                if one is not None and one.call is not None:
                    with self.open_call(one.call, one.key) as runner:
                        runner.error = one.error

    async def _end_items(self, outcomes: list[Outcome[K, T]]) -> None:
        await self._emit(outcomes)
        for outcome in outcomes:
            self._stop_if_hopeless(outcome)

    async def _emit(self, outcomes: list[Outcome[K, T]]) -> None:
        if outcomes:
            self._add_outcomes(outcomes)
            await self.outbox.wait_for_room()

    def _add_outcomes(self, outcomes: list[Outcome[K, T]]) -> None:
        for outcome in outcomes:
            self._paid.remove(outcome)
            self.tally.count(outcome)
        self.outbox.add(outcomes)

    def _stop_if_hopeless(self, outcome: Outcome[K, Any]) -> None:
        """Stop where the outcome shows that the other items would fail as well."""
        if self._faults.is_hopeless(outcome):
            self.stopped = self.stopped or outcome.error
            self.stop()
        elif isinstance(outcome.error, OutcomeUnknown) and self.on_unknown == "raise":
            self.failure = self.failure or outcome.error
            self.stop()

    async def _process(
        self, job: Job[K, T], runner: CallRunner, task: asyncio.Task[Any]
    ) -> Outcome[K, T] | None:
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
            outcome = job.succeed(await self._answer(job, runner, task))
        except NotSent as error:
            self._idle.add(task)
            if error.transient and (self._is_stopping or await self._breaker.wait()):
                job.claim = None
                return None
            return job.fail(error)
        except (MemoriesError, ValueError, TypeError, OSError) as error:
            outcome = job.fail(error)
        self._breaker.close()
        return outcome

    async def _answer(self, job: Job[K, T], runner: CallRunner, task: asyncio.Task[Any]) -> Any:
        async def send(call: Call[Any], entry: Claimed | None) -> Any:
            worker = WorkerHook(partial(self._mark_sending, task))
            try:
                return await runner.submit(call, entry, worker)
            finally:
                self.tally.in_flight -= worker.is_sending

        if self.coordinator is None or job.claim is None:
            return await send(job.call, None)
        assert not isinstance(job.claim, InFlight)
        return await self.coordinator.resolve(job.claim, job.call, send)
