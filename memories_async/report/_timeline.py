"""Places the clips of a search, and round times, on a timeline."""

from __future__ import annotations

from attrs import frozen

from memories_async.clips import Clip

BAND = 96
"""Height of the band of a timeline in pixels: that of a bar with score 1."""
_MOST_TICKS = 6
_NARROWEST, _LOWEST = 0.4, 4.0
"""The least width of a bar in percent, and its least height in pixels."""
_NUMBERED = (2.2, 17.0)
"""Width in percent and height in pixels of a bar from which there is room for its number."""
_STEPS = (0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 43_200)
"""Seconds between two ticks of a timeline."""


@frozen(kw_only=True)
class ClipView:
    """One clip as a bar on the timeline and as a card."""

    id: str
    rank: int
    """1 is the best."""
    start: str
    end: str
    score: str
    label: str
    x: float
    width: float
    """Where its bar begins and how wide it is, in percent of the timeline."""
    height: float
    """In pixels, of `BAND`."""
    number: float | None
    """Where the rank stands, in percent; None where the bar has no room for it."""
    still: str = ""
    source: str = ""
    seconds: tuple[float, float] = (0.0, 0.0)
    """Where the clip begins and ends in its source."""


@frozen(kw_only=True)
class Tick:
    """A time below a timeline."""

    x: float
    """In percent."""
    anchor: str
    label: str


def place_clip(search: str, at: int, clip: Clip, duration: float) -> ClipView:
    """Place the clip with index *at*, the best first, on the timeline of *duration* seconds."""
    left = min(max(clip.start_time / duration, 0.0), 1.0) * 100
    right = min(max(clip.end_time / duration, 0.0), 1.0) * 100
    width = max(_NARROWEST, right - left)
    height = max(_LOWEST, min(max(clip.score, 0.0), 1.0) * BAND)
    x = min(left, 100 - width)
    has_room = width >= _NUMBERED[0] and height >= _NUMBERED[1]
    times = f"{format_time(clip.start_time)}\N{EN DASH}{format_time(clip.end_time)}"
    return ClipView(
        id=f"{search}-{at}",
        rank=at + 1,
        start=f"{clip.start_time:.2f}",
        end=f"{clip.end_time:.2f}",
        score=f"{clip.score:.3f}",
        label=f"{times}, score {clip.score:.2f}",
        x=round(x, 2),
        width=round(width, 2),
        height=round(height, 1),
        number=round(x + width / 2, 2) if has_room else None,
    )


def build_ticks(duration: float) -> tuple[Tick, ...]:
    """Place round times below a timeline of *duration* seconds."""
    step = next((step for step in _STEPS if duration / step <= _MOST_TICKS), duration / _MOST_TICKS)
    ticks: list[Tick] = []
    for at in range(int(duration / step + 1e-9) + 1):
        share = round(min(100.0, at * step / duration * 100), 2)
        # The last one ends with the timeline.
        anchor = "start" if at == 0 else "end" if share > 96 else "middle"  # noqa: PLR2004
        ticks.append(Tick(x=share, anchor=anchor, label=format_time(at * step)))
    return tuple(ticks)


def format_time(seconds: float) -> str:
    """Write a position in a video, such as 1:05, 1:05.4 or 1:02:03: tenths where there are any."""
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    text = f"{rest // 10:02}" + (f".{rest % 10}" if rest % 10 else "")
    return f"{hours}:{minutes:02}:{text}" if hours else f"{minutes}:{text}"
