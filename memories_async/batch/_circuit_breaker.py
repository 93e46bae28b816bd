"""A circuit breaker for a batch: while the network is away, its workers wait instead of failing items."""

from __future__ import annotations

import asyncio

from attrs import define, field

PATIENCE = 900.0
"""Seconds without a reply after which items fail."""
LONGEST = 30.0
"""The longest wait between two tries, in seconds."""


@define(eq=False)
class CircuitBreaker:
    """Whether the service can be reached, as all workers of a batch see it together."""

    _was_reached: bool = field(default=False, init=False)
    _open_since: float | None = field(default=None, init=False)

    def close(self) -> None:
        """Note that a reply came."""
        self._was_reached, self._open_since = True, None

    async def wait(self) -> bool:
        """Wait a while after a call that could not be sent; False where the item should fail.

        An item fails at once where the service was never reached: its host is more likely
        misspelt than away.
        """
        now = asyncio.get_running_loop().time()
        if self._open_since is None:
            self._open_since = now
        lasted = now - self._open_since
        if not self._was_reached or lasted > PATIENCE:
            return False
        await asyncio.sleep(min(max(lasted, 1.0), LONGEST))
        return True
