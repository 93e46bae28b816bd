"""What a claim of a call comes to: an entry to send, with the hook that records each attempt, or an answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from copy import copy
from datetime import UTC, datetime
from typing import Any, TypeAlias

from attrs import define, field, frozen

from memories_async._database.file import DatabaseFailed
from memories_async._protocol.reply import Reply
from memories_async.errors import (
    MemoriesError,
    NotSent,
    OutcomeUnknown,
    PaidElsewhere,
    RateLimited,
    Refused,
)
from memories_async.events import logger, tell_waiting
from memories_async.ledger._schema import AttemptEnd, EntryKey, EntryRow
from memories_async.ledger._store import EntryStore, EntryWriter

CANCELLED = "the call was cancelled after it was sent"


@define(eq=False)
class Claimed:
    """An entry that this process may send. Whoever holds it calls `close` in the end."""

    entry_key: EntryKey
    entry: int
    owner: str
    store: EntryStore
    is_doubtful: bool
    """Whether an earlier attempt may have been paid."""
    kept_reply: Reply | None
    """The reply of an earlier attempt that could not be read then."""
    on_close: Callable[[MemoriesError | None], None]
    """Called once, when the call is over, for those who wait for an identical one."""
    is_replayed: bool = field(default=False, init=False)
    """Whether the kept reply was the answer, and nothing was sent."""
    _is_owned: bool = field(default=True, init=False)
    """Whether the entry may still name this process as its owner."""
    _has_begun: bool = field(default=False, init=False)
    """Whether an intent may be recorded without an end."""
    _has_left: bool = field(default=False, init=False)
    """Whether a byte may have left since."""
    _is_closed: bool = field(default=False, init=False)

    @property
    def key(self) -> str:
        """The call's key in the ledger."""
        return self.entry_key.key

    async def sending(self) -> None:
        """Commit the intent; see `AttemptHook.sending`."""
        self._has_begun = True
        price = self.entry_key.price
        if not await self.store.write(lambda moves: moves.begin(self.entry, self.owner, price)):
            self._is_owned = self._has_begun = False
            raise NotSent("the ledger's entry was settled or claimed by another process; ask again")

    def sent(self) -> None:
        """Note that the attempt may be paid from here on; see `AttemptHook.sent`."""
        self._has_left = True

    async def answered(self, reply: Reply) -> None:
        """Commit the reply; see `AttemptHook.answered`."""
        try:
            await self.store.write(lambda moves: moves.finish(self.entry, reply.status, reply.body))
        except DatabaseFailed as error:
            raise DatabaseFailed(
                f"answered and paid, but not recorded: {error.message}; the reply is in error.body",
                status=reply.status,
                billed="yes",
                body=reply.body,
            ) from None
        self._is_owned = self._has_begun = False

    async def failed(self, error: MemoriesError, *, final: bool) -> None:
        """Record how an attempt ended; see `AttemptHook.failed`."""
        if not self._has_begun or isinstance(error, DatabaseFailed):
            return
        if isinstance(error, OutcomeUnknown):
            state = "unknown"
        elif isinstance(error, Refused) and not isinstance(error, RateLimited) and final:
            state = "refused"
        else:  # a rate limit, or a refusal that a repeat may change, says nothing about the call
            state = "planned"
        restores_doubt = self.is_doubtful and state != "unknown"
        self.is_doubtful = self.is_doubtful or state == "unknown"
        end = AttemptEnd(
            state="unknown" if restores_doubt else state,
            final=final,
            status=error.status,
            message=error.message,
            body=error.body if state == "unknown" else None,
            restores_doubt=restores_doubt,
        )
        await self._write_or_log(lambda moves: moves.stop(self.entry, self.owner, end))
        self._has_begun = self._has_left = False
        self._is_owned = not final

    def cancelled(self) -> None:
        """Record nothing: `close` does; see `AttemptHook.cancelled`."""

    async def close(self, error: MemoriesError | None = None) -> None:
        """Release the entry; a call that left without an outcome is unknown. Idempotent."""
        if self._is_closed:
            return
        self._is_closed = True
        try:
            if self._is_owned:
                await run_to_end(self._write_or_log(self._release))
        finally:
            self.on_close(error)

    def _release(self, moves: EntryWriter) -> None:
        if self._has_begun and not self._has_left:
            state = "unknown" if self.is_doubtful else "planned"
            end = AttemptEnd(state=state, is_withdrawn=True, restores_doubt=self.is_doubtful)
            moves.stop(self.entry, self.owner, end)
        moves.release(self.owner, entry=self.entry, message=CANCELLED)

    async def _write_or_log(self, move: Callable[[EntryWriter], None]) -> None:
        """Write; where that fails, log it: the outcome of the call matters more to the caller."""
        try:
            await self.store.write(move)
        except DatabaseFailed as error:
            logger.error("%s: the ledger's entry is unchanged: %s", self.entry_key.call, error)


