"""Listener: serves every route on one port, of loopback unless told otherwise."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from aiohttp import web
from attrs import define, field

from memories_async._protocol.network import Address, is_loopback
from memories_async.local.jobs.request_context import Route
from memories_async.local.pipeline.fault_responses import send
from memories_async.local.pipeline.requests import RequestPipeline
from memories_async.local.state import wire
from memories_async.local.state.library import ASSET
from memories_async.local.state.wire import Reason, Refusal, RouteHost

__all__ = ["LOOPBACK", "Listener", "is_from_program", "serve"]

LOOPBACK = "127.0.0.1"
_SHUTDOWN_TIMEOUT = 0.01
"""Seconds for requests that are still being answered when the service stops."""
_NO_LIMIT = 2**40
"""Bytes of a body. Each route has a smaller limit of its own."""


@define(eq=False)
class Listener:
    """Serves routes on a port."""

    pipeline: RequestPipeline
    routes: tuple[Route[Any], ...]
    engine_name: str
    _runner: web.AppRunner | None = field(init=False, default=None)

    @property
    def address(self) -> Address | None:
        """The address that it listens on; None while it is stopped."""
        if self._runner is None:
            return None
        host, port = self._runner.addresses[0][:2]
        return Address(host, port)

    async def start(self, host: str, port: int, own_routes: Iterable[web.RouteDef]) -> None:
        """Listen on *port* of *host*, or on a free port for 0."""
        if self._runner is not None:
            raise RuntimeError("the service is running already")
        app = web.Application(client_max_size=_NO_LIMIT)
        app.router.add_routes(own_routes)
        for route in self.routes:
            app.router.add_route(route.method, route.path, self.pipeline.build_handler(route))
        app.router.add_route("*", "/{path:.*}", self._answer_unknown)
        app.on_response_prepare.append(self._add_engine_header)
        self._runner = await serve(app, host, port)

    async def stop(self) -> None:
        """Stop listening, and break off requests that are under way."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def _add_engine_header(self, _: web.Request, response: web.StreamResponse) -> None:
        response.headers["X-Local-Engine"] = self.engine_name

    async def _answer_unknown(self, request: web.Request) -> web.StreamResponse:
        """Answer a request with an unknown path or method as its host would."""
        known = next((route for route in self.routes if _matches(route, request.path)), None)
        if known is None:
            host = _find_host(request.path)
            sentence = f"No static resource {request.path.lstrip('/')}."
            refusal = Refusal(Reason.NOT_FOUND, sentence)
        else:
            host = known.host
            sentence = f"Request method '{request.method}' is not supported"
            refusal = Refusal(Reason.NOT_ALLOWED, sentence)
        return send(wire.refuse(host, refusal, self.pipeline.dialect))


async def serve(app: web.Application, host: str, port: int) -> web.AppRunner:
    """Serve *app* on *port* of *host*, or on a free port for 0, until the runner is cleaned up."""
    runner = web.AppRunner(
        app, access_log=None, handle_signals=False, shutdown_timeout=_SHUTDOWN_TIMEOUT
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
    except BaseException:
        await runner.cleanup()
        raise
    return runner


def is_from_program(request: web.Request) -> bool:
    """Whether a program on this machine sent *request*, and not a web page in its browser.

    A browser reaches loopback too, but with an `Origin`, or under another host name.
    """
    is_local = is_loopback(request.remote or "") and is_loopback(request.url.host or "")
    return is_local and "Origin" not in request.headers


def _matches(route: Route[Any], path: str) -> bool:
    # Every parameter of a path is the id of an asset.
    pattern = f"{ASSET}[^/]+".join(map(re.escape, re.split(r"\{[^}]+\}", route.path)))
    return re.fullmatch(pattern, path) is not None


def _find_host(path: str) -> RouteHost:
    if path.startswith("/serve/api/v2/"):
        return RouteHost.V2
    return RouteHost.SECURITY if path.startswith("/v1/") else RouteHost.V1
