"""Inbox: receives callbacks at a loopback address of its own, for tests without a receiver."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any, TypeAlias

from aiohttp import web
from attrs import define, field

from memories_async.local.pipeline.listener import LOOPBACK, is_from_program, serve
from memories_async.local.state.forms import parse_object, read_body
from memories_async.local.state.wire import Refusal

__all__ = ["Inbox"]

Body: TypeAlias = Mapping[str, Any]


@define(eq=False)
class Inbox:
    """Received callbacks. Pass `url` as the callback of a call, then wait for its result."""

    _received: list[Body] = field(init=False, factory=list[Body])
    _waiters: list[tuple[str, Future[Body]]] = field(
        init=False, factory=list[tuple[str, Future[Body]]]
    )
    # Waiters may be on other threads than the service.
    _lock: threading.Lock = field(init=False, factory=threading.Lock)
    _runner: web.AppRunner | None = field(init=False, default=None)

    @property
    def url(self) -> str:
        """The callback URL; the service must be running."""
        if self._runner is None:
            raise RuntimeError(
                "the service is not running: enter it with 'with' or 'async with' first"
            )
        return f"http://{LOOPBACK}:{self._runner.addresses[0][1]}/callback"

    @property
    def received(self) -> tuple[Body, ...]:
        """Every callback received, repeated ones included, oldest first."""
        with self._lock:
            return tuple(self._received)

    async def wait(self, task_id: str, *, timeout: float = 30.0) -> Body:  # noqa: ASYNC109  # as the blocking form
        """Wait for the first callback of *task_id* on any event loop; of an upload, its `video_no`.

        Raises `TimeoutError` after *timeout* seconds, and `RuntimeError` when the service stops.
        """
        waiter = self._add_waiter(task_id)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(waiter), timeout)
        except TimeoutError:
            raise TimeoutError(f"no callback for {task_id} within {timeout:g} s") from None
        finally:
            self._remove_waiter(waiter)

    def wait_blocking(self, task_id: str, *, timeout: float = 30.0) -> Body:
        """Wait as `wait` does, from blocking code, while the service runs on a thread of its own."""
        waiter = self._add_waiter(task_id)
        try:
            return waiter.result(timeout)
        except TimeoutError:
            raise TimeoutError(f"no callback for {task_id} within {timeout:g} s") from None
        finally:
            self._remove_waiter(waiter)

    async def start(self) -> None:
        """Listen on a free port."""
        app = web.Application()
        app.router.add_post("/callback", self._receive)
        self._runner = await serve(app, LOOPBACK, 0)

    async def stop(self) -> None:
        """Stop listening, and let the waiters fail; what was received is kept."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()
        with self._lock:
            waiters = [(task_id, future) for task_id, future in self._waiters if not future.done()]
        for task_id, future in waiters:
            if future.set_running_or_notify_cancel():
                future.set_exception(
                    RuntimeError(f"the service stopped before a callback for {task_id} came")
                )

    def reset(self) -> None:
        """Forget what was received."""
        with self._lock:
            self._received.clear()

    async def _receive(self, request: web.Request) -> web.Response:
        if not is_from_program(request):
            return web.Response(status=403, text="for programs on this machine only")
        try:
            body = parse_object(await read_body(request, "The callback"), "The callback")
        except Refusal as refusal:
            return web.Response(status=400, text=str(refusal))
        with self._lock:
            self._received.append(body)
            waiters = [future for task_id, future in self._waiters if task_id == _get_task(body)]
        for future in waiters:
            # A waiter may have been cancelled meanwhile, or have its callback already.
            if not future.done() and future.set_running_or_notify_cancel():
                future.set_result(body)
        return web.Response(text="ok")

    def _add_waiter(self, task_id: str) -> Future[Body]:
        future = Future[Body]()
        with self._lock:
            known = next((body for body in self._received if _get_task(body) == task_id), None)
            if known is None:
                self._waiters.append((task_id, future))
        if known is not None:
            future.set_result(known)
        return future

    def _remove_waiter(self, future: Future[Body]) -> None:
        with self._lock:
            self._waiters[:] = [one for one in self._waiters if one[1] is not future]


def _get_task(body: Body) -> Any:
    return body.get("task_id", body.get("videoNo"))
