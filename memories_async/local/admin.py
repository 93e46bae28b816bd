"""Admin routes under `/_local`, for tests in another process. No answer holds a key."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import attrs
from aiohttp import web
from attrs import frozen

from memories_async.local.components import Components
from memories_async.local.pipeline.listener import is_from_program
from memories_async.local.state.faults import parse_json
from memories_async.local.state.forms import parse_object, read_body
from memories_async.local.state.wire import Dialect, Refusal, encode

__all__ = ["AdminRoutes"]

Handler = Callable[[web.Request], Awaitable[web.Response]]


@frozen
class AdminRoutes:
    """Shows and changes the state of one service over HTTP."""

    components: Components

    def routes(self) -> list[web.RouteDef]:
        """List the routes. A request needs an API key, unless a program on this machine sends it."""
        table: list[tuple[str, str, Handler]] = [
            ("GET", "/_local/state", self.get_state),
            ("POST", "/_local/state", self.set_state),
            ("POST", "/_local/reset", self.reset),
            ("GET", "/_local/library", self.list_library),
            ("GET", "/_local/requests", self.list_requests),
            ("GET", "/_local/statement", self.list_statement),
            ("GET", "/_local/faults", self.list_faults),
            ("POST", "/_local/faults", self.add_faults),
            ("DELETE", "/_local/faults", self.clear_faults),
            ("GET", "/_local/callbacks", self.list_callbacks),
            ("POST", "/_local/callbacks/{task_id}/resend", self.resend_callback),
        ]
        return [web.route(method, path, self._restrict(handler)) for method, path, handler in table]

    async def get_state(self, _: web.Request) -> web.Response:
        """Show engine, account, dialect, limits and the number of tasks under way."""
        parts, account = self.components, self.components.accounts.first
        return _respond(
            {
                "engine": parts.engine_pool.engine.name,
                "calls": account.calls,
                "paid": account.paid,
                "points": account.points,
                "points_spent": account.points_spent,
                "disabled": account.disabled,
                "dialect": attrs.asdict(parts.pipeline.dialect),
                "limits": {
                    name: attrs.asdict(rate) for name, rate in parts.pipeline.windows.rates.items()
                },
                "tasks_under_way": parts.background.under_way,
            }
        )

    async def set_state(self, request: web.Request) -> web.Response:
        """Set `points`, `disabled` or the `dialect`."""
        fields = parse_object(await read_body(request, "The JSON body"), "The JSON body")
        account, pipeline = self.components.accounts.first, self.components.pipeline
        unknown = sorted(set(fields) - {"points", "disabled", "dialect"})
        if unknown:
            raise ValueError(f"cannot be set: {', '.join(unknown)}")
        dialect = Dialect(**{**attrs.asdict(pipeline.dialect), **fields.get("dialect", {})})
        points = fields.get("points", account.points)
        disabled = fields.get("disabled", account.disabled)
        if not isinstance(points, int) or not isinstance(disabled, bool):
            raise TypeError("points must be a whole number, disabled must be true or false")
        pipeline.dialect, account.points, account.disabled = dialect, points, disabled
        return await self.get_state(request)

    async def reset(self, request: web.Request) -> web.Response:
        """Forget everything but the library and its indexes."""
        self.components.reset()
        return await self.get_state(request)

    async def list_library(self, _: web.Request) -> web.Response:
        """List the videos that the service was given, with their ids."""
        pool = self.components.engine_pool
        return _respond(
            [
                {
                    "file": video.path.name,
                    "path": str(video.path.resolve()),
                    "video_no": video.video_no,
                    "asset_id": video.asset_id,
                }
                for video in await pool.in_thread(pool.library.videos)
            ]
        )

    async def list_requests(self, _: web.Request) -> web.Response:
        """List the request log."""
        return _respond([attrs.asdict(one) for one in self.components.pipeline.request_log.all()])

    async def list_statement(self, _: web.Request) -> web.Response:
        """List what the first account paid for."""
        return _respond([attrs.asdict(one) for one in self.components.accounts.first.statement])

    async def list_faults(self, _: web.Request) -> web.Response:
        """List the faults that can still strike."""
        return _respond([attrs.asdict(fault) for fault in self.components.pipeline.faults])

    async def add_faults(self, request: web.Request) -> web.Response:
        """Add one fault or a list of them; one that is wrong adds none."""
        for fault in parse_json(await read_body(request, "The JSON body")):
            self.components.pipeline.faults.add(fault)
        return await self.list_faults(request)

    async def clear_faults(self, request: web.Request) -> web.Response:
        """Remove every fault."""
        self.components.pipeline.faults.clear()
        return await self.list_faults(request)

    async def list_callbacks(self, _: web.Request) -> web.Response:
        """List the attempts to deliver results."""
        return _respond([attrs.asdict(one) for one in self.components.outbox.deliveries])

    async def resend_callback(self, request: web.Request) -> web.Response:
        """Deliver a finished task's result again; 404 while there is no result."""
        taken = await self.components.outbox.resend(request.match_info["task_id"])
        if taken is None:
            return _respond({"error": "no result for this task"}, status=404)
        return _respond({"taken": taken})

    def _restrict(self, handler: Handler) -> Handler:
        async def handle(request: web.Request) -> web.Response:
            key = request.headers.get("Authorization", "")
            has_key = "Origin" not in request.headers and self.components.accounts.find(key)
            if not has_key and not is_from_program(request):
                error = "for programs on this machine, and for those that send an API key"
                return _respond({"error": error}, status=403)
            try:
                return await handler(request)
            except (ValueError, TypeError, Refusal) as error:
                return _respond({"error": str(error)}, status=400)

        return handle


def _respond(document: Any, *, status: int = 200) -> web.Response:
    return web.Response(body=encode(document), status=status, content_type="application/json")
