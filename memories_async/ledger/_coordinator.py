"""Coordinates calls with the ledger: claims an entry and sends the call, or answers from a stored reply."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any, TypeVar

from attrs import define, field

from memories_async._instances import Instances
from memories_async._protocol.call import Call, derive_fingerprint, identify
from memories_async._protocol.reply import Reply
from memories_async.errors import MemoriesError, OutcomeUnknown
from memories_async.ledger._claims import (
    Claim,
    Claimed,
    Flight,
    InFlight,
    OtherAccount,
    Paid,
    Unknown,
    explain_row,
    read_kept_reply,
    run_to_end,
)
from memories_async.ledger._schema import EntryKey, EntryRow
from memories_async.ledger._store import EntryStore

T = TypeVar("T")


@define(eq=False)
class SingleFlight:
    """The calls that this process is sending, in all its threads and event loops, by key."""

    _flights: dict[str, Flight] = field(factory=dict[str, Flight], init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False)

    def __attrs_post_init__(self) -> None:
        _single_flights.add(self)

    def join(self, key: str) -> Flight | None:
        """Return the flight under *key*; None where there was none and the caller's begins."""
        with self._lock:
            flight = self._flights.get(key)
            if flight is None:
                self._flights[key] = Future()
            return flight

    def end(self, key: str, error: MemoriesError | None) -> None:
        """End the caller's flight and wake its waiters."""
        with self._lock:
            flight = self._flights.pop(key, None)
        if flight is not None:
            flight.set_result(error)

    def clear(self) -> None:
        """Forget all flights: a forked child sends none of its parent's calls."""
        self._flights, self._lock = {}, threading.Lock()


_single_flights = Instances[SingleFlight](in_child=SingleFlight.clear)


@define(eq=False)
class Coordinator:
    """Decides, for one process, which calls are sent and which are answered from the ledger."""

    store: EntryStore
    flights: SingleFlight = field(factory=SingleFlight)

    async def send_once(
        self,
        call: Call[T],
        account: str,
        send: Callable[[Call[T], Claimed | None], Awaitable[T]],
        *,
        fresh: bool,
        price: float | None,
    ) -> T:
        """Do what `Ledger.once` promises."""
        if not is_recorded(call):
            return await send(call, None)
        build = partial(build_entry_key, call, account, price=price)
        # Hashing a video takes a while; starting a thread takes longer than hashing a prompt.
        key = await asyncio.to_thread(build) if call.media else build()
        while True:
            (claim,) = await self.claim([key], fresh=fresh)
            if not isinstance(claim, InFlight):
                return await self.resolve(claim, call, send)
            await claim.wait()

    async def claim(
        self, keys: Sequence[EntryKey], *, fresh: bool = False, resend: bool = False
    ) -> list[Claim]:
        """Claim the entries of *keys* in one transaction; return a claim for each.

        The caller closes every `Claimed` in the end. *resend* claims what is unknown, too.
        """
        flights = [self.flights.join(key.key) for key in keys]
        ours = [key for key, flight in zip(keys, flights, strict=True) if flight is None]
        try:
            claims = iter(await self._write_claims(ours, fresh=fresh, resend=resend))
        except BaseException:
            for key in ours:
                self.flights.end(key.key, None)
            raise
        return [next(claims) if flight is None else InFlight(flight) for flight in flights]

    async def _write_claims(
        self, keys: Sequence[EntryKey], *, fresh: bool, resend: bool
    ) -> list[Claim]:
        if not keys:
            return []
        mark = self.store.database.mark()
        try:
            rows = await self.store.write(
                lambda moves: moves.claim_all(keys, fresh=fresh, resend=resend)
            )
        except asyncio.CancelledError:
            await run_to_end(
                self.store.write(lambda moves: moves.withdraw([key.key for key in keys]))
            )
            raise
        return [self._build_claim(key, *row, mark) for key, row in zip(keys, rows, strict=True)]

    def _build_claim(
        self, key: EntryKey, row: EntryRow, owner: str | None, mark: int | None
    ) -> Claim:
        end_flight = partial(self.flights.end, key.key)
        if owner is None:
            end_flight(None)
            claim = explain_row(key, row)
            if isinstance(claim, InFlight):
                return InFlight(None, partial(self.store.database.wait_for, key.key, mark))
            return claim
        return Claimed(
            entry_key=key,
            entry=row.id,
            owner=owner,
            store=self.store,
            is_doubtful=row.state == "unknown",
            kept_reply=read_kept_reply(row) if row.state == "unknown" else None,
            on_close=end_flight,
        )

    async def resolve(
        self,
        claim: Claimed | Paid | Unknown | OtherAccount,
        call: Call[T],
        send: Callable[[Call[T], Claimed], Awaitable[T]],
    ) -> T:
        """Send *call* if it was claimed; else answer it from the ledger, or raise."""
        if isinstance(claim, Paid):
            return call.read(claim.reply)
        if isinstance(claim, OtherAccount):
            raise claim.error
        if isinstance(claim, Unknown):
            return await self._read_again(claim, call)
        failure: MemoriesError | None = None
        try:
            if claim.kept_reply is not None and (kept := _try_read(call, claim.kept_reply)):
                # What was paid and can be read by now is not paid again.
                await claim.answered(claim.kept_reply)
                claim.is_replayed = True
                return kept[0]
            return await send(call, claim)
        except OutcomeUnknown as error:
            failure = error
            await claim.close(error)
            # A callback may have proved meanwhile that the call was accepted.
            row = await self.store.read(lambda entries: entries.find_by_id(claim.entry))
            settled = None if row is None else explain_row(claim.entry_key, row)
            if not isinstance(settled, Paid):
                raise
            return call.read(settled.reply)
        except MemoriesError as error:
            failure = error
            raise
        finally:
            await claim.close(failure)

    async def _read_again(self, claim: Unknown, call: Call[T]) -> T:
        """Answer from a reply that an earlier version could not read, or raise."""
        reply = claim.reply
        if reply is None or not (kept := _try_read(call, reply)):
            raise claim.error
        await self.store.write(lambda moves: moves.finish(claim.entry, reply.status, reply.body))
        return kept[0]


def is_recorded(call: Call[Any]) -> bool:
    """Whether a ledger keeps *call*: free calls are sent anew, and a downloaded file is no reply."""
    return not call.is_free and call.save_to is None


def build_entry_key(
    call: Call[Any],
    account: str,
    *,
    identity: tuple[bytes, bytes] | None = None,
    item: str | None = None,
    price: float | None = None,
) -> EntryKey:
    """Build the key of *call*, whose *identity* is what `identify` returned, if that was called.

    Otherwise it is called here, and reads the call's media: raises `NotSent` if one changed.
    """
    content, document = identity or identify(call)
    assert call.unit is not None
    return EntryKey(
        key=derive_fingerprint(content, account),
        content=content,
        call=call.name,
        asked=document.decode("ascii"),
        account=account,
        unit=call.unit,
        item=item,
        price=price,
    )


def _try_read(call: Call[T], reply: Reply) -> list[T]:
    """Read the answer of a kept reply; an empty list where this version cannot read it either."""
    try:
        return [call.read(reply)]
    except MemoriesError:
        return []
