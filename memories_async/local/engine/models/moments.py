"""Which moments of a video a model should see: 8 to 16 middles of shots, long ones cut in parts."""

from __future__ import annotations

from memories_async.local.engine.protocol import Facts

__all__ = ["moments"]

_FEWEST, _MOST = 8, 16


def moments(facts: Facts) -> tuple[float, ...]:
    """Give the times to look at, in seconds, rising."""
    parts = [(shot.start_time, shot.end_time) for shot in facts.shots]
    while len(parts) < _FEWEST:
        start, end = max(parts, key=_length)
        at = parts.index((start, end))
        parts[at : at + 1] = [(start, (start + end) / 2), ((start + end) / 2, end)]
    longest = sorted(parts, key=_length, reverse=True)[:_MOST]
    return tuple(sorted((start + end) / 2 for start, end in longest))


def _length(part: tuple[float, float]) -> float:
    return part[1] - part[0]
