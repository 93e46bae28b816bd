"""Request pipeline: every request to a route passes these steps, in this order.

Request log, fault before the work, key, rate limit, reading, points, work, payment, fault after the
work, reply. A call is paid before its reply is sent, so a reply that is lost is paid.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from urllib.parse import quote

from aiohttp import web
from attrs import define, evolve

from memories_async._protocol.messages import says_trouble
from memories_async.local.engine.protocol import EngineError, EngineFailed
from memories_async.local.jobs.request_context import RequestContext, Route, RouteAnswer
from memories_async.local.pipeline.fault_responses import respond_with_fault, send
from memories_async.local.state import wire
from memories_async.local.state.accounts import Account, Accounts
from memories_async.local.state.faults import Fault, Faults, parse_header
from memories_async.local.state.forms import discard_body
from memories_async.local.state.rate_limits import SlidingWindows
from memories_async.local.state.request_log import RequestLog
from memories_async.local.state.wire import Dialect, PageReply, Reason, Refusal, RouteHost

__all__ = ["RequestPipeline"]

T = TypeVar("T")

_log = logging.getLogger(__name__)


class _ClientDisconnected(Exception):
    """The client closed its connection while its request was read; nobody waits for a reply."""


@define(eq=False, kw_only=True)
class RequestPipeline:
    """Handles the requests of all routes."""

    accounts: Accounts
    windows: SlidingWindows
    faults: Faults
    request_log: RequestLog
    dialect: Dialect

    def build_handler(
        self, route: Route[Any]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """Build the handler of *route* for aiohttp."""

        async def handle(request: web.Request) -> web.StreamResponse:
            return await self.handle(route, request)

        return handle

    async def handle(self, route: Route[Any], request: web.Request) -> web.StreamResponse:
        """Answer one request, and add it to the request log."""
        arrival = time.monotonic()
        number = self.request_log.add(route.name, arrival)
        account = self.accounts.find(request.headers.get("Authorization", ""))
        context = RequestContext(
            request=request, account=account or self.accounts.first, dialect=self.dialect
        )
        context.account.calls += 1
        try:
            reply, fault = await self._answer(route, context, arrival, number)
        except _ClientDisconnected:
            context.note = "the client disconnected before its request was complete"
            return web.Response()
        finally:
            for draft in context.drafts:
                draft.unlink(missing_ok=True)
            self.request_log.update(
                number,
                size=request.content.total_bytes,
                uploads=tuple(context.uploads),
                ignored=context.ignored,
                ignored_fields=context.ignored_fields,
                note=context.note,
            )
        response = send(reply) if fault is None else await respond_with_fault(fault, request, reply)
        kind = None if fault is None else fault.kind
        self.request_log.update(
            number,
            status=None if kind in ("drop", "reset") else response.status,
            code=None if kind in ("drop", "reset", "status", "redirect") else reply.code,
            answered=True,
        )
        return response

    async def _answer(
        self, route: Route[Any], context: RequestContext, arrival: float, number: int
    ) -> tuple[PageReply, Fault | None]:
        """Compute the reply, and the fault that it is to be sent with."""
        try:
            fault, context.callback_fault = self._take_faults(route, context.request)
        except ValueError as error:
            refusal = Refusal(Reason.WRONG, f"The header X-Local-Fault cannot be read: {error}")
            return wire.refuse(route.host, refusal, self.dialect), None
        applied = [str(one) for one in (fault, context.callback_fault) if one is not None]
        self.request_log.update(number, fault=" + ".join(applied) or None)
        if fault is not None and fault.is_before_work:
            await asyncio.sleep(fault.seconds)
            if fault.kind != "delay":
                if fault.kind == "drop":
                    await _read_whole(discard_body(context.request))
                nothing = wire.refuse_with_code(
                    route.host, "0500", "A fault was asked for.", self.dialect
                )
                return self._apply_code(fault, route.host, nothing), fault
            fault = None
        reply = await self._reply(route, context, arrival)
        if fault is not None:
            await asyncio.sleep(0 if fault.kind == "slow" else fault.seconds)
            reply = self._apply_code(fault, route.host, reply)
        return reply, fault

    def _take_faults(
        self, route: Route[Any], request: web.Request
    ) -> tuple[Fault | None, Fault | None]:
        header = request.headers.get("X-Local-Fault")
        if header is None:
            return self.faults.take(route.name)
        own = Faults(seed=self.faults.seed)
        for fault in parse_header(header):
            own.add(fault)
        return own.take(route.name)

    def _apply_code(self, fault: Fault, host: RouteHost, reply: PageReply) -> PageReply:
        """Replace *reply* where the fault asks for a business code or for null."""
        if fault.kind == "null":
            return wire.succeed(host, None, self.dialect)
        if fault.kind != "code":
            return reply
        is_limit = fault.code == Reason.LIMIT.code
        message = "Request has exceeded the limit." if is_limit else "A fault was asked for."
        refusal = wire.refuse_with_code(host, fault.code, fault.message or message, self.dialect)
        headers = {} if fault.retry_after is None else {"Retry-After": fault.retry_after}
        return evolve(refusal, headers=headers)

    async def _reply(self, route: Route[Any], context: RequestContext, arrival: float) -> PageReply:
        """Check key and rate limit, read the request, and do its work."""
        try:
            self._admit(route, context, arrival)
            order = await _read_whole(route.read(context))
            answer = await _work_and_charge(route, order, context)
        except _ClientDisconnected:
            raise
        except Exception as error:  # noqa: BLE001  # a failure of a route is a reply, too
            return wire.refuse(route.host, _convert_error(error, route.name), self.dialect)
        reply = wire.succeed(route.host, answer.content, self.dialect)
        headers = dict(answer.headers)
        if context.ignored or context.ignored_fields:
            ignored = (*context.ignored, *context.ignored_fields)
            headers["X-Local-Ignored"] = ", ".join(quote(one, safe=" '") for one in ignored)
        return evolve(reply, headers=headers, file=answer.file)

    def _admit(self, route: Route[Any], context: RequestContext, arrival: float) -> None:
        account = context.account
        _check_key(context.request.headers.get("Authorization", ""), account, route.host)
        if account.disabled:
            raise Refusal(Reason.DISABLED, "The account is disabled.")
        if not self.windows.admit(account, route.family, arrival):
            raise Refusal(Reason.LIMIT, "Request has exceeded the limit.")


async def _work_and_charge(route: Route[T], order: T, context: RequestContext) -> RouteAnswer:
    """Do the work, and charge for it before its reply is sent."""
    if route.is_free:
        return await route.work(order, context)
    with context.account.hold(route.name) as hold:
        answer = await route.work(order, context)
        hold.charge(answer.item)
    if answer.then is not None:
        await answer.then(hold)
    return answer


async def _read_whole(reading: Awaitable[T]) -> T:
    try:
        return await reading
    except (ConnectionError, web.RequestPayloadError):
        raise _ClientDisconnected from None


def _convert_error(error: Exception, name: str) -> Refusal:
    """Convert an error on the route *name* to the refusal that is sent."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, EngineError):
        has_failed = isinstance(error, EngineFailed)
        if has_failed or says_trouble(str(error)):
            _log.error("%s failed: %s", name, error)
        # A client reads words of trouble as an unknown outcome; nothing was charged here.
        message = "The engine failed; see the log." if says_trouble(str(error)) else str(error)
        return Refusal(Reason.ENGINE_FAILED if has_failed else Reason.WRONG, message)
    _log.error("%s failed", name, exc_info=error)
    if isinstance(error, OSError):
        return Refusal(Reason.FAILED, wire.explain_os_error(error))
    return Refusal(Reason.FAILED, "The service failed.")


def _check_key(key: str, account: Account, host: RouteHost) -> None:
    if host is RouteHost.STORAGE:
        if key:
            raise Refusal(Reason.WRONG, "The storage takes a signed URL, and no API key.")
        return
    if not key:
        raise Refusal(Reason.UNAUTHORIZED, "The Authorization header with the API key is missing.")
    if key.lower().startswith("bearer "):
        raise Refusal(Reason.UNAUTHORIZED, "Send the API key alone, without 'Bearer'.")
    if key.lower().startswith("sk-"):
        raise Refusal(
            Reason.UNAUTHORIZED,
            "This key looks real; the embedded service takes its own keys only.",
        )
    if key not in (account.caption_keys if host is RouteHost.SECURITY else account.keys):
        raise Refusal(Reason.UNAUTHORIZED, "The API key is not valid.")
