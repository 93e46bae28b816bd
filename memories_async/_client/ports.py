"""What a client may be given, and what flows and views need of one. Protocols only."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeVar

from memories_async._protocol.call import Call
from memories_async._protocol.network import Address
from memories_async._protocol.reply import Reply
from memories_async.captions import Caption, CaptionTask
from memories_async.errors import MemoriesError, OutcomeUnknown

T = TypeVar("T")


class CallbackIssuer(Protocol):
    """Gives a submission the URL to which its result will be delivered, and waits for it."""

    async def submit(
        self, call: Call[T], send: Callable[[Call[T]], Awaitable[T]], *, key: str | None
    ) -> T:
        """Fill a callback into *call*, its token stored first, and *send* it.

        *key* is the call's entry in the ledger, which a callback may settle, or None.
        """
        ...

    async def wait(
        self,
        task: CaptionTask | OutcomeUnknown | str,
        *,
        timeout: float | None = 600,  # noqa: ASYNC109  # the name that the design fixed
    ) -> Caption:
        """Return what the callback of *task* brings, or raise `CallbackTimeout`."""
        ...

    async def heard(self, name: str, *, within: float) -> bool:
        """Wait at most *within* seconds for a callback that says how *name* ended."""
        ...

    def serve(self, host: str = "127.0.0.1", port: int = 0) -> AbstractAsyncContextManager[Address]:
        """Receive callbacks on a port while the context is open."""
        ...

    def beside(self, ledger: Record, /) -> None:
        """Tell *ledger* of callbacks, and keep them in its file unless told where."""
        ...


class AttemptHook(Protocol):
    """Is told what becomes of one call while it is delivered, in time to write it down."""

    @property
    def key(self) -> str | None:
        """The call's entry in the ledger, if it has one."""
        ...

    def priced(self, points: float) -> None:
        """Note what a success costs, where a budget knows it."""
        ...

    async def sending(self) -> None:
        """Note that the next attempt begins. No byte leaves before this returns, none if it raises."""
        ...

    def left(self) -> None:
        """Note that the attempt's first bytes are leaving: from here on it may be paid."""
        ...

    async def answered(self, reply: Reply) -> None:
        """Keep *reply*, a success that was read. The caller sees no answer before this returns."""
        ...

    async def failed(self, error: MemoriesError, *, final: bool) -> None:
        """Note how an attempt ended without an answer, and whether it was the last one."""
        ...


class Record(Protocol):
    """Remembers what was asked and answered, so that nothing is paid twice."""

    async def once(
        self,
        call: Call[T],
        account: str,
        send: Callable[[Call[T], AttemptHook | None], Awaitable[T]],
        *,
        fresh: bool,
    ) -> T:
        """Answer *call* from the record, or *send* it and write down what its hook is told."""
        ...

    async def settled(self, key: str, *, answer: object) -> None:
        """Note that a call whose outcome was unknown was paid; `KeyError` if it is not recorded."""
        ...


class AsyncSender(Protocol):
    """A client whose `send` is awaited; what a flow of several calls is given."""

    async def send(self, call: Call[T], /, *, fresh: bool = False) -> T: ...

    async def settle(self, call: Call[T], /, *, answer: T) -> bool: ...

    @property
    def receiver(self) -> CallbackIssuer | None: ...


class BlockingSender(Protocol):
    """A client whose `send` is waited for, and which runs flows on its own loop."""

    def send(self, call: Call[T], /, *, fresh: bool = False) -> T: ...

    def run(self, flow: Callable[[AsyncSender], Coroutine[Any, Any, T]], /) -> T: ...
