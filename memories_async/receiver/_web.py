"""The receiver as an aiohttp sub-application."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from http import HTTPStatus
from typing import TypeAlias

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from memories_async.receiver._callback_service import Desk
from memories_async.receiver._core import Head

Handler: TypeAlias = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


def handler(desk: Callable[[], Desk]) -> Handler:
    """Make what aiohttp calls for each request."""

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        head = Head(method=request.method, path=request.path, headers=request.headers)
        try:
            # Most bodies come in one piece with their head: they are there already.
            whole = request.content.is_eof()
            body = request.content.read_nowait() if whole else _chunks(request)
            answer = await desk().receive(head, body)
        except (OSError, HttpProcessingError):  # hung up, or broke the rules of HTTP
            return web.Response(status=HTTPStatus.BAD_REQUEST)
        return web.Response(status=answer.status, headers=answer.headers)

    return handle


def aiohttp_app(desk: Callable[[], Desk]) -> web.Application:
    """Build the application: `app.add_subapp("/memories", receiver.aiohttp_app())`."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler(desk))
    return app


async def _chunks(request: web.BaseRequest) -> AsyncIterator[bytes]:
    async for chunk in request.content.iter_any():
        yield chunk
