"""One entry of the ledger while its call is delivered: the hook that writes things down."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Coroutine
from typing import Any

from attrs import define, field

from memories_async._database.database import Database
from memories_async._database.file import DatabaseFailed
from memories_async._protocol.reply import Reply
from memories_async.errors import MemoriesError, NotSent, OutcomeUnknown, RateLimited, Refused
from memories_async.events import logger
from memories_async.ledger import _tables
from memories_async.ledger._tables import Ask, End

CALLED_OFF = "it was called off after it was sent"


@define(eq=False)
class Line:
    """An entry that this process claimed. Whoever holds it calls `close` in the end."""

    ask: Ask
    entry: int
    owner: str
    database: Database
    doubtful: bool
    """Whether an earlier attempt may have been paid, and is not written off."""
    landed: Callable[[MemoriesError | None], None]
    """Told once, when nothing more will happen, for those who wait for the same call."""
    _held: bool = field(default=True, init=False)
    """Whether the ledger may still name us as the entry's owner."""
    _begun: bool = field(default=False, init=False)
    """Whether an intent may be written without an end."""
    _out: bool = field(default=False, init=False)
    """Whether a byte may have left since."""
    _closed: bool = field(default=False, init=False)

    @property
    def key(self) -> str:
        """The call's key in the ledger."""
        return self.ask.key

    async def sending(self) -> None:
        """See `AttemptHook.sending`."""
        self._begun = True
        begun = await self.database.write(
            lambda connection: _tables.begin(connection, self.entry, self.owner, self.ask.price)
        )
        if not begun:
            self._held = self._begun = False
            raise NotSent("the ledger's entry was settled or taken by another; ask again")

    def sent(self) -> None:
        """See `AttemptHook.sent`."""
        self._out = True

    async def answered(self, reply: Reply) -> None:
        """See `AttemptHook.answered`."""
        try:
            await self.database.write(
                lambda connection: _tables.finish(connection, self.entry, reply.status, reply.body)
            )
        except DatabaseFailed as error:
            raise DatabaseFailed(
                f"answered and paid, but not recorded: {error.message}; the reply is in error.body",
                status=reply.status,
                billed="yes",
                body=reply.body,
            ) from None
        self._held = self._begun = False

    async def failed(self, error: MemoriesError, *, final: bool) -> None:
        """See `AttemptHook.failed`."""
        if not self._begun or isinstance(error, DatabaseFailed):
            return
        state = _state_after(error, final=final)
        back = self.doubtful and state != "unknown"
        self.doubtful = self.doubtful or state == "unknown"
        end = End(
            state="unknown" if back else state,
            final=final,
            status=error.status,
            message=error.message,
            body=error.body,
            doubt_again=back,
        )
        await self._try(lambda connection: _tables.stop(connection, self.entry, self.owner, end))
        self._begun = self._out = False
        self._held = not final

    async def close(self, error: MemoriesError | None = None) -> None:
        """Let go of the entry: what left without an outcome is unknown from here on. Idempotent."""
        if self._closed:
            return
        self._closed = True
        try:
            if self._held:
                await finished(self._try(self._leave))
        finally:
            self.landed(error)

    def _leave(self, connection: sqlite3.Connection) -> None:
        if self._begun and not self._out:
            state = "unknown" if self.doubtful else "planned"
            end = End(state=state, unbegun=True, doubt_again=self.doubtful)
            _tables.stop(connection, self.entry, self.owner, end)
        _tables.leave(connection, self.owner, entry=self.entry, message=CALLED_OFF)

    async def _try(self, work: Callable[[sqlite3.Connection], None]) -> None:
        """Write, or say in the log why not: what happened to the call matters more."""
        try:
            await self.database.write(work)
        except DatabaseFailed as error:
            logger.error("%s: the ledger's entry stays as it was: %s", self.ask.call, error)


def _state_after(error: MemoriesError, *, final: bool) -> str:
    if isinstance(error, OutcomeUnknown):
        return "unknown"
    # Too fast is no answer to the question itself, and neither is what a repeat may change.
    is_no = isinstance(error, Refused) and not isinstance(error, RateLimited) and final
    return "refused" if is_no else "planned"


async def finished(write: Coroutine[Any, Any, None]) -> None:
    """Wait for *write* to its end, also when cancelled meanwhile; then be cancelled."""
    task = asyncio.ensure_future(write)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait((task,))
        raise
