"""The door: every request of the pages goes through here, once, in one readable order.

Arrival, fault before, key, rate, reading, points, work, payment, fault after, reply. What is
billed is billed before the reply leaves, so that a lost reply is a paid one.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from aiohttp import web
from attrs import define, evolve

from memories_async.local.engine.protocol import EngineError, EngineFailed
from memories_async.local.jobs.request_context import Answer, Route, Visit
from memories_async.local.pipeline.fault_responses import misbehave, send
from memories_async.local.state import wire
from memories_async.local.state.accounts import Account, Accounts
from memories_async.local.state.faults import Fault, Faults, from_header
from memories_async.local.state.forms import drain
from memories_async.local.state.rate_limits import Windows, family_of
from memories_async.local.state.request_log import RequestLog
from memories_async.local.state.wire import Dialect, Host, Reason, Refusal, Reply

__all__ = ["Door"]

T = TypeVar("T")

_log = logging.getLogger(__name__)


class _Gone(Exception):
    """The caller hung up while its request was being read; there is nobody to answer."""


@define(eq=False, kw_only=True)
class Door:
    """Lets requests in and answers out."""

    accounts: Accounts
    windows: Windows
    faults: Faults
    request_log: RequestLog
    dialect: Dialect

    def handler(self, route: Route[Any]) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """Return what aiohttp calls for *route*."""

        async def handle(request: web.Request) -> web.StreamResponse:
            return await self.enter(route, request)

        return handle

    async def enter(self, route: Route[Any], request: web.Request) -> web.StreamResponse:
        """Answer one request, and write it into the request_log."""
        arrival = time.monotonic()
        number = self.request_log.arrive(route.name, arrival)
        account = self.accounts.holding(request.headers.get("Authorization", ""))
        visit = Visit(request=request, account=account or self.accounts.first, dialect=self.dialect)
        visit.account.calls += 1
        try:
            reply, fault = await self._answer(route, visit, arrival, number)
        except _Gone:
            visit.note = "the caller hung up before its request was whole"
            return web.Response()
        finally:
            for draft in visit.drafts:
                draft.unlink(missing_ok=True)
            self.request_log.note(
                number,
                size=request.content.total_bytes,
                uploads=tuple(visit.uploads),
                ignored=visit.ignored,
                note=visit.note,
            )
        shown = send(reply) if fault is None else await misbehave(fault, request, reply)
        self.request_log.note(number, **_outcome(shown, reply, fault))
        return shown

    async def _answer(
        self, route: Route[Any], visit: Visit, arrival: float, number: int
    ) -> tuple[Reply, Fault | None]:
        """Come to a reply, and the fault that it is to be sent with."""
        try:
            fault, visit.callback_fault = self._faults_of(route, visit.request)
        except ValueError as error:
            refusal = Refusal(Reason.WRONG, f"The header X-Local-Fault cannot be read: {error}")
            return wire.refuse(route.host, refusal, self.dialect), None
        struck = [str(one) for one in (fault, visit.callback_fault) if one is not None]
        self.request_log.note(number, fault=" + ".join(struck) or None)
        if fault is not None and fault.before:
            await asyncio.sleep(fault.seconds)
            if fault.kind != "delay":
                return await self._instead(fault, route, visit), fault
            fault = None
        reply = await self._reply(route, visit, arrival)
        if fault is not None:
            await asyncio.sleep(0 if fault.kind == "slow" else fault.seconds)
            reply = self._spelt(fault, route.host, reply)
        return reply, fault

    async def _instead(self, fault: Fault, route: Route[Any], visit: Visit) -> Reply:
        """Read what was sent, unless the connection is to break, and do nothing with it."""
        if fault.kind == "drop":
            await _whole(drain(visit.request))
        nothing = wire.coded(route.host, "0500", "A fault was asked for.", self.dialect)
        return self._spelt(fault, route.host, nothing)

    def _spelt(self, fault: Fault, host: Host, reply: Reply) -> Reply:
        """Turn *reply* into the business code, or the null, that the fault asks for."""
        if fault.kind == "null":
            return wire.succeed(host, None, self.dialect)
        if fault.kind != "code":
            return reply
        limit = fault.code == Reason.LIMIT.code
        message = "Request has exceeded the limit." if limit else "A fault was asked for."
        spelt = wire.coded(host, fault.code, fault.message or message, self.dialect)
        wait = {} if fault.retry_after is None else {"Retry-After": fault.retry_after}
        return evolve(spelt, headers=wait)

    def _faults_of(
        self, route: Route[Any], request: web.Request
    ) -> tuple[Fault | None, Fault | None]:
        header = request.headers.get("X-Local-Fault")
        if header is None:
            return self.faults.take(route.name)
        own = Faults(seed=self.faults.seed)
        for fault in from_header(header):
            own.add(fault)
        return own.take(route.name)

    async def _reply(self, route: Route[Any], visit: Visit, arrival: float) -> Reply:
        """Do what the page says; a refusal is an answer."""
        try:
            self._admit(route, visit, arrival)
            order = await _whole(route.read(visit))
            answer = await self._worked(route, order, visit)
        except _Gone:
            raise
        except Exception as error:  # noqa: BLE001  # an engine is a guest, and may throw anything
            return wire.refuse(route.host, _refusal(error, route.name), self.dialect)
        reply = wire.succeed(route.host, answer.content, self.dialect)
        return evolve(reply, headers=answer.headers, file=answer.file)

    async def _worked(self, route: Route[T], order: T, visit: Visit) -> Answer:
        """Do the work, and take the points for it before its answer leaves."""
        if route.is_free:
            return await route.work(order, visit)
        with visit.account.purse(route.name) as purse:
            answer = await route.work(order, visit)
            purse.pay(answer.item)
        if answer.then is not None:
            await answer.then(purse)
        return answer

    def _admit(self, route: Route[Any], visit: Visit, arrival: float) -> None:
        account = visit.account
        _check_key(visit.request.headers.get("Authorization", ""), account, route.host)
        if account.disabled:
            raise Refusal(Reason.DISABLED, "The account is disabled.")
        if not self.windows.admit(account, family_of(route.name), arrival):
            raise Refusal(Reason.LIMIT, "Request has exceeded the limit.")


async def _whole(reading: Awaitable[T]) -> T:
    try:
        return await reading
    except (ConnectionError, web.RequestPayloadError):
        raise _Gone from None


def _refusal(error: Exception, name: str) -> Refusal:
    """What to answer for *error*, met on the route *name*."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, EngineError) and not isinstance(error, EngineFailed):
        return Refusal(Reason.WRONG, str(error))
    if isinstance(error, EngineFailed):
        _log.error("%s failed: %s", name, error)
        return Refusal(Reason.FAILED, str(error))
    _log.error("%s failed", name, exc_info=error)
    return Refusal(Reason.FAILED, "The engine failed.")


def _check_key(key: str, account: Account, host: Host) -> None:
    if not key:
        raise Refusal(Reason.UNAUTHORIZED, "The Authorization header with the API key is missing.")
    if key.lower().startswith("bearer "):
        raise Refusal(Reason.UNAUTHORIZED, "Send the API key alone, without 'Bearer'.")
    if key.lower().startswith("sk-"):
        raise Refusal(
            Reason.UNAUTHORIZED,
            "This key looks real; the embedded service takes its own keys only.",
        )
    if key not in (account.caption_keys if host is Host.SECURITY else account.keys):
        raise Refusal(Reason.UNAUTHORIZED, "The API key is not valid.")


def _outcome(response: web.StreamResponse, reply: Reply, fault: Fault | None) -> dict[str, Any]:
    """What the request_log keeps of the reply that really went out."""
    kind = None if fault is None else fault.kind
    return {
        "status": None if kind in ("drop", "reset") else response.status,
        "code": None if kind in ("drop", "reset", "status", "redirect") else reply.code,
        "answered": True,
    }
