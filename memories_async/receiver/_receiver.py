"""The receiver: gives submissions a callback URL, and returns what is delivered to it."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from attrs import evolve

from memories_async._database.open import is_postgres
from memories_async._protocol.arguments import PAUSE, SECONDS
from memories_async._protocol.call import Call
from memories_async._protocol.network import Address, hide_credentials
from memories_async.captions import Caption, CaptionTask
from memories_async.errors import MemoriesError, OutcomeUnknown
from memories_async.events import CallLogger, Observer, find_trace
from memories_async.ledger import Ledger
from memories_async.receiver import _callback_urls
from memories_async.receiver._callback_service import CallbackService, store_failure
from memories_async.receiver._gateways import AsgiApp, WsgiApp
from memories_async.receiver._records import (
    CallbackDelivery,
    CallbackRecord,
    Submission,
    find_key,
)
from memories_async.receiver._sqlite_store import SqliteStore
from memories_async.receiver._stores import CallbackStore
from memories_async.receiver._waiters import build_timeout_error
from memories_async.videos import Video

if TYPE_CHECKING:
    from aiohttp import web

T = TypeVar("T")
StoreSource: TypeAlias = CallbackStore | Ledger | str | os.PathLike[str] | None

ACCEPT_FOR = 30 * 24 * 3600.0
"""Seconds after its submission for which a callback is accepted."""
log: CallLogger = CallLogger(logging.getLogger(__name__))


class Receiver:
    """Receives the service's callbacks, stores them durably, and lets their results be awaited.

    *public_url* is where the service reaches the receiver, without a query; a port 0 in it stands
    for the port that `serve` takes, for trials on one machine. *store* is the path of a SQLite file,
    the URL of a PostgreSQL database (extra `postgres`), a `Ledger` whose tables are shared, or any
    `CallbackStore`; by default the client's ledger, else a file of the user's own. All processes that
    submit, receive or wait name the same store. They need no *secret* then: the store holds one.
    Nothing is opened before the first use.
    """

    def __init__(
        self,
        public_url: str,
        *,
        secret: str | bytes | None = None,
        store: StoreSource = None,
        accept_for: float = ACCEPT_FOR,
        observers: Iterable[Observer] | None = None,
    ) -> None:
        """Check the settings.

        *secret* (at least 16 bytes) signs the tokens in callback URLs instead of the store's own.
        *accept_for* is how many seconds after its submission a callback is accepted.
        *observers* are told of callbacks; by default those of the first client with this receiver.
        """
        self._url = _callback_urls.PublicUrl(public_url)
        self._secret = None if secret is None else _callback_urls.derive_key(secret)
        # A URL may hold a password, which must not be pickled.
        self._store_source: StoreSource = SqliteStore.at(store) if is_postgres(store) else store
        SECONDS.check("accept_for", accept_for)
        self._accept_for = accept_for
        self._observers: tuple[Observer, ...] | None = None if observers is None else (*observers,)
        self._attached: Ledger | None = None
        self._service: CallbackService | None = None
        self._opening = threading.Lock()
        self.asgi: AsgiApp = AsgiApp(self._open_for_request)
        """The receiver as an ASGI application, for FastAPI, Starlette or an ASGI server."""
        self.wsgi: WsgiApp = WsgiApp(self._open_for_request)
        """The receiver as a WSGI application, for Flask, Django or a WSGI server."""

    def attach_observers(self, observers: tuple[Observer, ...]) -> None:
        """Tell *observers* of callbacks, unless there are others. Clients call it with theirs."""
        with self._opening:
            if self._observers is None:
                self._observers = observers
            if self._service is not None:
                self._service.observers = self._observers

    def attach_ledger(self, ledger: Ledger) -> None:
        """Tell *ledger* of callbacks, and share its file unless a store was named.

        Clients and batches call it with their ledger. Raises `ValueError` for a second ledger.
        """
        with self._opening:
            if self._attached is ledger:
                return
            if self._attached is not None:
                raise ValueError("this receiver works with another ledger: give each its own")
            self._attached = ledger
            if self._service is not None:
                # A receiver that served before there was a client moves into the ledger's file.
                self._service.store.close()
                self._service = None

    async def submit(
        self, call: Call[T], send: Callable[[Call[T]], Awaitable[T]], *, key: str | None = None
    ) -> T:
        """Send *call* with a callback URL of its own, stored before the first byte leaves.

        Clients call it; *key* is the call's entry in the ledger. Where the reply is lost, the
        `OutcomeUnknown` that is raised can be waited for like a task. A call that can do without a
        callback (an upload) is sent without one where none can be received or stored.
        """
        if call.welcomes_callback and not self._url.is_reachable:
            return await send(call)
        submission = Submission(
            id=_callback_urls.draw_submission_id(),
            call=call.name,
            key=key,
            issued_at=time.time(),
            trace=find_trace(),
            tag=call.tag,
        )
        try:
            service, base = self._open(), self._url.resolve()
            token = _callback_urls.write_token(submission.id, await service.open())
            await service.store.add_submission(submission)
        except (MemoriesError, OSError) as error:
            if not call.welcomes_callback:
                raise
            log.warning("%s is sent without a callback: %s", call.name, error)
            return await send(call)
        try:
            answer = await send(call.with_callback(f"{base}/{token}"))
        except OutcomeUnknown as error:
            error.callback = submission.id.hex()
            raise
        task_id = _read_task_id(answer)
        if task_id is not None:
            try:
                service.waiters.notify(await service.store.set_task(submission.id, task_id))
            except (MemoriesError, LookupError) as error:
                # The task is accepted and paid: its callback names it, and so can the caller.
                log.warning("task %r could not be stored beside its callback: %s", task_id, error)
        return answer

    async def wait(
        self,
        task: CaptionTask | OutcomeUnknown | str,
        *,
        timeout: float | None = 600,  # noqa: ASYNC109  # the name that the design fixed
    ) -> Caption:
        """Return the caption of *task* as soon as its callback is stored, by whichever process.

        Free, and safe to repeat: every call returns the same caption. *task* may be a task, its text,
        or the `OutcomeUnknown` of a submission whose reply was lost. Raises `CaptionFailed` for a
        task that failed, `BadReply` (with the body) for a callback that cannot be read, and
        `CallbackTimeout` after *timeout* seconds (None: never); a callback that comes later is
        stored, and waiting again returns it. The caption, or the error, has the tag of *task*, else
        the one stored with the submission.
        """
        PAUSE.or_none().check("timeout", timeout)
        service, key = self._open(), find_key(task)
        record = await service.waiters.wait_for(
            key, lambda record: record.outcome is not None, timeout=timeout
        )
        tag = None if isinstance(task, str) else task.tag
        if tag is None and record is not None:
            tag = record.submission.tag
        try:
            if record is None or record.outcome is None:
                raise build_timeout_error(task, record, timeout, service.store)
            await service.reconcile(record)
            caption = record.outcome.read_caption(call=record.submission.call)
        except MemoriesError as error:
            error.tag = tag
            raise
        return evolve(caption, tag=tag)

    async def wait_for_news(self, name: str, *, timeout: float, seen: int = 0) -> int:  # noqa: ASYNC109  # as in `wait`
        """Wait at most *timeout* seconds for a callback that says how *name* ended.

        *name* is the id that the service gave: a `task_id` or a `video_no`. Returns how many such
        callbacks have come so far, repetitions included; *seen* is how many the caller knows of. The
        result is not above *seen* when the time is over. Where the store cannot be read, a warning is
        logged and the whole time is waited.
        """
        clock = asyncio.get_running_loop().time
        deadline = clock() + timeout
        try:
            record = await self._open().waiters.wait_for(
                name, lambda record: record.final_callbacks > seen, timeout=timeout
            )
        except (MemoriesError, OSError) as error:
            log.warning("callbacks for %r cannot be read: %s", name, error)
            await asyncio.sleep(deadline - clock())
            return seen
        return seen if record is None else record.final_callbacks

    async def find(self, task: CaptionTask | OutcomeUnknown | str) -> CallbackRecord | None:
        """Return what the store holds of *task*: its submission and callbacks, or None."""
        return await self._open().store.find(find_key(task))

    async def deliveries(
        self, task: CaptionTask | OutcomeUnknown | str
    ) -> tuple[CallbackDelivery, ...]:
        """List the different callbacks that came for *task*, in order; usually there is one."""
        record = await self.find(task)
        return () if record is None else record.deliveries

    @property
    def store(self) -> CallbackStore:
        """The store in use; `str` of it names its place."""
        return self._open().store

    def aiohttp_app(self) -> web.Application:
        """Build an aiohttp application, to be mounted with `add_subapp`."""
        # Imported here: only who serves with aiohttp needs its server.
        from memories_async.receiver._server import make_application  # noqa: PLC0415

        return make_application(self._open_for_request)

    @asynccontextmanager
    async def serve(self, host: str = "127.0.0.1", port: int = 0) -> AsyncGenerator[Address]:
        """Receive callbacks on a port while the context is open; port 0 takes a free one.

        Only this machine reaches the default *host*: put a proxy or a tunnel in front of it. Raises
        `DatabaseFailed` for a store that cannot be used, and `OSError` for a port that is taken.
        """
        # Imported only where needed, and in a thread: the import takes a tenth of a second.
        server = await asyncio.to_thread(import_module, "memories_async.receiver._server")
        await self._open().open()
        async with server.serve(server.make_handler(self._open_for_request), host, port) as address:
            with self._url.serve_port(address.port):
                yield address

    def close(self) -> None:
        """Close the store and end the WSGI application's thread; may be called twice."""
        self.wsgi.close()
        with self._opening:
            if self._service is not None:
                self._service.store.close()
                # Its secret may be another one when the store is opened again.
                self._service = None

    def __repr__(self) -> str:
        return f"Receiver({hide_credentials(self._url.given)!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        if self._secret is not None:
            raise TypeError(
                "a Receiver with a secret does not pickle: leave it out, the store has one"
            )
        source = self._store_source
        if not isinstance(source, Ledger | CallbackStore) and self._attached is None:
            # The store pickles with the id of its file, so that no other file is used in its place.
            source = self.store
        make = partial(
            Receiver, store=source, accept_for=self._accept_for, observers=self._observers
        )
        return make, (self._url.given,)

    def _open(self) -> CallbackService:
        with self._opening:
            if self._service is None:
                source = self._attached if self._store_source is None else self._store_source
                ledger = source if isinstance(source, Ledger) else self._attached
                store: CallbackStore
                if isinstance(source, Ledger):
                    store = SqliteStore(source.database, owns_database=False)
                else:
                    store = source if isinstance(source, CallbackStore) else SqliteStore.at(source)
                self._service = CallbackService(
                    store, ledger, self._accept_for, self._secret, self._observers or ()
                )
            return self._service

    def _open_for_request(self) -> CallbackService:
        try:
            return self._open()
        except (MemoriesError, OSError) as error:
            raise store_failure(error) from None


def _read_task_id(answer: object) -> str | None:
    """Return the id by which callbacks name what was submitted."""
    if isinstance(answer, CaptionTask):
        return answer.task_id
    return answer.video_no if isinstance(answer, Video) else None
