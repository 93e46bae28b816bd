"""Rate limits: a sliding window for each account and endpoint family. Pure: the clock is passed in.

A request counts when it is let in, whatever becomes of it later. A request that the limit refuses
does not count, so a caller that backs off is not starved by its own refusals.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Mapping

from attrs import Factory, define, frozen

__all__ = ["DOCUMENTED", "Rate", "Windows", "as_rates", "family_of"]

# The part of a window that a request may come early. A client limiters what it sends, the service
# sees what arrives, and a loopback network under load moves that by some hundredths of a second.
GRACE = 0.1


@frozen
class Rate:
    """At most *count* requests in any *per* seconds."""

    count: int = 1
    per: float = 1.0


# One request a second for most: the current pages' figure for searches, embeddings and assets, the
# page of October 2025 for captions, and for `get_metadata`, which is on no page, its neighbours'.
DOCUMENTED: Mapping[str, Rate] = {
    "clips": Rate(),
    "captions": Rate(),
    "embeddings": Rate(),
    "videos.upload": Rate(1, 60.0),
    "videos.metadata": Rate(),
    "videos.list": Rate(5),
    "videos.delete": Rate(5),
    "assets.upload": Rate(),
    "assets.metadata": Rate(),
    "assets.delete": Rate(),
    "assets.download": Rate(),
}


@define(eq=False)
class Windows:
    """When the latest requests of each account and family were let in."""

    rates: Mapping[str, Rate]
    _admitted: dict[tuple[Hashable, str], deque[float]] = Factory(
        dict[tuple[Hashable, str], deque[float]]
    )

    def admit(self, account: Hashable, family: str, now: float) -> bool:
        """Let a request in that arrived at *now*, unless the window is full."""
        rate = self.rates.get(family)
        if rate is None:
            return True
        window = self._admitted.setdefault((account, family), deque())
        while window and now - window[0] >= rate.per * (1 - GRACE):
            window.popleft()
        if len(window) >= rate.count:
            return False
        window.append(now)
        return True

    def reset(self) -> None:
        """Forget what was let in."""
        self._admitted.clear()


def family_of(route: str) -> str:
    """Name the family whose limit *route* counts against."""
    name = route.removesuffix("_url")
    return name if name in DOCUMENTED else name.split(".", maxsplit=1)[0]


def as_rates(limits: Mapping[str, Rate | float] | Rate | float | None) -> Mapping[str, Rate]:
    """Read what a caller may give: nothing, one rate for all families, or a rate for each.

    A plain number means so many requests a second; under one, one request in so many seconds.
    A family that a mapping leaves out keeps its documented limit.
    """
    if limits is None:
        return {}
    if isinstance(limits, Mapping):
        unknown = ", ".join(sorted(set(limits) - set(DOCUMENTED)))
        if unknown:
            raise ValueError(f"no such endpoint family: {unknown}; there are {[*DOCUMENTED]}")
        return {**DOCUMENTED, **{name: _as_rate(rate) for name, rate in limits.items()}}
    return dict.fromkeys(DOCUMENTED, _as_rate(limits))


def _as_rate(rate: Rate | float) -> Rate:
    if isinstance(rate, Rate):
        return rate
    if not rate > 0:
        raise ValueError(f"a rate must be above zero, not {rate}; None means no limit")
    return Rate(max(1, int(rate)), max(1, int(rate)) / rate)
