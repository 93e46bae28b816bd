"""A cap on spending: reserved before a call is sent, settled after, refused where it would be passed.

Prices are the user's own data; the service publishes no complete list.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, NoReturn

from attrs import define, evolve, field, frozen

from memories_async._protocol.arguments import NOT_NEGATIVE, WHOLE
from memories_async._protocol.call import Call
from memories_async._protocol.reply import Reply
from memories_async.errors import BudgetExceeded, MemoriesError


@frozen(kw_only=True)
class Spending:
    """What a budget has seen so far."""

    calls: int = 0
    """Paid for sure."""
    points: float = 0.0
    calls_at_risk: int = 0
    """Being sent right now, or sent with an unknown outcome: they count as spent."""
    points_at_risk: float = 0.0


class Budget:
    """What may be spent at most: *points*, *calls*, or both, by all clients and batches it is given to.

    *prices* say what a success costs, in points, by unit (`search`, `caption`, `embedding`, ...); a
    cap on points needs the price of everything that is sent. It counts from its own beginning, in
    this process. A call that would pass it raises `BudgetExceeded` before a byte of it is sent.
    """

    def __init__(
        self,
        *,
        points: float | None = None,
        calls: int | None = None,
        prices: Mapping[str, float] | None = None,
    ) -> None:
        if points is None and calls is None and not prices:
            raise ValueError("a Budget needs points=, calls= or prices=")
        NOT_NEGATIVE.or_none().check("points", points)
        WHOLE.or_none().check("calls", calls)
        if not isinstance(prices or {}, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers may be untyped
            raise TypeError(f"prices must be a mapping, such as {{'search': 2}}, not {prices!r}")
        for unit, price in (prices or {}).items():
            NOT_NEGATIVE.check(f"prices[{unit!r}]", price)
        self.points: float | None = points
        self.calls: int | None = calls
        self.prices: dict[str, float] = dict(prices or {})
        self._spending = Spending()
        self._lock = threading.Lock()

    @property
    def spending(self) -> Spending:
        """What was spent so far."""
        return self._spending

    def price(self, unit: str) -> float | None:
        """Look up what a success costs; raise `ValueError` where a cap needs a price that is missing."""
        price = self.prices.get(unit)
        if price is None and self.points is not None:
            raise ValueError(
                f"the budget in points has no price of a {unit}: prices={{{unit!r}: ...}}"
            )
        return price

    def watch(self, call: Call[Any]) -> BudgetHook | None:
        """Build the hook that counts the attempts at *call*; None for a free one.

        Raises `BudgetExceeded` where the call is too much already.
        """
        if call.unit is None:
            return None
        price = self.price(call.unit) or 0.0
        with self._lock:
            self._check(price)
        return BudgetHook(self, price)

    def reserve(self, price: float) -> None:
        """Set one call aside; raise `BudgetExceeded` where that is too much."""
        with self._lock:
            self._check(price)
            self._add(calls_at_risk=1, points_at_risk=price)

    def release(self, price: float) -> None:
        """Take a reservation back: the call was not paid."""
        with self._lock:
            self._add(calls_at_risk=-1, points_at_risk=-price)

    def charge(self, price: float) -> None:
        """Turn a reservation into a payment."""
        with self._lock:
            self._add(calls=1, points=price, calls_at_risk=-1, points_at_risk=-price)

    def _check(self, price: float) -> None:
        now = self._spending
        points = now.points + now.points_at_risk
        calls = now.calls + now.calls_at_risk
        if self.calls is not None and calls + 1 > self.calls:
            raise BudgetExceeded(f"the budget of {self.calls:,} calls is used up")
        if self.points is not None and points + price > self.points:
            raise BudgetExceeded(
                f"{price:g} points more would pass the budget of {self.points:g}; "
                f"{points:g} are spent or at risk"
            )

    def _add(self, **changes: float) -> None:
        now = self._spending
        self._spending = evolve(now, **{n: getattr(now, n) + c for n, c in changes.items()})

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Budget counts in one process; give each process a part of it")

    def __repr__(self) -> str:
        return f"Budget(points={self.points}, calls={self.calls}, prices={self.prices})"


@define(eq=False)
class BudgetHook:
    """Reserves and charges for the attempts at one call; see `AttemptHook`."""

    budget: Budget
    price: float
    _reserved: bool = field(default=False, init=False)
    _is_sent: bool = field(default=False, init=False)

    async def sending(self) -> None:
        """Set the price aside; raise `BudgetExceeded` where that is too much."""
        self.budget.reserve(self.price)
        self._reserved, self._is_sent = True, False

    def sent(self) -> None:
        """Note that the price may be charged from here on."""
        self._is_sent = True

    async def answered(self, reply: Reply) -> None:  # noqa: ARG002  # a hook's signature
        """Charge the price."""
        self.budget.charge(self.price)
        self._reserved = False

    async def failed(self, error: MemoriesError, *, final: bool) -> None:  # noqa: ARG002  # as above
        """Release what was not charged; what may have been stays set aside."""
        if self._reserved and error.billed == "no":
            self.budget.release(self.price)
        if self._reserved and error.billed == "yes":
            self.budget.charge(self.price)
        self._reserved = False

    def cancelled(self) -> None:
        """Release the price of an attempt that was not sent; another stays set aside."""
        if self._reserved and not self._is_sent:
            self.budget.release(self.price)
            self._reserved = False
