"""Where calls come to the ledger: claimed, carried out under a line of their own, or answered."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from attrs import define, field

from memories_async._database.database import Database
from memories_async._protocol.call import Call, Form, identify
from memories_async.errors import MemoriesError, OutcomeUnknown
from memories_async.ledger import _tables
from memories_async.ledger._claimed import Line, finished
from memories_async.ledger._claims import Claim, Doubt, Elsewhere, Paid, verdict
from memories_async.ledger._process_lock import Owner
from memories_async.ledger._single_flight import Flights
from memories_async.ledger._tables import Ask, Found

T = TypeVar("T")


def is_recorded(call: Call[Any]) -> bool:
    """Whether a ledger keeps *call*: what is free is asked anew, and a file is no reply to keep."""
    return not call.is_free and call.save_to is None


def ask_for(
    call: Call[Any], account: str, *, item: str | None = None, price: float | None = None
) -> Ask:
    """Put *call* into the ledger's terms. Reads its media, and raises `NotSent` if one changed."""
    key, document = identify(call, account)
    assert call.unit is not None
    return Ask(
        key=key,
        call=call.name,
        asked=document.decode("ascii"),
        account=account,
        unit=call.unit,
        item=item,
        price=price,
    )


@define(eq=False)
class Desk:
    """The ledger's dealings with one process."""

    database: Database
    owner: Owner
    flights: Flights = field(factory=Flights)

    async def once(
        self,
        call: Call[T],
        account: str,
        send: Callable[[Call[T], Line], Awaitable[T]],
        *,
        fresh: bool,
        price: float | None,
    ) -> T:
        """See `Ledger.once`."""
        ask = await _asked(call, account, price)
        while True:
            (claim,) = await self.claim([ask], fresh=fresh)
            if not isinstance(claim, Elsewhere):
                return await self.finish(claim, call, send)
            await claim.over()

    async def claim(
        self, asks: Sequence[Ask], *, fresh: bool = False, resend: bool = False
    ) -> list[Claim]:
        """Claim entries in one transaction, or learn why not; one claim for each ask.

        Every `Line` must be closed in the end. *resend* claims what is unknown, too.
        """
        flights = [self.flights.join(ask.key) for ask in asks]
        ours = [ask for ask, flight in zip(asks, flights, strict=True) if flight is None]
        try:
            claims = iter(await self._claim(ours, fresh=fresh, resend=resend) if ours else [])
        except BaseException:
            for ask in ours:
                self.flights.land(ask.key, None)
            raise
        return [next(claims) if flight is None else Elsewhere(flight) for flight in flights]

    async def finish(
        self,
        claim: Line | Paid | Doubt,
        call: Call[T],
        send: Callable[[Call[T], Line], Awaitable[T]],
    ) -> T:
        """Answer *call* as its claim allows."""
        if isinstance(claim, Line):
            return await self._carry_out(claim, call, send)
        if isinstance(claim, Paid):
            return call.read(claim.reply)
        return await self._read_again(claim, call)

    async def _claim(self, asks: Sequence[Ask], *, fresh: bool, resend: bool) -> list[Claim]:
        try:
            found = await self.database.write(
                partial(self._take_all, asks=asks, fresh=fresh, resend=resend)
            )
        except asyncio.CancelledError:
            await finished(self.database.write(partial(self._put_back, asks=asks)))
            raise
        return [self._claim_of(ask, *one) for ask, one in zip(asks, found, strict=True)]

    def _take_all(
        self, connection: sqlite3.Connection, *, asks: Sequence[Ask], fresh: bool, resend: bool
    ) -> list[tuple[Found, bool]]:
        return [
            _tables.take(connection, ask, self.owner, fresh=fresh, resend=resend) for ask in asks
        ]

    def _put_back(self, connection: sqlite3.Connection, *, asks: Sequence[Ask]) -> None:
        for ask in asks:
            _tables.put_back(connection, ask.key, self.owner.name())

    def _claim_of(self, ask: Ask, found: Found, is_ours: bool) -> Claim:
        landed = partial(self.flights.land, ask.key)
        if not is_ours:
            landed(None)
            return verdict(ask, found)
        return Line(
            ask=ask,
            entry=found.id,
            owner=self.owner.name(),
            database=self.database,
            doubtful=found.state == "unknown",
            landed=landed,
        )

    async def _carry_out(
        self,
        line: Line,
        call: Call[T],
        send: Callable[[Call[T], Line], Awaitable[T]],
    ) -> T:
        try:
            answer = await send(call, line)
        except MemoriesError as error:
            await line.close(error)
            paid = await self._settled_meanwhile(line, error)
            if paid is None:
                raise
            return call.read(paid.reply)
        except BaseException:
            await line.close()
            raise
        await line.close()
        return answer

    async def _settled_meanwhile(self, line: Line, failure: MemoriesError) -> Paid | None:
        """Look whether a callback proved that a call was accepted whose reply was lost."""
        if not isinstance(failure, OutcomeUnknown):
            return None
        found = await self.database.read(
            lambda connection: _tables.find_entry(connection, line.entry)
        )
        known = None if found is None else verdict(line.ask, found)
        return known if isinstance(known, Paid) else None

    async def _read_again(self, doubt: Doubt, call: Call[T]) -> T:
        """Try whether this version can read what an earlier one could not."""
        reply = doubt.reply
        if reply is None:
            raise doubt.error
        try:
            answer = call.read(reply)
        except MemoriesError:
            raise doubt.error from None
        await self.database.write(
            lambda connection: _tables.finish(connection, doubt.entry, reply.status, reply.body)
        )
        return answer


async def _asked(call: Call[Any], account: str, price: float | None) -> Ask:
    # Hashing a video takes a while; a thread for a prompt would take longer than its hash.
    has_media = isinstance(call.body, Form) and bool(call.body.media)
    if has_media:
        return await asyncio.to_thread(ask_for, call, account, price=price)
    return ask_for(call, account, price=price)
