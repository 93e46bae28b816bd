"""The blocking form: the asynchronous client on a loop thread of its own.

The loop runs between calls too, so it works inside a running loop, in notebooks, from many threads
and after a fork. A call that is interrupted (Ctrl-C) is cancelled, not left running on the bill.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from attrs import define, field, frozen

from memories_async import client, views
from memories_async._client.base import Configured
from memories_async._client.loop_thread import LoopThread
from memories_async._client.ports import CallbackIssuer
from memories_async._client.settings import Settings
from memories_async._http.transport import Transport
from memories_async._protocol.call import Call
from memories_async._protocol.network import Address
from memories_async.budget import Budget
from memories_async.captions import Caption, CaptionTask
from memories_async.errors import OutcomeUnknown

if TYPE_CHECKING:
    from memories_async import batch
    from memories_async.batch import Calls, OnUnknown, Outcome, Plan, Progress
    from memories_async.ledger import Ledger

K = TypeVar("K")
T = TypeVar("T")


@frozen
class BlockingReceiver:
    """A client's receiver, waited for; it keeps receiving on the client's loop between calls."""

    _receiver: CallbackIssuer
    _thread: LoopThread

    def wait(
        self, task: CaptionTask | OutcomeUnknown | str, *, timeout: float | None = 600
    ) -> Caption:
        """Return what the callback of *task* brings; see `Receiver.wait`."""
        return self._thread.wait(lambda: self._receiver.wait(task, timeout=timeout))

    def serve(self, host: str = "127.0.0.1", port: int = 0) -> AbstractContextManager[Address]:
        """Receive callbacks on a port while the context is open; see `Receiver.serve`."""
        serving = self._receiver.serve(host, port)
        return self._thread.portal().wrap_async_context_manager(serving)


@define(eq=False)
class Batch(Generic[K, T]):
    """Calls being sent, to iterate over; see `memories_async.batch.Batch`."""

    _batch: batch.Batch[K, T]
    _thread: LoopThread
    _ready: deque[Outcome[K, T]] = field(factory=deque[Any], init=False)

    def plan(self) -> Plan:
        """Say what entering the batch would send, and cost, without sending anything."""
        return self._thread.wait(self._batch.plan)

    @property
    def progress(self) -> Progress:
        """How far it has got, now."""
        return self._batch.progress

    @property
    def stopped(self) -> Exception | None:
        """The item's error that ended the batch, being wrong with every further item, too."""
        return self._batch.stopped

    def __enter__(self) -> Self:
        """Begin to send."""
        self._thread.wait(self._batch.__aenter__)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Begin nothing more, and wait for what is out; a second interruption ends the wait."""
        self._thread.wait(lambda: self._batch.__aexit__(kind, error, trace))

    def __iter__(self) -> Self:
        """Iterate over the outcomes."""
        return self

    def __next__(self) -> Outcome[K, T]:
        """Wait for the next outcome."""
        if not self._ready:
            self._ready.extend(self._thread.wait(self._batch.take))
        if not self._ready:
            raise StopIteration
        return self._ready.popleft()


class Client(Configured):
    """The blocking client: the same names, without `await`. Threads may share it."""

    _thread: LoopThread

    def _share(self, settings: Settings, transport: Transport) -> None:
        super()._share(settings, transport)
        self._thread = vars(self).get("_thread") or LoopThread()

    def _awaited(self) -> client.Client:
        return client.Client.over(self._settings, self._transport)

    def send(self, call: Call[T], *, fresh: bool = False) -> T:
        """Send *call* and return its answer; see the asynchronous client."""
        return self.run(lambda awaited: awaited.send(call, fresh=fresh))

    def settle(self, call: Call[T], *, answer: T) -> bool:
        """Tell the ledger what became of *call*; see the asynchronous client."""
        return self.run(lambda awaited: awaited.settle(call, answer=answer))

    def run(self, flow: Callable[[client.Client], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine function with the asynchronous client, on this one's loop."""
        return self._thread.wait(lambda: flow(self._awaited()))

    def batch(
        self,
        calls: Calls[K, T],
        *,
        ledger: Ledger | None = None,
        concurrency: int | None = None,
        on_unknown: OnUnknown = "park",
        budget: Budget | None = None,
        drain: float = 30.0,
    ) -> Batch[K, T]:
        """Send many calls; see the asynchronous client."""
        awaited = self._awaited().batch(
            calls,
            ledger=ledger,
            concurrency=concurrency,
            on_unknown=on_unknown,
            budget=budget,
            drain=drain,
        )
        return Batch(awaited, self._thread)

    @property
    def clips(self) -> views.BlockingClips:
        """Search Clips by Image."""
        return views.BlockingClips(self)

    @property
    def captions(self) -> views.BlockingCaptions:
        """Video Caption."""
        return views.BlockingCaptions(self)

    @property
    def embeddings(self) -> views.BlockingEmbeddings:
        """Generate Video Embedding."""
        return views.BlockingEmbeddings(self)

    @property
    def videos(self) -> views.BlockingVideos:
        """The v1 video library."""
        return views.BlockingVideos(self)

    @property
    def assets(self) -> views.BlockingAssets:
        """The v2 asset store."""
        return views.BlockingAssets(self)

    @property
    def receiver(self) -> BlockingReceiver | None:
        """Where captions come back to, if anywhere."""
        receiver = self._settings.receiver
        return None if receiver is None else BlockingReceiver(receiver, self._thread)

    def close(self) -> None:
        """Close the connections and end the thread; may be called twice."""
        if self._thread.is_running():
            self._thread.wait(self._transport.aclose)
        self._thread.stop()

    def __enter__(self) -> Self:
        """Return the client; nothing is opened yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections and end the thread."""
        self.close()
