"""The receiver: gives submissions a callback, and lets what it brings be awaited."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

from memories_async._protocol.call import Call
from memories_async._protocol.network import Address
from memories_async.captions import Caption, CaptionTask
from memories_async.errors import CallbackTimeout, MemoriesError, OutcomeUnknown
from memories_async.receiver import _parse, _tokens
from memories_async.receiver._asgi import AsgiApp
from memories_async.receiver._callback_service import Desk
from memories_async.receiver._public_url import PublicUrl
from memories_async.receiver._records import Arrival, Record, Ticket, Wanted
from memories_async.receiver._store_factory import HasDatabase, Place, settler_in, store_at
from memories_async.receiver._wsgi import WsgiApp
from memories_async.videos import Video

if TYPE_CHECKING:
    from aiohttp import web

T = TypeVar("T")

ACCEPT_FOR = 30 * 24 * 3600.0
"""Seconds after its submission for which a callback is taken."""
log: logging.Logger = logging.getLogger(__name__)


class Receiver:
    """Turns the service's callbacks into results that can be awaited, and loses none.

    *public_url* is where the service reaches the receiver, without query; a port 0 in it stands
    for the port that `serve` gets, for trials on one machine. *store* is the path of a SQLite file,
    a `Ledger` to share the file of, or any `Store`; by default the client's ledger or else a file
    of the user's own. All processes that submit, receive or wait name the same one, and then need
    no *secret*: the store keeps one. Nothing is opened before the first use.
    """

    def __init__(
        self,
        public_url: str,
        *,
        secret: str | bytes | None = None,
        store: Place = None,
        accept_for: float = ACCEPT_FOR,
    ) -> None:
        """Check the settings. *accept_for* is how long, in seconds, a token is good."""
        self._url = PublicUrl(public_url)
        self._secret = None if secret is None else _tokens.checked_secret(secret)
        self._place = store
        if not accept_for > 0:
            raise ValueError(f"accept_for must be above 0 seconds, not {accept_for}")
        self._accept_for = accept_for
        self._ledger: object = None
        self._desk: Desk | None = None
        self._opening = threading.Lock()
        self.asgi: AsgiApp = AsgiApp(self._open)
        """The receiver as an ASGI application, for FastAPI, Starlette or an ASGI server."""
        self.wsgi: WsgiApp = WsgiApp(self._open)
        """The receiver as a WSGI application, for Flask, Django or a WSGI server."""

    def beside(self, ledger: object) -> None:
        """Tell *ledger* of callbacks, and share its file unless a store was named. Clients call it."""
        with self._opening:
            if self._ledger is ledger:
                return
            if self._ledger is not None:
                raise ValueError("this receiver works with another ledger: give each its own")
            self._ledger = ledger
            if self._desk is not None:
                # Whoever serves before there is a client moves into the ledger's file now.
                self._desk.store.close()
                self._desk = None

    async def submit(
        self, call: Call[T], send: Callable[[Call[T]], Awaitable[T]], *, key: str | None = None
    ) -> T:
        """Send a submission with a callback of its own, written down before the first byte leaves.

        Where the reply is lost, the `OutcomeUnknown` that is raised can be waited for like a task.
        A call that does without a callback is sent without one where none can be received or kept.
        """
        if call.welcomes_callback and not self._url.is_reachable:
            return await send(call)
        try:
            desk, ticket, url = await self._issued(call.name, key)
        except (MemoriesError, OSError) as error:
            if not call.welcomes_callback:
                raise
            log.warning("%s is sent without a callback: %s", call.name, error)
            return await send(call)
        try:
            answer = await send(call.with_callback(url))
        except OutcomeUnknown as error:
            error.callback = ticket.id.hex()
            raise
        name = _name(answer)
        if name is not None:
            await _bind(desk, ticket, name)
        return answer

    async def _issued(self, name: str, key: str | None) -> tuple[Desk, Ticket, str]:
        """Write down a ticket for the call *name*, and give the URL that stands for it."""
        desk, base = self._open(), self._url.now()
        secret = await desk.secret()
        ticket = Ticket(id=_tokens.new_id(), call=name, key=key, issued_at=time.time())
        await desk.store.issue(ticket)
        return desk, ticket, f"{base}/{_tokens.token(ticket.id, secret)}"

    async def wait(
        self,
        task: CaptionTask | OutcomeUnknown | str,
        *,
        timeout: float | None = 600,  # noqa: ASYNC109  # the name that the design fixed
    ) -> Caption:
        """Return the caption of *task*, as soon as its callback is stored, by whichever process.

        *task* may be a task, its short text, or the `OutcomeUnknown` of a submission whose reply was
        lost. Raises `CaptionFailed` for a task that failed, `BadReply` (with the body) for a callback
        that cannot be read, and `CallbackTimeout` after *timeout* seconds (None: never); what
        comes later is kept, and waiting again finds it.
        """
        desk, wanted = self._open(), _wanted(task)
        async with desk.waiting.expecting(wanted) as coming:
            record = await desk.store.find(wanted)
            if record is None or record.outcome is None:
                try:
                    async with asyncio.timeout(timeout):
                        record = await coming
                except TimeoutError:
                    raise _in_vain(task, record, timeout, desk) from None
        await desk.settle(record)
        assert record.outcome is not None
        return _parse.caption_in(record.outcome, call=record.ticket.call)

    async def heard(self, name: str, *, within: float) -> bool:
        """Wait at most *within* seconds for a callback that says how *name* ended.

        *name* is the id that the service gave: a `task_id` or a `video_no`. Where the store cannot be
        read, nothing is heard.
        """
        clock = asyncio.get_running_loop().time
        until = clock() + within
        try:
            is_decided = await self._heard(name, until)
        except (MemoriesError, OSError) as error:
            log.warning("no callback of %r can be heard: %s", name, error)
            is_decided = False
        if not is_decided:
            # What only says "uploaded" ends no wait: the next callback is for the next one.
            await asyncio.sleep(until - clock())
        return is_decided

    async def _heard(self, name: str, until: float) -> bool:
        desk = self._open()
        async with desk.waiting.expecting(name) as coming:
            record = await desk.store.find(name)
            if record is None or not record.is_decided:
                try:
                    async with asyncio.timeout_at(until):
                        record = await coming
                except TimeoutError:
                    return False
        return record.is_decided

    async def deliveries(self, task: CaptionTask | OutcomeUnknown | str) -> tuple[Arrival, ...]:
        """List the different callbacks that came for *task*, in order; usually there is one."""
        record = await self._open().store.find(_wanted(task))
        return () if record is None else record.arrivals

    def aiohttp_app(self) -> web.Application:
        """Build an aiohttp application, to be mounted with `add_subapp`."""
        from memories_async.receiver._web import aiohttp_app  # noqa: PLC0415  # a server, if needed

        return aiohttp_app(self._open)

    @asynccontextmanager
    async def serve(self, host: str = "127.0.0.1", port: int = 0) -> AsyncGenerator[Address]:
        """Receive on a port of its own while the context is open; port 0 takes a free one.

        Only this machine reaches the default *host*: put a proxy or a tunnel in front of it.
        """
        # Imported only by who needs a server, and beside the loop: it takes a tenth of a second.
        serving = await asyncio.to_thread(import_module, "memories_async.receiver._serving")
        from memories_async.receiver._web import handler  # noqa: PLC0415  # now it is there

        await self._open().secret()  # a store that cannot be used is better known now
        async with serving.serve(handler(self._open), host, port) as address:
            with self._url.served(address.port):
                yield address

    def close(self) -> None:
        """Let go of the store and of the WSGI application's thread; may be called twice."""
        self.wsgi.close()
        if self._desk is not None:
            self._desk.store.close()

    def __repr__(self) -> str:
        return f"Receiver({self._url.given!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        if self._secret is not None:
            raise TypeError(
                "a Receiver with a secret does not pickle: leave it out, the store has one"
            )
        return _rebuild, (self._url.given, self._place, self._accept_for)

    def _open(self) -> Desk:
        with self._opening:
            if self._desk is None:
                place = self._place
                if place is None and isinstance(self._ledger, HasDatabase):
                    place = self._ledger
                settler = settler_in(place) or settler_in(self._ledger)
                self._desk = Desk(store_at(place), settler, self._accept_for, self._secret)
            return self._desk


