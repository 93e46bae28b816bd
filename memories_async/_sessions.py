"""One aiohttp session for each event loop, opened at first use and closed with its loop.

A session lives inside an asynchronous generator: the loop's own shutdown (`asyncio.run` ends so)
finishes the generator and with it the session, also where nobody called `aclose`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable

import aiohttp
from attrs import define, field

_Holder = AsyncGenerator[aiohttp.ClientSession]


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
    _held: dict[asyncio.AbstractEventLoop, tuple[aiohttp.ClientSession, _Holder]] = field(
        factory=dict[asyncio.AbstractEventLoop, tuple[aiohttp.ClientSession, _Holder]], init=False
    )

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
            del self._held[other]
            if other is loop:
                await holder.aclose()
            elif other.is_running():
                asyncio.run_coroutine_threadsafe(_finish(holder), other)

    def _drop_dead(self) -> None:
        for loop in [*self._held]:
            if loop.is_closed():
                del self._held[loop]


async def _finish(holder: _Holder) -> None:
    await holder.aclose()
