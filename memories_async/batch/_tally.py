"""Counts a batch's outcomes and estimates the time left. The clock is passed in."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from typing import Any

from attrs import define, field

from memories_async.batch._values import Outcome, Progress
from memories_async.errors import Billed, OutcomeUnknown, PaidElsewhere, Refused
from memories_async.limiter import Limits

WINDOW = 60.0
"""Seconds over which the rate is measured."""
MEASURED = 5.0
"""Seconds from which the observed rate is used to estimate the time left."""
_KINDS = ("done", "replayed", "refused", "unknown", "unsent")


@define(eq=False)
class Tally:
    """The counts of one run."""

    limits: Limits
    clock: Callable[[], float]
    total: int | None = None
    price: Callable[[str | None], float | None] = field(default=lambda _: None)
    in_flight: int = field(default=0, init=False)
    waiting: int = field(default=0, init=False)
    _began: float = field(init=False)
    _kinds: Counter[str] = field(factory=Counter[str], init=False)
    _sent: int = field(default=0, init=False)
    """Items that needed a request."""
    _families: Counter[str] = field(factory=Counter[str], init=False)
    """The requests that they needed, by endpoint family."""
    _recent: deque[tuple[float, int]] = field(factory=deque[tuple[float, int]], init=False)
    """How many items had needed a request, once a second over the window."""
    _points: float | None = field(default=None, init=False)
    _at_risk: float | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._began = self.clock()

    def count(self, outcome: Outcome[Any, Any]) -> None:
        """Add one item."""
        self._kinds[_classify(outcome)] += 1
        sent = [
            (one, one.call)
            for one in (outcome, outcome.upload)
            if one is not None
            and one.call is not None
            and not (one.replayed or isinstance(one.error, PaidElsewhere))
        ]
        if not sent:
            return
        self._sent += 1
        for one, call in sent:
            self._families[call.family] += 1
            self._add_price(call.unit, one.billed)
        now = self.clock()
        if not self._recent or now - self._recent[-1][0] >= 1.0:
            self._recent.append((now, self._sent))
        while now - self._recent[0][0] > WINDOW:
            self._recent.popleft()

    def _add_price(self, unit: str | None, billed: Billed) -> None:
        price = self.price(unit)
        if price is not None and billed == "yes":
            self._points = (self._points or 0.0) + price
        if price is not None and billed == "maybe":
            self._at_risk = (self._at_risk or 0.0) + price

    def progress(self) -> Progress:
        """Build the progress as of now."""
        now, rate, is_measured = self.clock(), 0.0, False
        if self._recent:
            then, count = self._recent[0]
            rate = (self._sent - count) / max(now - then, 1.0)
            is_measured = now - then >= MEASURED and rate > 0
        remaining = None if self.total is None else self.total - self._kinds.total()
        return Progress(
            total=self.total,
            **{name: self._kinds[name] for name in _KINDS},
            in_flight=self.in_flight,
            waiting=self.waiting,
            elapsed=now - self._began,
            rate=rate,
            seconds_left=None
            if remaining is None
            else self._estimate(remaining, rate if is_measured else None),
            points=self._points,
            points_at_risk=self._at_risk,
        )

    def _estimate(self, items: int, rate: float | None) -> float | None:
        """Seconds for *items* more that need a request, mixed as those so far.

        The slower of the limits and the observed *rate* decides. None before the first request.
        """
        sent = self._sent
        if items <= 0 or not sent:
            return 0.0 if items <= 0 else None
        at_limits = max(
            items * count / sent * self.limits.of(name).interval
            for name, count in self._families.items()
        )
        return at_limits if rate is None else max(at_limits, items / rate)


def _classify(outcome: Outcome[Any, Any]) -> str:
    error = outcome.error
    if error is None:
        return "replayed" if outcome.replayed else "done"
    if isinstance(error, Refused):
        return "refused"
    return "unknown" if isinstance(error, OutcomeUnknown) or outcome.billed != "no" else "unsent"
