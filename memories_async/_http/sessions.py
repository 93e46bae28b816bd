"""What the requests of one event loop share: aiohttp's session and the connections under it."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Callable
from typing import Any
from weakref import WeakSet

import aiohttp
from attrs import define, field


@define(eq=False)
class Session:
    """A session of aiohttp, its connections, and what is the same in every request to a URL."""

    client: aiohttp.ClientSession
    connector: aiohttp.TCPConnector
    targets: dict[tuple[str, str], tuple[aiohttp.ClientRequest, str]] = field(
        factory=dict[tuple[str, str], tuple[aiohttp.ClientRequest, str]], init=False
    )
    """By method and URL: what the connector is asked with, and the first lines of the head."""

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self.connector.closed


async def _hold(session: Session) -> AsyncGenerator[Session]:
    try:
        yield session
    finally:
        await session.client.close()
        # Transports are closed in the loop's next cycle.
        await asyncio.sleep(0)


async def _finish(holder: AsyncGenerator[Session]) -> None:
    await holder.aclose()


@define(eq=False)
class Sessions:
    """One session for each event loop: opened at first use, closed with the loop.

    It is held by an asynchronous generator. The loop finishes the generator when it shuts down (at
    the end of `asyncio.run`, for example), which closes the session also if nobody called `aclose`.
    """

    open_session: Callable[[], Session]
    _open: dict[asyncio.AbstractEventLoop, tuple[Session, AsyncGenerator[Session]]] = field(
        factory=dict[Any, Any], init=False
    )

    def __attrs_post_init__(self) -> None:
        _all.add(self)

    async def current(self) -> Session:
        """Return the session of the running loop; open it if there is none."""
        loop = asyncio.get_running_loop()
        opened = self._open.get(loop)
        if opened is not None and not opened[0].closed:
            return opened[0]
        for other in [*self._open]:
            if other.is_closed():
                # Another thread may have removed it first.
                self._open.pop(other, None)
        holder = _hold(self.open_session())
        # It does not suspend: another task of this loop would open a session, too.
        session = await anext(holder)
        self._open[loop] = session, holder
        return session

    async def aclose(self) -> None:
        """Close this loop's session, and schedule the other running loops to close theirs."""
        loop = asyncio.get_running_loop()
        for other, (_, holder) in [*self._open.items()]:
            self._open.pop(other, None)
            if other is loop:
                await holder.aclose()
            elif other.is_running():
                asyncio.run_coroutine_threadsafe(_finish(holder), other)

    def reset_after_fork(self) -> None:
        """Forget, in a forked child, the sessions of the parent without closing them."""
        # Closing one would remove its sockets from the selector, which parent and child share.
        _inherited.append(self._open)
        self._open = {}


_all: WeakSet[Sessions] = WeakSet()
_inherited: list[object] = []


def _reset_all_after_fork() -> None:
    for sessions in _all:
        sessions.reset_after_fork()


if sys.platform != "win32":  # there is no fork to prepare for
    os.register_at_fork(after_in_child=_reset_all_after_fork)
