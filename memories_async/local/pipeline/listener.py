"""The listener: one loopback port for every route, started and stopped within milliseconds."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from aiohttp import web
from attrs import define, field

from memories_async.local.jobs.request_context import Route
from memories_async.local.pipeline.fault_responses import send
from memories_async.local.pipeline.requests import Door
from memories_async.local.state import wire
from memories_async.local.state.library import ASSET
from memories_async.local.state.wire import Host, Reason, Refusal

__all__ = ["Listener"]

HOST = "127.0.0.1"
# Whoever is still being answered when the service stops has this long, in seconds.
_PATIENCE = 0.01
_NO_LIMIT = 2**40  # each route has its own, smaller one


@define(eq=False)
class Listener:
    """Puts routes on a port."""

    door: Door
    routes: tuple[Route[Any], ...]
    engine_name: str
    _runner: web.AppRunner | None = field(init=False, default=None)

    @property
    def port(self) -> int | None:
        """The port, while it listens."""
        return None if self._runner is None else self._runner.addresses[0][1]

    async def start(self, port: int, own_routes: Iterable[web.RouteDef]) -> None:
        """Listen on *port*, or on a free one for 0."""
        if self._runner is not None:
            raise RuntimeError("the service is running already")
        runner = web.AppRunner(
            self._application(own_routes),
            access_log=None,
            handle_signals=False,
            shutdown_timeout=_PATIENCE,
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, HOST, port).start()
        except BaseException:
            await runner.cleanup()
            raise
        self._runner = runner

    async def stop(self) -> None:
        """Stop listening, and break off what is under way."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    def _application(self, own_routes: Iterable[web.RouteDef]) -> web.Application:
        app = web.Application(client_max_size=_NO_LIMIT)
        app.router.add_routes(own_routes)
        for route in self.routes:
            app.router.add_route(route.method, route.path, self.door.handler(route))
        app.router.add_route("*", "/{path:.*}", self._lost)
        app.on_response_prepare.append(self._sign)
        return app

    async def _sign(self, _request: web.Request, response: web.StreamResponse) -> None:
        response.headers["X-Local-Engine"] = self.engine_name

    async def _lost(self, request: web.Request) -> web.StreamResponse:
        """Answer, as the host would, what was asked at the wrong place or by the wrong method."""
        known = next((route for route in self.routes if _leads_to(route, request.path)), None)
        if known is None:
            host = _host(request.path)
            sentence = f"No static resource {request.path.lstrip('/')}."
            refusal = Refusal(Reason.NOT_FOUND, sentence)
        else:
            host = known.host
            sentence = f"Request method '{request.method}' is not supported"
            refusal = Refusal(Reason.NOT_ALLOWED, sentence)
        return send(wire.refuse(host, refusal, self.door.dialect))


def _leads_to(route: Route[Any], path: str) -> bool:
    # Every parameter of a path is the id of an asset.
    pattern = f"{ASSET}[^/]+".join(map(re.escape, re.split(r"\{[^}]+\}", route.path)))
    return re.fullmatch(pattern, path) is not None


def _host(path: str) -> Host:
    if path.startswith("/serve/api/v2/"):
        return Host.V2
    return Host.SECURITY if path.startswith("/v1/") else Host.V1
