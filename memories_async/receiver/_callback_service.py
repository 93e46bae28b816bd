"""Where deliveries are handed in: judged, stored, then acknowledged, and who waits is woken."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterable

from attrs import define, field

from memories_async.captions import CaptionTask
from memories_async.errors import MemoriesError
from memories_async.receiver import _core
from memories_async.receiver._records import Arrival, Record, Verdict
from memories_async.receiver._store import Settler, Store
from memories_async.receiver._waiters import Waiting
from memories_async.videos import Video

log: logging.Logger = logging.getLogger(__name__)


def _accepted(call: str, name: str) -> CaptionTask | Video:
    """The answer that the lost reply of a submission would have been."""
    return Video(video_no=name) if call.startswith("videos.") else CaptionTask(name)


@define(eq=False)
class Desk:
    """A store in use. Any number of loops and threads may hand in."""

    store: Store
    settler: Settler | None
    accept_for: float
    _given_secret: bytes | None = field(repr=False)
    waiting: Waiting = field(init=False)
    room: _core.Room = field(factory=_core.Room, init=False)
    _secret: bytes | None = field(default=None, init=False, repr=False)
    _caught_up: bool = field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        self.waiting = Waiting(self.store)

    async def secret(self) -> bytes:
        """Return what tokens are signed with; the first time, also settle what a crash left."""
        if self._secret is None:
            self._secret = self._given_secret or await self.store.secret()
        if not self._caught_up and self.settler is not None:
            self._caught_up = True
            for record in await self.store.untold():
                await self.settle(record)
        return self._secret

    async def receive(self, head: _core.Head, body: bytes | AsyncIterable[bytes]) -> _core.Answer:
        """Take one request from its head to its answer."""
        admitted = await self.admit(head)
        if isinstance(admitted, _core.Answer):
            return admitted
        size = _core.MAX_BODY if head.length is None else head.length
        if not self.room.take(size):
            return _core.LATER
        try:
            whole = body if isinstance(body, bytes) else await _core.gathered(body)
            if isinstance(whole, _core.Answer):
                return whole
            return await self.keep(admitted, head, whole)
        finally:
            self.room.give_back(size)

    async def admit(self, head: _core.Head) -> bytes | _core.Answer:
        """Return the id of the submission, or an answer if the body need not be read."""
        try:
            return _core.admit(head, await self.secret())
        except MemoriesError as error:
            return _later(error)

    async def keep(self, id_: bytes, head: _core.Head, body: bytes) -> _core.Answer:
        """Store a body, then answer. 200 means that it is on the disk."""
        arrival = _core.read(head, body, at=time.time())
        if isinstance(arrival, _core.Answer):
            return arrival
        try:
            verdict, record = await self.store.deliver(id_, arrival, accept_for=self.accept_for)
        except MemoriesError as error:
            return _later(error)
        if record is not None:
            await self._tell(verdict, record, arrival)
        return _core.AFTER[verdict]

    async def _tell(self, verdict: Verdict, record: Record, arrival: Arrival) -> None:
        if verdict is Verdict.CONFLICTING:
            # %r: what a stranger wrote reaches a log escaped.
            log.warning(
                "task %r: a second, different callback was kept; the first one counts",
                arrival.task_id,
            )
        if verdict is not Verdict.STRANGE:
            self.waiting.tell(record)
            await self.settle(record)

    async def settle(self, record: Record) -> None:
        """Tell the ledger that a submission was accepted, if it waits to hear so."""
        key, task_id = record.ticket.key, record.known_task
        if self.settler is None or not record.is_owed or key is None or task_id is None:
            return
        try:
            await self.settler.settled(key, answer=_accepted(record.ticket.call, task_id))
            await self.store.told(record.ticket.id)
        except (MemoriesError, LookupError) as error:
            # The delivery itself is safe; the next start of a receiver tries this again.
            log.warning("the ledger could not be told of a callback: %s", error)


def _later(error: MemoriesError) -> _core.Answer:
    log.error("a callback could not be stored and was not acknowledged: %s", error)
    return _core.LATER
