"""The witness that tells a batch which of its workers have a request out."""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field

from memories_async._ports import Witness
from memories_async._replies import Reply
from memories_async.errors import MemoriesError


@define(eq=False)
class Watch:
    """Passes everything on to *inner*, and tells *out* when a request leaves or is over."""

    inner: Witness | None
    out: Callable[[bool], None]
    """Told True when an attempt begins, False when the call waits for its next one."""
    is_out: bool = field(default=False, init=False)
    """Whether it said so last that an attempt is under way."""

    @property
    def key(self) -> str | None:
        """See `Witness.key`."""
        return None if self.inner is None else self.inner.key

    def priced(self, points: float) -> None:
        """See `Witness.priced`."""
        if self.inner is not None:
            self.inner.priced(points)

    async def sending(self) -> None:
        """See `Witness.sending`."""
        self.is_out = True
        self.out(True)
        if self.inner is not None:
            await self.inner.sending()

    def left(self) -> None:
        """See `Witness.left`."""
        if self.inner is not None:
            self.inner.left()

    async def answered(self, reply: Reply) -> None:
        """See `Witness.answered`."""
        if self.inner is not None:
            await self.inner.answered(reply)

    async def failed(self, error: MemoriesError, *, final: bool) -> None:
        """See `Witness.failed`."""
        if self.inner is not None:
            await self.inner.failed(error, final=final)
        if not final and self.is_out:
            self.is_out = False
            self.out(False)
