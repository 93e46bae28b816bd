"""The hook that tells a batch which of its workers have a request out."""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field

from memories_async._client.onward import Onward
from memories_async.errors import MemoriesError


@define(eq=False)
class Watch(Onward):
    """Tells *out* when a request leaves or is over."""

    out: Callable[[bool], None]
    """Told True when an attempt begins, False when the call waits for its next one."""
    is_out: bool = field(default=False, init=False)
    """Whether it said so last that an attempt is under way."""

    async def sending(self) -> None:
        """See `AttemptHook.sending`."""
        self.is_out = True
        self.out(True)
        await super().sending()

    async def failed(self, error: MemoriesError, *, final: bool) -> None:
        """See `AttemptHook.failed`."""
        await super().failed(error, final=final)
        if not final and self.is_out:
            self.is_out = False
            self.out(False)
