"""Rate limits: a sliding window for each account and endpoint family. Pure: the clock is passed in.

A request counts when it is admitted, whatever becomes of it later. A request that is refused does not
count, so that a caller that backs off is admitted again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Mapping

from attrs import Factory, define, frozen

__all__ = ["DOCUMENTED", "Rate", "SlidingWindows", "parse_rates"]

GRACE = 0.1
"""Share of a window by which a request may come early. A client spaces what it sends; the service
sees what arrives, and a loopback network under load moves arrivals by some hundredths of a second."""


@frozen
class Rate:
    """At most *count* requests in any *per* seconds."""

    count: int = 1
    per: float = 1.0


# The families have the names of `memories_async.Limits`. The figures are those of the page
# "Rate limits" for searches, embeddings, videos and assets, and of its October 2025 version for
# captions. No page states one for `get_metadata`; it gets that of its neighbours.
DOCUMENTED: Mapping[str, Rate] = {
    "search": Rate(),
    "captions": Rate(),
    "embeddings": Rate(),
    "video_upload": Rate(1, 60.0),
    "video_metadata": Rate(),
    "video_list": Rate(5),
    "video_delete": Rate(5),
    "video_download": Rate(12, per=60),
    "asset_upload": Rate(),
    "asset_metadata": Rate(),
    "asset_delete": Rate(),
    "asset_download": Rate(),
}


@define(eq=False)
class SlidingWindows:
    """When the latest requests of each account and family were admitted."""

    rates: Mapping[str, Rate]
    _admitted: dict[tuple[Hashable, str], deque[float]] = Factory(
        dict[tuple[Hashable, str], deque[float]]
    )

    def admit(self, account: Hashable, family: str, now: float) -> bool:
        """Admit a request that arrived at *now*; False where the window is full."""
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
        """Forget what was admitted."""
        self._admitted.clear()


def parse_rates(limits: Mapping[str, Rate | float] | Rate | float | None) -> Mapping[str, Rate]:
    """Read a `limits` argument: None, one rate for all families, or a rate for each by name.

    A number means so many requests a second; below one, one request in so many seconds. A family
    that a mapping leaves out keeps its documented limit. Raises `ValueError` for a family that does
    not exist and for a rate of zero or less.
    """
    if limits is None:
        return {}
    if isinstance(limits, Mapping):
        unknown = ", ".join(sorted(set(limits) - set(DOCUMENTED)))
        if unknown:
            raise ValueError(f"no such endpoint family: {unknown}; there are {[*DOCUMENTED]}")
        return {**DOCUMENTED, **{name: _parse_rate(rate) for name, rate in limits.items()}}
    return dict.fromkeys(DOCUMENTED, _parse_rate(limits))


def _parse_rate(rate: Rate | float) -> Rate:
    if isinstance(rate, Rate):
        return rate
    if not rate > 0:
        raise ValueError(f"a rate must be above zero, not {rate}; None means no limit")
    return Rate(max(1, int(rate)), max(1, int(rate)) / rate)
