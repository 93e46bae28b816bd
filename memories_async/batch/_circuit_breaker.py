"""A network that went away in the middle of a batch: wait for it, instead of failing item after item."""

from __future__ import annotations

import asyncio

from attrs import define, field

PATIENCE = 900.0
"""Seconds without any reply after which items fail."""
LONGEST = 30.0
"""Seconds between two tries at most."""


@define(eq=False)
class Outage:
    """What the workers of a batch know of the network together."""

    _reached: bool = field(default=False, init=False)
    _since: float | None = field(default=None, init=False)

    def over(self) -> None:
        """Note that a reply came."""
        self._reached, self._since = True, None

    async def sat_out(self) -> bool:
        """Wait a while after a call that could not be sent; False where waiting is no use.

        A service that was never reached is more likely misspelt than away.
        """
        now = asyncio.get_running_loop().time()
        if self._since is None:
            self._since = now
        lasted = now - self._since
        if not self._reached or lasted > PATIENCE:
            return False
        await asyncio.sleep(min(max(lasted, 1.0), LONGEST))
        return True
