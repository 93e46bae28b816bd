"""The blocking client: the asynchronous one, run on a loop thread of its own.

The loop runs between calls too, so the client works inside a running event loop, in notebooks, from
many threads and after a fork. A call that is interrupted (Ctrl-C) is cancelled.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager
from functools import update_wrapper
from types import TracebackType
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, Self, TypeVar, Unpack

from attrs import define, field, frozen

from memories_async import client
from memories_async._client.advice import (
    ATTRIBUTES,
    BATCH_OPTIONS,
    explain_attributes,
    explain_options,
    refuse_context,
)
from memories_async._client.loop_thread import LoopThread
from memories_async._client.options import OptionChanges
from memories_async._client.sender import Sender
from memories_async._protocol.call import Call
from memories_async._protocol.flow import Flow
from memories_async._protocol.network import Address
from memories_async.budget import Budget
from memories_async.calls import Exchange
from memories_async.captions import Caption, CaptionTask
from memories_async.errors import OutcomeUnknown
from memories_async.policy import PolicyChanges
from memories_async.views import Blocking, Endpoints

if TYPE_CHECKING:
    from memories_async import batch
    from memories_async.batch import Calls, OnUnknown, Outcome, Plan, Progress
    from memories_async.ledger import Ledger
    from memories_async.receiver import CallbackDelivery, CallbackRecord, Receiver

K = TypeVar("K")
P = ParamSpec("P")
T = TypeVar("T")


@frozen
class BlockingReceiver:
    """The client's receiver: it receives on the client's loop thread, also between calls."""

    _receiver: Receiver
    _thread: LoopThread

    def wait(
        self, task: CaptionTask | OutcomeUnknown | str, *, timeout: float | None = 600
    ) -> Caption:
        """Wait for the callback of *task* and return its caption; see `Receiver.wait`."""
        return self._thread.wait(self._receiver.wait(task, timeout=timeout))

    def find(self, task: CaptionTask | OutcomeUnknown | str) -> CallbackRecord | None:
        """Return what the store holds of *task*, or None; see `Receiver.find`."""
        return self._thread.wait(self._receiver.find(task))

    def deliveries(self, task: CaptionTask | OutcomeUnknown | str) -> tuple[CallbackDelivery, ...]:
        """List the different callbacks that came for *task*; see `Receiver.deliveries`."""
        return self._thread.wait(self._receiver.deliveries(task))

    def serve(self, host: str = "127.0.0.1", port: int = 0) -> AbstractContextManager[Address]:
        """Receive callbacks on a port while the context is open; see `Receiver.serve`."""
        serving = self._receiver.serve(host, port)
        return self._thread.portal().wrap_async_context_manager(serving)


@define(eq=False)
class BlockingBatch(Generic[K, T]):
    """Calls being sent, and an iterator over their outcomes; see `memories_async.batch.Batch`."""

    _batch: batch.Batch[K, T]
    _thread: LoopThread
    _ready: deque[Outcome[K, T]] = field(factory=deque[Any], init=False)

    def plan(self) -> Plan:
        """Say what entering the batch would send, and cost, without sending anything."""
        return self._thread.wait(self._batch.plan())

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
        self._thread.wait(self._batch.__aenter__())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Begin nothing more, and wait for what is out; a second interruption ends the wait."""
        self._thread.wait(self._batch.__aexit__(kind, error, trace))

    def __iter__(self) -> Self:
        """Iterate over the outcomes."""
        return self

    def __next__(self) -> Outcome[K, T]:
        """Wait for the next outcome."""
        if not self._ready:
            self._ready.extend(self._thread.wait(self._batch.take()))
        if not self._ready:
            raise StopIteration
        return self._ready.popleft()


def _with_options_of(
    constructor: Callable[P, object],
) -> Callable[[Callable[..., None]], Callable[Concatenate[Client, P], None]]:
    """Give an `__init__` that takes any options the parameters and docstring of *constructor*."""

    def decorate(init: Callable[..., None]) -> Callable[Concatenate[Client, P], None]:
        return update_wrapper(init, constructor.__init__)

    return decorate


