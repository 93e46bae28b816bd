"""A receiver for one caption, on this machine, for as long as the command runs."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from typing import Any, Self, TypeVar

from aiohttp import web
from attrs import define, field

from memories_async import Caption, CaptionTask, Tokens
from memories_async._calls import Call
from memories_async._decode import converter
from memories_async.errors import CallbackTimeout, CaptionFailed

T = TypeVar("T")
_HOST = "127.0.0.1"


@define(eq=False)
class Inbox:
    """Issues one callback URL that cannot be guessed, and takes what is delivered there."""

    port: int = 0
    public_url: str | None = None
    _token: str = field(factory=lambda: secrets.token_urlsafe(24), repr=False)
    _runner: web.AppRunner | None = None
    _arrived: asyncio.Future[Any] = field(init=False)

    async def __aenter__(self) -> Self:
        """Listen on loopback."""
        self._arrived = asyncio.get_running_loop().create_future()
        app = web.Application(client_max_size=1 << 20)
        app.router.add_post(f"/{self._token}", self._take)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, _HOST, self.port).start()
        except BaseException:
            await self._runner.cleanup()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    @property
    def url(self) -> str:
        """Where the caption is to be delivered."""
        assert self._runner is not None
        base = self.public_url or f"http://{_HOST}:{self._runner.addresses[0][1]}"
        return f"{base.rstrip('/')}/{self._token}"

    async def submit(
        self,
        call: Call[T],
        send: Callable[[Call[T]], Awaitable[T]],
        *,
        key: str | None,  # noqa: ARG002  # no ledger
    ) -> T:
        """Send *call* with this inbox as its callback."""
        return await send(call.with_callback(self.url))

    async def wait(self, task: CaptionTask, *, seconds: float) -> Caption:
        """Return the caption of *task*; raise what the delivery says instead."""
        try:
            async with asyncio.timeout(seconds):
                delivery = await asyncio.shield(self._arrived)
        except TimeoutError:
            raise CallbackTimeout(
                f"no caption came within {seconds:g} s (task {task.task_id})", call="captions"
            ) from None
        return _caption(delivery)

    async def _take(self, request: web.Request) -> web.Response:
        delivery = await request.json()
        if not self._arrived.done():
            self._arrived.set_result(delivery)
        return web.Response()


def _caption(delivery: dict[str, Any]) -> Caption:
    if delivery.get("status") != 0:
        raise CaptionFailed(str(delivery.get("msg") or "the service gives no reason"), billed="no")
    data = delivery["data"]
    tokens = data.get("token")
    return Caption(
        text=data["text"],
        tokens=None if tokens is None else converter.structure(tokens, Tokens),
    )
