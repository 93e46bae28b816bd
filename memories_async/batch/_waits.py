"""The uploads of a batch's flows: each is waited for once, and none that is paid is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Generic, Protocol, TypeVar

from attrs import define, evolve, field

from memories_async._protocol.flow import Flow
from memories_async.batch._jobs import Job
from memories_async.batch._tally import Tally
from memories_async.batch._values import Outcome
from memories_async.errors import MemoriesError, NotSent, OutcomeUnknown

K = TypeVar("K")
T = TypeVar("T")

MOST = 256
"""Items that wait for their upload, or for a worker after that."""
REMEMBERED = 10_000
"""Uploads that are remembered to be ready."""


class WaitForUpload(Protocol):
    """Waits until the upload of a flow can be used, or raises why it cannot."""

    def __call__(self, flow: Flow[Any], upload_id: str, *, is_new: bool) -> Awaitable[None]: ...


@define(eq=False)
class UploadWaits(Generic[K, T]):
    """The items whose uploads the service is processing, by the uploads' ids."""

    wait: WaitForUpload
    tally: Tally
    start: Callable[[Any], None]
    """Runs a coroutine as a task that ends with the batch."""
    send: Callable[[list[Job[K, T]]], None]
    """Hands the items of an upload that is ready to the workers."""
    fail: Callable[[list[Outcome[K, T]]], Awaitable[None]]
    """Ends the items of an upload that has failed."""
    _slots: asyncio.Semaphore = field(factory=lambda: asyncio.Semaphore(MOST), init=False)
    _jobs: dict[str, list[Job[K, T]]] = field(factory=dict[str, list[Any]], init=False)
    _ready: set[str] = field(factory=set[str], init=False)

    async def add(self, job: Job[K, T]) -> None:
        """Hand *job* on once its upload is ready. Returns as soon as there is room for it."""
        await self._slots.acquire()
        upload_id = job.upload_id
        if upload_id in self._ready:
            self.send([job])
            return
        self.tally.waiting += 1
        if upload_id in self._jobs:
            self._jobs[upload_id].append(job)
        else:
            self._jobs[upload_id] = [job]
            self.start(self._wait(job, upload_id))

    def leave(self) -> None:
        """Give up the room of an item that a worker has taken."""
        self._slots.release()

    async def _wait(self, job: Job[K, T], upload_id: str) -> None:
        assert job.flow is not None
        assert job.upload is not None
        error: Exception | None = None
        try:
            await self.wait(job.flow, upload_id, is_new=job.upload.billed == "yes")
        except (MemoriesError, ValueError) as failure:
            error = failure
        jobs = self._jobs.pop(upload_id)
        self.tally.waiting -= len(jobs)
        if error is None:
            if len(self._ready) >= REMEMBERED:
                self._ready.clear()
            self._ready.add(upload_id)
            self.send(jobs)
            return
        for _ in jobs:
            self.leave()
        # What the upload cost is in its own outcome; the call was not sent.
        await self.fail([evolve(one.fail(error), billed="no") for one in jobs])


@define(eq=False)
class PaidUploads(Generic[K, T]):
    """The uploads that nothing but this batch knows to be paid, until an outcome tells of them."""

    _jobs: dict[int, tuple[Job[K, T], Outcome[K, Any]]] = field(factory=dict[int, Any], init=False)
    """By the id of the upload's outcome, which the job's outcome refers to."""

    def add(self, job: Job[K, T], uploaded: Outcome[K, Any]) -> None:
        """Keep the flow of *job*, whose file is *uploaded*, if this run paid for that."""
        if uploaded.billed != "no":
            self._jobs[id(uploaded)] = job, uploaded

    def remove(self, outcome: Outcome[K, T]) -> None:
        """Forget the upload that *outcome* tells of."""
        self._jobs.pop(id(outcome.upload), None)

    def take_outcomes(self) -> list[Outcome[K, T]]:
        """Build the outcomes of the items that the batch ends without."""
        jobs, self._jobs = self._jobs, {}
        return [_build_unfinished(*one) for one in jobs.values()]


def _build_unfinished(job: Job[K, T], uploaded: Outcome[K, Any]) -> Outcome[K, T]:
    assert job.flow is not None
    upload_id = job.flow.read_id(uploaded.answer)
    call, when = job.flow.build_call(upload_id), "the batch ended before"
    charge = "no" if job.upload is None or job.runner is None else job.runner.charge
    error: MemoriesError = NotSent(f"{when} it was sent; its upload is paid: {upload_id}")
    if charge != "no":
        error = OutcomeUnknown(f"{when} its answer came; its upload is paid: {upload_id}")
    error.call, error.tag = call.name, call.tag
    return Outcome(key=job.key, call=call, error=error, billed=error.billed, upload=uploaded)
