"""What a client may be given: a durable record, and somebody to issue callbacks. Protocols only."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from memories_async._calls import Call

T = TypeVar("T")


class CallbackIssuer(Protocol):
    """Gives a submission the URL to which its result will be delivered."""

    async def submit(
        self, call: Call[T], send: Callable[[Call[T]], Awaitable[T]], *, key: str | None
    ) -> T:
        """Fill a callback into *call*, its token stored first, and *send* it.

        *key* is the call's entry in the ledger, which a callback may settle, or None.
        """
        ...


class Record(Protocol):
    """Remembers what was asked and answered, so that nothing is paid twice."""

    async def once(
        self,
        call: Call[T],
        account: str,
        send: Callable[[Call[T], str], Awaitable[T]],
        *,
        fresh: bool,
    ) -> T:
        """Answer *call* from the record, or *send* it (with its key) and record the outcome."""
        ...