def _name(answer: object) -> str | None:
    """The id by which callbacks will speak of what was submitted."""
    if isinstance(answer, CaptionTask):
        return answer.task_id
    return answer.video_no if isinstance(answer, Video) else None


async def _bind(desk: Desk, ticket: Ticket, name: str) -> None:
    try:
        desk.waiting.tell(await desk.store.bind(ticket.id, name))
    except MemoriesError as error:
        # The task is accepted and paid: the callback will name it, or the caller still can.
        log.warning("task %r could not be noted beside its callback: %s", name, error)


def _wanted(task: CaptionTask | OutcomeUnknown | str) -> Wanted:
    if isinstance(task, CaptionTask):
        return task.task_id
    if isinstance(task, str):
        return CaptionTask.parse(task).task_id
    if task.callback is None:
        raise ValueError("this call had no callback from a receiver: there is nothing to wait for")
    return bytes.fromhex(task.callback)


def _in_vain(
    task: CaptionTask | OutcomeUnknown | str,
    record: Record | None,
    timeout: float | None,
    desk: Desk,
) -> CallbackTimeout:
    lost = isinstance(task, OutcomeUnknown)
    name = "the submission whose reply was lost" if lost else f"task {str(task)!r}"
    again = "wait(error)" if lost else f"wait({str(task)!r})"
    known = (
        f"it is kept in {desk.store} when it comes" if record else f"{desk.store} does not know it"
    )
    return CallbackTimeout(
        f"no callback for {name} within {timeout:g} s; {known}: resume with receiver.{again}",
        call=record.ticket.call if record else "",
    )


def _rebuild(url: str, place: Place, accept_for: float) -> Receiver:
    return Receiver(url, store=place, accept_for=accept_for)
