"""Accounts: their keys, their points, and the statement of what they paid.

A call that succeeds takes its points when the answer is ready, before the reply is sent, so a reply
that is lost on the way is paid. A refused request costs nothing. A caption or upload that fails after
it was accepted is refunded. The service does not publish a price for every route, so a call costs
one point here unless `prices` says otherwise.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager

from attrs import Factory, define, field, frozen

from memories_async.local.state.wire import Reason, Refusal

__all__ = ["Account", "Accounts", "Hold", "StatementEntry", "check_key"]


@frozen(kw_only=True)
class StatementEntry:
    """One entry of an account's statement: a charge or a refund."""

    time: float
    """Unix time."""
    route: str
    points: int
    """Points taken; negative for a refund."""
    item: str
    """What was paid for: the id of a video, an asset or a task."""


@define(kw_only=True, eq=False)
class Account:
    """A customer of the service: keys, points and the statement."""

    keys: frozenset[str] = field(repr=False)
    caption_keys: frozenset[str] = field(repr=False)
    """Keys of the caption host, which issues its own."""
    starting_points: int
    prices: Mapping[str, int] = Factory(dict[str, int])
    points: int = field(init=False)
    """The balance; it can be set."""
    disabled: bool = False
    """True refuses every call with code 0403; it can be set."""
    calls: int = 0
    """Requests that reached a route, refused ones included. Requests with an unknown key count for
    the first account."""
    _statement: list[StatementEntry] = field(init=False, factory=list[StatementEntry], repr=False)
    _held: int = field(init=False, default=0, repr=False)

    def __attrs_post_init__(self) -> None:
        """Start with the starting points."""
        self.points = self.starting_points

    @property
    def statement(self) -> tuple[StatementEntry, ...]:
        """Every charge and refund, oldest first."""
        return tuple(self._statement)

    @property
    def paid(self) -> int:
        """Number of calls charged, minus those refunded."""
        return sum(1 if entry.points >= 0 else -1 for entry in self._statement)

    @property
    def points_spent(self) -> int:
        """Points charged, minus those refunded."""
        return sum(entry.points for entry in self._statement)

    @contextmanager
    def hold(self, route: str) -> Generator[Hold]:
        """Reserve the price of *route* while its work is done, so that no two calls spend it."""
        price = self.prices.get(route, 1)
        if self.points - self._held < price:
            raise Refusal(Reason.NO_POINTS, "There are not enough points left in the account.")
        self._held += price
        try:
            yield Hold(account=self, route=route, price=price)
        finally:
            self._held -= price

    def record(self, route: str, points: int, item: str) -> None:
        """Take *points* from the balance and add an entry to the statement."""
        self.points -= points
        entry = StatementEntry(time=time.time(), route=route, points=points, item=item)
        self._statement.append(entry)

    def reset(self) -> None:
        """Forget every call, and restore the starting points."""
        self.points, self.calls, self.disabled = self.starting_points, 0, False
        self._statement.clear()


@frozen(kw_only=True)
class Hold:
    """The reserved price of one call."""

    account: Account
    route: str
    price: int

    def charge(self, item: str) -> None:
        """Charge the call: its work on *item* is done."""
        self.account.record(self.route, self.price, item)

    def refund(self, item: str) -> None:
        """Refund the call: the accepted work on *item* failed."""
        self.account.record(self.route, -self.price, item)


@define(eq=False)
class Accounts:
    """All accounts of one service."""

    _all: list[Account] = Factory(list[Account])

    def open(
        self, *, key: str | None, caption_key: str | None, points: int, prices: Mapping[str, int]
    ) -> Account:
        """Add an account. A missing *key* is generated; a missing *caption_key* is the same key."""
        general = check_key(key) if key is not None else f"local-{secrets.token_hex(12)}"
        captions = general if caption_key is None else check_key(caption_key)
        if any({general, captions} & (one.keys | one.caption_keys) for one in self._all):
            raise ValueError("another account has this key already")
        account = Account(
            keys=frozenset({general}),
            caption_keys=frozenset({captions}),
            starting_points=points,
            prices=prices,
        )
        self._all.append(account)
        return account

    def find(self, key: str) -> Account | None:
        """Find the account that *key* belongs to, on any host."""
        return next((one for one in self._all if key in one.keys | one.caption_keys), None)

    @property
    def first(self) -> Account:
        """The account that the service was created with."""
        return self._all[0]

    def reset(self) -> None:
        """Reset every account."""
        for account in self._all:
            account.reset()


def check_key(key: str) -> str:
    """Return *key*; raise `ValueError` where it cannot be sent or looks like a real one."""
    if key.lower().startswith("sk-"):
        raise ValueError(
            "the key starts with 'sk-' and looks real; the embedded service takes made-up keys only"
        )
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise ValueError("the key must be of visible ASCII characters, without a space")
    return key
