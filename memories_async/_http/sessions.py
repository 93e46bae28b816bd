"""One aiohttp session for each event loop, opened at first use and closed with its loop.

A session is held by an asynchronous generator. The loop finishes the generator when it shuts down
(at the end of `asyncio.run`, for example), which closes the session also if nobody called `aclose`.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Callable
from weakref import WeakSet

import aiohttp
from attrs import define, field

_Holder = AsyncGenerator[aiohttp.ClientSession]
_OpenSessions = dict[asyncio.AbstractEventLoop, tuple[aiohttp.ClientSession, _Holder]]


async def _hold(open_session: Callable[[], aiohttp.ClientSession]) -> _Holder:
    session = open_session()
    try:
        yield session
    finally:
        await session.close()
        # Transports are closed in the loop's next cycle.
        await asyncio.sleep(0)


@define(eq=False)
class Sessions:
    """The sessions of one client. *open_session* must not suspend, or two tasks would both open one."""

    open_session: Callable[[], aiohttp.ClientSession]
    _open: _OpenSessions = field(factory=_OpenSessions, init=False)

    def __attrs_post_init__(self) -> None:
        _all.add(self)

    async def current(self) -> aiohttp.ClientSession:
        """Return the session of the running loop; open it if there is none."""
        loop = asyncio.get_running_loop()
        opened = self._open.get(loop)
        if opened is not None and not opened[0].closed:
            return opened[0]
        for other in [*self._open]:
            if other.is_closed():
                # Another thread may have removed it first.
                self._open.pop(other, None)
        holder = _hold(self.open_session)
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


async def _finish(holder: _Holder) -> None:
    await holder.aclose()


_all: WeakSet[Sessions] = WeakSet()
_inherited: list[_OpenSessions] = []


def _reset_all_after_fork() -> None:
    for sessions in _all:
        sessions.reset_after_fork()


if sys.platform != "win32":  # there is no fork to prepare for
    os.register_at_fork(after_in_child=_reset_all_after_fork)
