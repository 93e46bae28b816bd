"""A hook that passes on what it is told; what a budget and a batch refine."""

from __future__ import annotations

from attrs import define

from memories_async._client.ports import AttemptHook
from memories_async._protocol.reply import Reply
from memories_async.errors import MemoriesError


@define(eq=False)
class Onward:
    """Tells *inner* everything, if there is one; see `AttemptHook`."""

    inner: AttemptHook | None

    @property
    def key(self) -> str | None:
        """The call's entry, as *inner* knows it."""
        return None if self.inner is None else self.inner.key

    def priced(self, points: float) -> None:
        """Pass a price on."""
        if self.inner is not None:
            self.inner.priced(points)

    async def sending(self) -> None:
        """Pass on that an attempt begins."""
        if self.inner is not None:
            await self.inner.sending()

    def left(self) -> None:
        """Pass on that its first bytes leave."""
        if self.inner is not None:
            self.inner.left()

    async def answered(self, reply: Reply) -> None:
        """Pass a reply on."""
        if self.inner is not None:
            await self.inner.answered(reply)

    async def failed(self, error: MemoriesError, *, final: bool) -> None:
        """Pass on how an attempt ended."""
        if self.inner is not None:
            await self.inner.failed(error, final=final)
