"""Listens to what other processes commit to a PostgreSQL database, so that waiters wake at once."""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from typing import TypeAlias

from attrs import define, field

from memories_async._database.database import POLL
from memories_async._database.postgres_connection import PostgresUrl, quote_name

KEPT = 10_000
"""The number of notifications that are remembered for those who begin to wait a little late."""
TICK = 0.5
"""Seconds between two looks at whether to stop, or to connect again."""
Waiter: TypeAlias = tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]


@define(eq=False)
class NotificationListener:
    """Counts the notifications of one schema, in a thread that starts when they are first needed."""

    url: PostgresUrl
    _count: int = field(default=0, init=False)
    _forgotten: int = field(default=0, init=False)
    """The number of the newest notification that is not remembered any more."""
    _recent: OrderedDict[str, int] = field(factory=OrderedDict[str, int], init=False)
    """The number of the last notification about each name."""
    _waiters: dict[str, list[Waiter]] = field(factory=dict[str, list[Waiter]], init=False)
    _stopping: threading.Event | None = field(default=None, init=False)
    _is_listening: bool = field(default=False, init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False)

    def mark(self) -> int | None:
        """Return the number of the last notification; None while none can be heard."""
        with self._lock:
            return self._count if self._is_listening else None

    def version(self) -> object:
        """Return a value that changes with every notification, and always while none can be heard."""
        mark = self.mark()
        if mark is not None:
            return mark
        self._start()
        return object()

    async def wait_for(self, name: str, since: int | None, *, at_most: float) -> None:
        """Wait for a notification about *name* after the one numbered *since*."""
        loop = asyncio.get_running_loop()
        waiter: Waiter = loop, loop.create_future()
        with self._lock:
            is_heard = self._is_listening and since is not None
            if is_heard:
                if max(self._recent.get(name, 0), self._forgotten) > (since or 0):
                    return
                self._waiters.setdefault(name, []).append(waiter)
        if not is_heard:
            self._start()
            await asyncio.sleep(POLL)
            return
        try:
            await asyncio.wait((waiter[1],), timeout=at_most)
        finally:
            with self._lock:
                others = self._waiters.get(name, [])
                if waiter in others:
                    others.remove(waiter)
                if not others:
                    self._waiters.pop(name, None)

    def stop(self) -> None:
        """End the thread and its connection; both start again when needed."""
        with self._lock:
            stopping, self._stopping, self._is_listening = self._stopping, None, False
        if stopping is not None:
            stopping.set()
        self._wake_all()

    def reset_in_child(self) -> None:
        """Forget the parent's thread and waiters, in a forked child."""
        self._lock, self._stopping, self._is_listening = threading.Lock(), None, False
        self._waiters = {}

    def _start(self) -> None:
        with self._lock:
            if self._stopping is None:
                self._stopping = threading.Event()
                threading.Thread(
                    target=self._serve,
                    args=(self._stopping,),
                    name="memories_async listener",
                    daemon=True,
                ).start()

    def _serve(self, stopping: threading.Event) -> None:
        while not stopping.is_set():
            try:
                with self.url.connect() as connection:
                    connection.execute(f"LISTEN {quote_name(self.url.schema)}".encode())
                    self._set_listening(stopping, is_listening=True)
                    while not stopping.is_set():
                        for notification in connection.notifies(timeout=TICK):
                            self._note(notification.payload)
            except Exception:  # noqa: BLE001  # whoever waits looks by itself, and fails itself
                self._set_listening(stopping, is_listening=False)
                stopping.wait(TICK)

    def _set_listening(self, stopping: threading.Event, *, is_listening: bool) -> None:
        with self._lock:
            if self._stopping is not stopping:
                return
            self._is_listening = is_listening
            # What came before, or is to come, is not heard.
            self._count += 1
            self._forgotten = self._count
        self._wake_all()

    def _note(self, name: str) -> None:
        with self._lock:
            self._count += 1
            self._recent.pop(name, None)
            self._recent[name] = self._count
            if len(self._recent) > KEPT:
                self._forgotten = max(self._forgotten, self._recent.popitem(last=False)[1])
            waiters = self._waiters.pop(name, [])
        _wake(waiters)

    def _wake_all(self) -> None:
        with self._lock:
            waiters = [waiter for some in self._waiters.values() for waiter in some]
            self._waiters = {}
        _wake(waiters)


def _wake(waiters: list[Waiter]) -> None:
    for loop, future in waiters:
        try:
            loop.call_soon_threadsafe(_set, future)
        except RuntimeError:  # the loop was closed: nobody waits there
            continue


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
