"""`/_local`: what a test in another process asks and sets. Loopback only, and no keys in it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

import attrs
from aiohttp import web

from memories_async.local.components import Machine
from memories_async.local.state import faults
from memories_async.local.state.forms import parse_object
from memories_async.local.state.wire import Dialect, Refusal, encode

if TYPE_CHECKING:
    from memories_async.local.service import LocalService

__all__ = ["Desk"]

Handler = Callable[[web.Request], Awaitable[web.Response]]
_OWN_NAMES = ("127.0.0.1", "localhost", "::1")


class Desk:
    """The service's own routes."""

    def __init__(self, service: LocalService, machine: Machine) -> None:
        """Serve about *service*, whose parts are *machine*."""
        self._service = service
        self._machine = machine

    def routes(self) -> list[web.RouteDef]:
        """All of them, guarded."""
        table: list[tuple[str, str, Handler]] = [
            ("GET", "/_local/state", self.state),
            ("POST", "/_local/state", self.change),
            ("POST", "/_local/reset", self.reset),
            ("GET", "/_local/library", self.library),
            ("GET", "/_local/request_log", self.request_log),
            ("GET", "/_local/book", self.book),
            ("GET", "/_local/faults", self.faults),
            ("POST", "/_local/faults", self.add_faults),
            ("DELETE", "/_local/faults", self.clear_faults),
            ("GET", "/_local/callbacks", self.callbacks),
            ("POST", "/_local/callbacks/{task_id}/resend", self.resend),
        ]
        return [web.route(method, path, _guarded(handler)) for method, path, handler in table]

    async def state(self, _: web.Request) -> web.Response:
        """Tell what a billing test wants to know."""
        service, account = self._service, self._service.account
        return _show(
            {
                "engine": service.engine_name,
                "calls": account.calls,
                "paid": account.paid,
                "points": account.points,
                "points_spent": account.points_spent,
                "disabled": account.disabled,
                "dialect": attrs.asdict(service.dialect),
                "limits": {name: attrs.asdict(rate) for name, rate in service.limits.items()},
                "tasks_under_way": service.tasks_under_way,
            }
        )

    async def change(self, request: web.Request) -> web.Response:
        """Set `points`, `disabled` or the `dialect`."""
        wanted = await _object(request)
        account = self._service.account
        unknown = sorted(set(wanted) - {"points", "disabled", "dialect"})
        if unknown:
            raise ValueError(f"cannot be set: {', '.join(unknown)}")
        dialect = Dialect(**{**attrs.asdict(self._service.dialect), **wanted.get("dialect", {})})
        points, disabled = (
            wanted.get("points", account.points),
            wanted.get("disabled", account.disabled),
        )
        if not isinstance(points, int) or not isinstance(disabled, bool):
            raise TypeError("points is a whole number, disabled true or false")
        self._service.dialect, account.points, account.disabled = dialect, points, disabled
        return await self.state(request)

    async def reset(self, _: web.Request) -> web.Response:
        """Forget everything but the library."""
        self._machine.forget()
        return await self.state(_)

    async def library(self, _: web.Request) -> web.Response:
        """List the videos and their ids."""
        videos = await self._machine.workshop.in_thread(self._machine.workshop.library.videos)
        return _show(
            [
                {
                    "file": one.path.name,
                    "path": str(one.path.resolve()),
                    "video_no": one.video_no,
                    "asset_id": one.asset_id,
                }
                for one in videos
            ]
        )

    async def request_log(self, _: web.Request) -> web.Response:
        """List the requests seen."""
        return _show([attrs.asdict(one) for one in self._service.request_log])

    async def book(self, _: web.Request) -> web.Response:
        """List what was paid."""
        return _show([attrs.asdict(one) for one in self._service.account.book])

    async def faults(self, _: web.Request) -> web.Response:
        """List the rules that can still strike."""
        return _show([attrs.asdict(one) for one in self._service.faults])

    async def add_faults(self, request: web.Request) -> web.Response:
        """Add one rule, or a list of them, all or none."""
        for rule in faults.from_json(await request.read()):
            self._service.faults.add(rule)
        return await self.faults(request)

    async def clear_faults(self, _: web.Request) -> web.Response:
        """Drop every rule."""
        self._service.faults.clear()
        return await self.faults(_)

    async def callbacks(self, _: web.Request) -> web.Response:
        """List the attempts to deliver."""
        return _show([attrs.asdict(one) for one in self._service.callbacks])

    async def resend(self, request: web.Request) -> web.Response:
        """Deliver a finished task's result again; 404 while there is none."""
        taken = await self._service.resend(request.match_info["task_id"])
        if taken is None:
            return _show({"error": "no result for this task"}, status=404)
        return _show({"taken": taken})


def _guarded(handler: Handler) -> Handler:
    async def handle(request: web.Request) -> web.Response:
        # A page in a browser can reach loopback, too: by another name of ours, or across origins.
        if request.url.host not in _OWN_NAMES or "Origin" in request.headers:
            return _show({"error": "for programs on this machine only"}, status=403)
        try:
            return await handler(request)
        except (ValueError, TypeError, Refusal) as error:
            return _show({"error": str(error)}, status=400)

    return handle


async def _object(request: web.Request) -> Mapping[str, Any]:
    return parse_object(await request.read(), "The JSON body")


def _show(document: Any, *, status: int = 200) -> web.Response:
    return web.Response(body=encode(document), status=status, content_type="application/json")
