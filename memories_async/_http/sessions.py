"""One aiohttp session for each event loop, opened at first use and closed with its loop.

A session lives inside an asynchronous generator: the loop's own shutdown (`asyncio.run` ends so)
finishes the generator and with it the session, also where nobody called `aclose`.
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
_Held = dict[asyncio.AbstractEventLoop, tuple[aiohttp.ClientSession, _Holder]]


async def _held(open_session: Callable[[], aiohttp.ClientSession]) -> _Holder:
    session = open_session()
    try:
        yield session
    finally:
        await session.close()
        # Transports say goodbye in the loop's next turn.
        await asyncio.sleep(0)


@define(eq=False)
class Sessions:
    """The sessions of one client. *open_session* must not suspend, or two tasks would both open."""

    open_session: Callable[[], aiohttp.ClientSession]
    _held: _Held = field(factory=_Held, init=False)

    def __attrs_post_init__(self) -> None:
        _all.add(self)

    async def current(self) -> aiohttp.ClientSession:
        """Return the running loop's session, opening it if there is none."""
        loop = asyncio.get_running_loop()
        held = self._held.get(loop)
        if held is not None and not held[0].closed:
            return held[0]
        self._drop_dead()
        holder = _held(self.open_session)
        session = await anext(holder)
        self._held[loop] = session, holder
        return session

    async def aclose(self) -> None:
        """Close this loop's session, and have the other loops close theirs."""
        loop = asyncio.get_running_loop()
        for other, (_, holder) in [*self._held.items()]:
            self._held.pop(other, None)
            if other is loop:
                await holder.aclose()
            elif other.is_running():
                asyncio.run_coroutine_threadsafe(_finish(holder), other)

    def _drop_dead(self) -> None:
        for loop in [*self._held]:
            if loop.is_closed():
                # Another thread may have been here first.
                self._held.pop(loop, None)

    def inherit(self) -> None:
        """Start afresh in a forked child, keeping what was inherited from being closed there."""
        # Closing it would take its sockets out of the selector, which parent and child share.
        _inherited.append(self._held)
        self._held = {}


async def _finish(holder: _Holder) -> None:
    await holder.aclose()


_all: WeakSet[Sessions] = WeakSet()
_inherited: list[_Held] = []


def _inherit() -> None:
    for sessions in _all:
        sessions.inherit()


if sys.platform != "win32":  # there is no fork to prepare for
    os.register_at_fork(after_in_child=_inherit)