Flight: TypeAlias = Future[MemoriesError | None]
"""Set to the error that ended the call, or to None: the ledger is then worth another look."""


@frozen
class Paid:
    """The call was answered before, with *reply*."""

    reply: Reply


@frozen
class Unknown:
    """The call was sent and its outcome is unknown, or it was paid and its reply is lost."""

    entry: int
    error: OutcomeUnknown
    reply: Reply | None
    """The unreadable reply, if there was one."""


@frozen
class OtherAccount:
    """The same call is or may be paid under another account's name."""

    error: PaidElsewhere


@frozen
class InFlight:
    """Another task of this process, or another process (no *flight*), is sending the call."""

    flight: Flight | None
    wait_elsewhere: Callable[[], Awaitable[None]] | None = None
    """Waits for another process."""

    async def wait(self) -> None:
        """Wait until the ledger is worth another look; raise what ended a call of this process."""
        tell_waiting("identical")
        if self.flight is None:
            if self.wait_elsewhere is not None:
                await self.wait_elsewhere()
            return
        # Shielded: cancelling one waiter must not cancel the others.
        error = await asyncio.shield(asyncio.wrap_future(self.flight))
        if error is not None:
            raise copy(error)


Claim: TypeAlias = Claimed | Paid | Unknown | OtherAccount | InFlight


def read_kept_reply(row: EntryRow) -> Reply | None:
    """Return the reply that an entry keeps, if it keeps one."""
    return None if row.body is None else Reply(status=row.status or 200, body=row.body)


def explain_row(key: EntryKey, row: EntryRow) -> Paid | Unknown | InFlight | OtherAccount:
    """Say why an entry cannot be claimed."""
    if row.account != key.account:
        known = "paid" if row.state == "done" else "perhaps paid, or about to be"
        return OtherAccount(
            PaidElsewhere(
                f"not sent: the ledger holds this call as {known} under the account"
                f" {row.account!r}, and this client's is {key.account!r}. If they are one account,"
                f" call ledger.rename_account({row.account!r}, {key.account!r});"
                " send(call, fresh=True) pays again",
                call=key.call,
            )
        )
    if row.owner is not None:
        return InFlight(None)
    reply = read_kept_reply(row)
    if row.state == "done" and reply is not None:
        return Paid(reply)
    if row.state == "done":
        message = "the ledger says it was paid, without an answer; fresh=True buys one"
    else:
        sent_at = datetime.fromtimestamp(row.sent_at or 0.0, UTC).isoformat(" ", "seconds")
        message = (
            f"sent before, last at {sent_at}, and not answered: {row.message}. It is not sent again"
            f" by itself; tell the ledger: settle({key.key!r}, paid=...), or retry(...) to risk"
            " paying twice"
        )
    error = OutcomeUnknown(
        message,
        call=key.call,
        status=row.status,
        attempts=row.attempts,
        billed="yes" if row.state == "done" else "maybe",
        body=row.body,
    )
    return Unknown(row.id, error, reply)


async def run_to_end(write: Coroutine[Any, Any, None]) -> None:
    """Wait for *write* to end even when cancelled meanwhile; then raise the cancellation."""
    task = asyncio.ensure_future(write)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait((task,))
        raise