class Client(Endpoints[Blocking]):
    """The blocking client: the same names as `memories_async.Client`, without `await`.

    Threads may share it. Use it with `with`, or call `close`.
    """

    @_with_options_of(client.Client)
    def __init__(self, *wrong: Any, **options: Any) -> None:
        self._client = client.Client(*wrong, **options)
        self._thread = LoopThread()

    def send(self, call: Call[T] | Flow[T], *, fresh: bool = False) -> T:
        """Send *call* and return its answer; of a `Flow`, the upload first.

        With a ledger, an identical call that was paid is answered from it; *fresh* sends it anew.
        Raises `NotSent`, `Refused` or `OutcomeUnknown`, whose `billed` says what the call cost, and
        `ValueError` where the call needs a callback and the client has no receiver.
        """
        return self._thread.wait(self._client.send(call, fresh=fresh))

    def exchange(self, call: Call[T], *, fresh: bool = False) -> Exchange[T]:
        """Send *call*, and return its answer with the service's reply: status, headers, raw body.

        It costs what `send` costs, is answered from the ledger as there, and raises the same errors.
        """
        return self._thread.wait(self._client.exchange(call, fresh=fresh))

    def settle(self, call: Call[T], *, answer: T) -> bool:
        """Record in the ledger that *call*, whose outcome was unknown, was paid and answered.

        From then on the ledger answers it with *answer*. Returns False where the client has no
        ledger, or the ledger no such call.
        """
        return self._thread.wait(self._client.settle(call, answer=answer))

    def is_paid(self, call: Call[Any]) -> bool:
        """Whether the ledger has an answer to *call*, so that sending it costs nothing.

        Without a ledger it is False. The call's files are read.
        """
        return self._thread.wait(self._client.is_paid(call))

    def run(self, flow: Callable[[client.Client], Coroutine[Any, Any, T]], /) -> T:
        """Run *flow*, a coroutine function, with the asynchronous client, and return its result."""
        return self._thread.wait(flow(self._client))

    def with_policy(self, **changes: Unpack[PolicyChanges]) -> Self:
        """Return a client with another policy that shares this one's thread, sessions and ledger."""
        twin = type(self).__new__(type(self))
        vars(twin).update(vars(self))
        twin._client = self._client.with_policy(**changes)  # noqa: SLF001  # its own class
        return twin

    def with_options(self, **changes: Unpack[OptionChanges]) -> Self:
        """Return a client with other options that shares this one's thread, connections and limiter.

        See `memories_async.Client.with_options`.
        """
        twin = type(self).__new__(type(self))
        vars(twin).update(vars(self))
        twin._client = self._client.with_options(**changes)  # noqa: SLF001  # its own class
        return twin

    @explain_options("client.batch", BATCH_OPTIONS)
    def batch(
        self,
        calls: Calls[K, T],
        *,
        ledger: Ledger | None = None,
        concurrency: int | None = None,
        on_unknown: OnUnknown = "park",
        budget: Budget | None = None,
        drain: float = 30.0,
    ) -> BlockingBatch[K, T]:
        """Send many calls; the parameters are those of `memories_async.Client.batch`."""
        awaited = self._client.batch(
            calls,
            ledger=ledger,
            concurrency=concurrency,
            on_unknown=on_unknown,
            budget=budget,
            drain=drain,
        )
        return BlockingBatch(awaited, self._thread)

    @property
    def receiver(self) -> BlockingReceiver | None:
        """The receiver that the client was given: it brings the captions."""
        receiver = self._client.receiver
        return None if receiver is None else BlockingReceiver(receiver, self._thread)

    def close(self) -> None:
        """Close the connections and end the thread; may be called twice.

        A call after it opens new ones. Clients of `with_policy` and `with_options` share them.
        """
        if self._thread.is_running():
            self._thread.wait(self._client.aclose())
        self._thread.stop()

    def __enter__(self) -> Self:
        """Return the client; nothing is opened yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections and end the thread."""
        self.close()

    if not TYPE_CHECKING:  # type checkers know what there is
        __getattr__ = explain_attributes("blocking.Client", ATTRIBUTES)
        __aenter__ = refuse_context("use `with`, or `async with memories_async.Client()`")

        async def __aexit__(self, *_: object) -> None:
            """Do nothing: `__aenter__` has refused."""

    def _bind(self) -> tuple[Sender, LoopThread | None]:
        return self._client, self._thread

    def __getstate__(self) -> dict[str, Any]:
        return {"client": self._client}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._client, self._thread = state["client"], LoopThread()

    def __repr__(self) -> str:
        _, _, hosts = repr(self._client).partition("(")
        return f"{type(self).__module__}.{type(self).__name__}({hosts}"
