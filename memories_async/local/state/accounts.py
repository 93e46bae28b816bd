"""Accounts: who may call, what a call costs, and the book that says what was paid.

A point is taken when an answer is ready, before it is sent: a reply that is lost on the way is
paid all the same. A refused request costs nothing. A caption is paid when it is accepted, and paid
back when it fails later. The real prices are not published for all routes, so every call costs one
point here, unless `prices` says otherwise.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager

from attrs import Factory, define, field, frozen

from memories_async.local.state.wire import Reason, Refusal

__all__ = ["Account", "Accounts", "Entry", "checked_key"]


@frozen(kw_only=True)
class Entry:
    """One line of an account's book."""

    time: float
    """Unix time."""
    route: str
    points: int
    """Points taken; negative when paid back."""
    item: str
    """What was paid for: a video, an asset or a task."""


@define(kw_only=True, eq=False)
class Account:
    """A customer: keys, points and the record of what was asked and paid."""

    keys: frozenset[str] = field(repr=False)
    caption_keys: frozenset[str] = field(repr=False)
    """What the caption host takes; the service hands out dedicated keys for it."""
    starting_points: int
    prices: Mapping[str, int] = Factory(dict[str, int])
    points: int = field(init=False)
    """The balance; set it to try what happens at zero."""
    disabled: bool = False
    calls: int = 0
    """Requests that reached a route, whatever became of them; those whose key is nobody's count
    for the first account."""
    _book: list[Entry] = field(init=False, factory=list[Entry], repr=False)
    _held: int = field(init=False, default=0, repr=False)

    def __attrs_post_init__(self) -> None:
        """Open the account with its starting points."""
        self.points = self.starting_points

    @property
    def book(self) -> tuple[Entry, ...]:
        """Every payment, oldest first."""
        return tuple(self._book)

    @property
    def paid(self) -> int:
        """Calls that were billed, less those paid back."""
        return sum(1 if entry.points >= 0 else -1 for entry in self._book)

    @property
    def points_spent(self) -> int:
        """Points taken, less those paid back."""
        return sum(entry.points for entry in self._book)

    @contextmanager
    def purse(self, route: str) -> Generator[Purse]:
        """Hold the price of *route* back while the work is done, so that no two calls share it."""
        price = self.prices.get(route, 1)
        if self.points - self._held < price:
            raise Refusal(Reason.NO_POINTS, "There are not enough points left in the account.")
        self._held += price
        try:
            yield Purse(account=self, route=route, price=price)
        finally:
            self._held -= price

    def enter(self, route: str, points: int, item: str) -> None:
        """Take *points* and write it into the book."""
        self.points -= points
        self._book.append(Entry(time=time.time(), route=route, points=points, item=item))

    def reset(self) -> None:
        """Forget every call, and restore the starting points."""
        self.points, self.calls, self.disabled = self.starting_points, 0, False
        self._book.clear()


@frozen(kw_only=True)
class Purse:
    """The price of one call, held until it is due."""

    account: Account
    route: str
    price: int

    def pay(self, item: str) -> None:
        """Bill the call: its work on *item* is done."""
        self.account.enter(self.route, self.price, item)

    def pay_back(self, item: str) -> None:
        """Undo the bill: the accepted work on *item* failed."""
        self.account.enter(self.route, -self.price, item)


@define(eq=False)
class Accounts:
    """All accounts of one service; the first is the one that tests look at."""

    _all: list[Account] = Factory(list[Account])

    def open(
        self,
        *,
        key: str | None,
        caption_key: str | None,
        points: int,
        prices: Mapping[str, int],
    ) -> Account:
        """Add an account; a missing key is made up, and opens every host."""
        general = checked_key(key) if key is not None else f"local-{secrets.token_hex(12)}"
        captions = general if caption_key is None else checked_key(caption_key)
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

    def holding(self, key: str) -> Account | None:
        """Find whose *key* it is, on whichever host."""
        return next((one for one in self._all if key in one.keys | one.caption_keys), None)

    @property
    def first(self) -> Account:
        """The account that the service was made with."""
        return self._all[0]

    def reset(self) -> None:
        """Reset every account."""
        for account in self._all:
            account.reset()


def checked_key(key: str) -> str:
    """Return *key*, or refuse one that cannot be sent or that looks like a real one."""
    if key.lower().startswith("sk-"):
        raise ValueError(
            "the key starts with 'sk-' and looks real; the embedded service takes made-up keys only"
        )
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise ValueError("the key must be of visible ASCII characters, without a space")
    return key
