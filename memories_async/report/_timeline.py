"""Places the clips of a search, and round times, on a timeline."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve, frozen

from memories_async.clips import Clip

BAND = 96
"""Height of the band of a timeline in pixels: that of a bar with score 1."""
_MOST_TICKS = 6
_NARROWEST, _LOWEST = 0.4, 4.0
"""The least width of a bar in percent, and its least height in pixels."""
_NUMBER = (2.2, 17.0)
"""Width in percent, and height in pixels, that the number of a bar needs."""
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
    number: float | None = None
    """Where the rank stands, in percent; None where there is no room, or a better clip's bar."""
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


def place_clips(search: str, clips: Sequence[Clip], duration: float) -> list[ClipView]:
    """Place *clips*, the best first, on the timeline of *duration* seconds."""
    views: list[ClipView] = []
    for at, clip in enumerate(clips):
        view = _place_clip(f"{search}-{at}", at + 1, clip, duration)
        half = _NUMBER[0] / 2
        middle = view.x + view.width / 2
        # The bars of better clips lie above.
        is_free = all(one.x + one.width <= middle - half or one.x >= middle + half for one in views)
        if is_free and view.width >= _NUMBER[0] and view.height >= _NUMBER[1]:
            view = evolve(view, number=round(middle, 2))
        views.append(view)
    return views


def _place_clip(id_: str, rank: int, clip: Clip, duration: float) -> ClipView:
    left = min(max(clip.start_time / duration, 0.0), 1.0) * 100
    right = min(max(clip.end_time / duration, 0.0), 1.0) * 100
    width = max(_NARROWEST, right - left)
    height = max(_LOWEST, min(max(clip.score, 0.0), 1.0) * BAND)
    x = min(left, 100 - width)
    times = f"{format_time(clip.start_time)}\N{EN DASH}{format_time(clip.end_time)}"
    return ClipView(
        id=id_,
        rank=rank,
        start=f"{clip.start_time:.2f}",
        end=f"{clip.end_time:.2f}",
        score=f"{clip.score:.3f}",
        label=f"{times}, score {clip.score:.2f}",
        x=round(x, 2),
        width=round(width, 2),
        height=round(height, 1),
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
