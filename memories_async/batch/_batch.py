"""Sends many calls: rate-limited, recorded, resumable, and stopped without losing anything.

A batch is a context manager and an async iterator of outcomes. Leaving it early, by Ctrl-C too,
begins no further request and waits a while for those that are out. What was not sent stays planned:
the same batch over the same ledger goes on where this one stopped.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterable, Callable, Iterator, Sized
from functools import partial
from math import isinf
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from attrs import evolve

from memories_async._client.call_runner import CallRunner
from memories_async._client.settings import Settings
from memories_async._protocol.arguments import COUNT, PAUSE
from memories_async._protocol.call import Call
from memories_async.batch._plan import compute_plan
from memories_async.batch._run import BatchRun, OnUnknown
from memories_async.batch._source import Calls, DaemonThread, open_source
from memories_async.batch._tally import Tally
from memories_async.batch._values import Outcome, Plan, Progress
from memories_async.batch._waits import WaitForUpload
from memories_async.budget import Budget
from memories_async.events import BatchBegan, BatchEnded, tell
from memories_async.ledger import Ledger
from memories_async.ledger._coordinator import Coordinator
from memories_async.limiter import Priority

K = TypeVar("K")
T = TypeVar("T")

CONCURRENCY = 64
"""The default for the largest number of requests in flight."""


class Batch(Generic[K, T]):
    """Calls being sent, as an async iterator of outcomes in the order in which they end.

    An item is a call, a flow (`embeddings.video_file`, `clips.search_file`), or a function without
    arguments that builds one: what it raises is the outcome of that item. The file of a flow is
    uploaded, waited for, and then the call is sent; uploads have workers of their own, so that each
    call is sent as soon as its file is ready.

    A failing item does not stop the others. An error that every other item would meet does (401, 402,
    403, the first twenty items refused in the same words or answered by something else than the service,
    a spent budget, a ledger that cannot be written): the iteration ends, and `stopped` is that error.
    An exception of the iterable that brings the calls is raised after the outcomes.
    """

    def __init__(
        self,
        calls: Calls[K, T],
        open_call: Callable[[Call[Any], object, str], CallRunner],
        wait: WaitForUpload,
        settings: Settings,
        *,
        batch_id: str,
        concurrency: int | None = None,
        on_unknown: OnUnknown = "park",
        drain: float = 30.0,
    ) -> None:
        COUNT.or_none().check("concurrency", concurrency)
        PAUSE.check("drain", drain)
        self._calls = calls
        self._open_call = open_call
        self._id = batch_id
        self._wait = wait
        self._settings = settings
        self._concurrency = concurrency or CONCURRENCY
        self._on_unknown: OnUnknown = on_unknown
        self._drain = drain
        self._run: BatchRun[K, T] | None = None
        self._task: asyncio.Task[None] | None = None
        self._ready: deque[Outcome[K, T]] = deque()
        self._has_raised = False

    async def plan(self) -> Plan:
        """Compute what entering the batch would send and cost, without sending anything.

        Reads every call and its media. Raises `TypeError` where the calls are an iterator, which
        could not be read a second time.
        """
        if isinstance(self._calls, AsyncIterable | Iterator):
            raise TypeError(
                "plan() reads the calls before the batch does: give it a list or mapping"
            )
        thread = DaemonThread()
        try:
            return await thread.run(
                partial(compute_plan, self._calls, self._settings, self._coordinator())
            )
        finally:
            thread.end()

    @property
    def progress(self) -> Progress:
        """How many items have ended so far, and how."""
        return Progress() if self._run is None else self._run.tally.progress()

    @property
    def stopped(self) -> Exception | None:
        """The error that ended the batch because every other item would meet it, too; or None."""
        return None if self._run is None else self._run.stopped

    async def __aenter__(self) -> Self:
        """Start sending."""
        if self._run is not None:
            raise RuntimeError("a batch can be entered once; make another one to go on")
        settings = self._settings
        self._run = BatchRun(
            source=open_source(self._calls),
            open_call=lambda call, key: self._open_call(call, key, self._id),
            wait=self._wait,
            settings=settings,
            coordinator=self._coordinator(),
            tally=Tally(
                limits=settings.limits,
                clock=time.monotonic,
                total=len(self._calls) if isinstance(self._calls, Sized) else None,
                price=settings.price,
            ),
            concurrency=self._concurrency,
            on_unknown=self._on_unknown,
        )
        # `__aexit__` waits for the task.
        self._task = asyncio.create_task(self._send(self._run))
        return self

    async def _send(self, run: BatchRun[K, T]) -> None:
        observers, error = self._settings.observers, None
        tell(observers, BatchBegan(batch_id=self._id, total=run.tally.total))
        try:
            await run.run()
        except BaseException as caught:
            error = caught
            raise
        finally:
            error = error or run.stopped or run.failure
            progress = run.tally.progress()
            tell(
                observers,
                BatchEnded(
                    batch_id=self._id,
                    done=progress.done,
                    replayed=progress.replayed,
                    refused=progress.refused,
                    unknown=progress.unknown,
                    unsent=progress.unsent,
                    cancelled=run.cancelled,
                    seconds=progress.elapsed,
                    error=error,
                ),
            )

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Begin no further request and wait for those that are out; a second Ctrl-C ends the wait."""
        assert self._run is not None
        assert self._task is not None
        self._run.stop()
        try:
            await asyncio.wait((self._task,), timeout=None if isinf(self._drain) else self._drain)
        finally:
            self._task.cancel()
            await asyncio.wait((self._task,))
        if not self._task.cancelled() and (bug := self._task.exception()) is not None:
            raise bug

    def __aiter__(self) -> Self:
        """Iterate over the outcomes."""
        return self

    async def __anext__(self) -> Outcome[K, T]:
        """Wait for the next outcome."""
        if not self._ready:
            self._ready.extend(await self.take())
        if not self._ready:
            raise StopAsyncIteration
        return self._ready.popleft()

    async def take(self) -> list[Outcome[K, T]]:
        """Wait for the next outcomes and return all that there are; an empty list at the end."""
        if self._run is None:
            raise RuntimeError("enter the batch first: async with client.batch(...) as batch")
        outcomes = await self._run.outbox.take(1024)
        if not outcomes and self._run.failure is not None and not self._has_raised:
            self._has_raised = True
            raise self._run.failure
        return outcomes

    def _coordinator(self) -> Coordinator | None:
        ledger = self._settings.ledger
        return None if ledger is None else ledger.coordinator


def derive_settings(
    settings: Settings, *, ledger: Ledger | None, budget: Budget | None, on_unknown: OnUnknown
) -> Settings:
    """Derive a batch's settings from a client's: its ledger, its budget, and the lower priority."""
    if on_unknown not in {"park", "resend", "raise"}:
        raise ValueError(f"on_unknown must be park, resend or raise, not {on_unknown!r}")
    policy = settings.policy
    return evolve(
        settings,
        ledger=ledger or settings.ledger,
        budgets=settings.budgets if budget is None else (*settings.budgets, budget),
        policy=evolve(policy, resend_unknown=True) if on_unknown == "resend" else policy,
        priority=Priority.BATCH,
    )
