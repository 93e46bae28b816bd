"""The inbox: takes callbacks itself, at a loopback address of its own, for whoever has no receiver."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any, TypeAlias

from aiohttp import web
from attrs import define, field

from memories_async.local.pipeline.listener import HOST
from memories_async.local.state.forms import parse_object
from memories_async.local.state.wire import Refusal

__all__ = ["Inbox"]

Body: TypeAlias = Mapping[str, Any]
_PATIENCE = 0.01
"""Seconds for what is being delivered when the service stops."""


@define(eq=False)
class Inbox:
    """Callbacks by task: give `url` as the callback of a call, then wait for its result."""

    _received: list[Body] = field(init=False, factory=list[Body])
    _waiting: list[tuple[str, Future[Body]]] = field(
        init=False, factory=list[tuple[str, Future[Body]]]
    )
    # Those who wait may be on other threads than the service.
    _lock: threading.Lock = field(init=False, factory=threading.Lock)
    _runner: web.AppRunner | None = field(init=False, default=None)

    @property
    def url(self) -> str:
        """The callback address, while the service runs."""
        if self._runner is None:
            raise RuntimeError("the service is not running: enter it by 'with' or 'async with'")
        return f"http://{HOST}:{self._runner.addresses[0][1]}/callback"

    @property
    def received(self) -> tuple[Body, ...]:
        """Every callback that came, oldest first, repeats among them."""
        with self._lock:
            return tuple(self._received)

    async def wait(self, task_id: str, *, timeout: float = 30.0) -> Body:  # noqa: ASYNC109  # as the blocking form
        """Wait for the first callback of *task_id* (of an upload, its `video_no`), on any loop.

        Raises `TimeoutError` after *timeout* seconds.
        """
        asked = self._ask(task_id)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(asked), timeout)
        except TimeoutError:
            raise TimeoutError(_missing(task_id, timeout)) from None
        finally:
            self._drop(asked)

    def wait_blocking(self, task_id: str, *, timeout: float = 30.0) -> Body:
        """Do as `wait` from blocking code, beside a service entered by plain `with`."""
        asked = self._ask(task_id)
        try:
            return asked.result(timeout)
        except TimeoutError:
            raise TimeoutError(_missing(task_id, timeout)) from None
        finally:
            self._drop(asked)

    async def start(self) -> None:
        """Listen on a free port."""
        app = web.Application()
        app.router.add_post("/callback", self._take)
        runner = web.AppRunner(
            app, access_log=None, handle_signals=False, shutdown_timeout=_PATIENCE
        )
        await runner.setup()
        await web.TCPSite(runner, HOST, 0).start()
        self._runner = runner

    async def stop(self) -> None:
        """Stop listening; what was received stays."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    def reset(self) -> None:
        """Forget what was received."""
        with self._lock:
            self._received.clear()

    async def _take(self, request: web.Request) -> web.Response:
        try:
            body = parse_object(await request.read(), "The callback")
        except Refusal:
            return web.Response(status=400)
        with self._lock:
            self._received.append(body)
            asked = [future for task_id, future in self._waiting if task_id == _task(body)]
        for future in asked:
            # Who gave up meanwhile has cancelled, and who was told before needs no repeat.
            if not future.done() and future.set_running_or_notify_cancel():
                future.set_result(body)
        return web.Response(text="ok")

    def _ask(self, task_id: str) -> Future[Body]:
        future = Future[Body]()
        with self._lock:
            known = next((body for body in self._received if _task(body) == task_id), None)
            if known is None:
                self._waiting.append((task_id, future))
        if known is not None:
            future.set_result(known)
        return future

    def _drop(self, future: Future[Body]) -> None:
        with self._lock:
            self._waiting[:] = [one for one in self._waiting if one[1] is not future]


def _task(body: Body) -> Any:
    return body.get("task_id", body.get("videoNo"))


def _missing(task_id: str, timeout: float) -> str:
    return f"no callback for {task_id} within {timeout:g} s"
