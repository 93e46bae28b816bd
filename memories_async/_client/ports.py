"""What a client may be given, and what flows and views need of one. Protocols only."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from memories_async._protocol.call import Call
from memories_async._protocol.network import Address
from memories_async.captions import Caption, CaptionTask
from memories_async.errors import OutcomeUnknown

if TYPE_CHECKING:
    from memories_async.ledger import Ledger

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

    def beside(self, ledger: Ledger, /) -> None:
        """Tell *ledger* of callbacks, and keep them in its file unless told where."""
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
