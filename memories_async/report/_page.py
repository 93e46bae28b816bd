"""Builds what the template shows: pictures, positions and texts of one page."""

from __future__ import annotations

import math
import os
from array import array
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from attrs import define, evolve, field, frozen
from markupsafe import Markup

from memories_async.clips import Clip
from memories_async.report._content import CaptionItem, Content, SearchItem, sort_clips
from memories_async.report._pictures import WIDE, Pictures

CHART = (1000, 160)
"""Width and height of the chart of what was paid."""
_STRIP, _CARDS, _ROWS, _POINTS, _TICKS = 10, 6, 40, 200, 5
_SHORTEST_BAR = 4.0


@frozen(kw_only=True)
class ClipView:
    """One clip as a bar on the timeline and as a card."""

    id: str
    start: str
    end: str
    score: str
    label: str
    x: float
    width: float
    height: float
    still: str = ""
    source: str = ""
    seconds: tuple[float, float] = (0.0, 0.0)
    """Where the clip begins and ends in its source."""


@frozen(kw_only=True)
class SearchView:
    """A search with its timeline."""

    id: str
    prompt: str
    film: str
    item: str | None
    query: str
    strip: tuple[str, ...]
    ticks: tuple[str, ...]
    cards: tuple[ClipView, ...]
    clips: tuple[ClipView, ...]
    more: int
    """Clips that are not listed."""


@frozen(kw_only=True)
class CaptionView:
    """A caption with a still of its video."""

    item: CaptionItem
    name: str
    still: str


@frozen(kw_only=True)
class SpendingChart:
    """Paid calls over time, as a path."""

    line: str
    area: str
    paid: int
    ticks: tuple[tuple[float, str], ...]


@define(kw_only=True, eq=False)
class PageBuilder:
    """Builds the parts of a page that need files."""

    content: Content
    media: Mapping[str, Path]
    pictures: Pictures
    folder: Path | None
    """The folder of the page, to which the paths of videos are relative."""
    embed_clips: bool = False
    linked: int = field(default=0, init=False)
    """Clips that play from the video's own file."""

    def build_searches(self) -> list[SearchView]:
        """Build the searches, the newest first."""
        newest_first = reversed(self.content.searches)
        return [self._build_search(f"s{at}", one) for at, one in enumerate(newest_first)]

    def build_captions(self) -> list[CaptionView]:
        """Build the captions, the newest first."""
        return [self._build_caption(one) for one in reversed(self.content.captions)]

    def find_name(self, key: str) -> str:
        """Return the name of an asset's file, or the batch's key for it, or its id."""
        video = self.media.get(key)
        return self.content.names.get(key, key) if video is None else video.name

    def find_still(self, key: str, *, width: int = 200) -> str:
        """Return a still from the middle of the video under *key*, empty without its file."""
        video = self.media.get(key) or self.media.get(self.content.names.get(key, ""))
        if video is None:
            return ""
        return self.pictures.take_stills(video, [self.pictures.measure(video) / 2], width=width)[0]

    def _build_search(self, id_: str, search: SearchItem) -> SearchView:
        clips = sort_clips(search.clips)
        video = self.media.get(search.video) or self.media.get(search.item or "")
        known = 0.0 if video is None else self.pictures.measure(video)
        duration = max([known, *(clip.end_time for clip in clips)], default=0.0) or 1.0
        views = [_place(f"{id_}-{at}", clip, duration) for at, clip in enumerate(clips[:_ROWS])]
        strip: list[str] = []
        if video is not None and known:
            times = [known * (at + 0.5) / _STRIP for at in range(_STRIP)]
            middles = [(one.start_time + one.end_time) / 2 for one in clips[:_CARDS]]
            strip = self.pictures.take_stills(video, times, width=120, others=middles)
            stills = self.pictures.take_stills(video, middles, width=WIDE)
            cards = [
                self._build_card(view, clip, video, still)
                for view, clip, still in zip(views, clips, stills, strict=False)
            ]
        else:
            cards = []
        ticks = [format_time(duration * at / (_TICKS - 1)) for at in range(_TICKS)]
        return SearchView(
            id=id_,
            prompt=search.prompt,
            film=search.video if video is None else f"{video.name} ({search.video})",
            item=search.item,
            query=self._find_query(search),
            strip=tuple(one for one in strip if one),
            ticks=tuple(ticks),
            cards=tuple(cards),
            clips=tuple(views),
            more=len(clips) - len(views),
        )

    def _build_card(self, view: ClipView, clip: Clip, video: Path, still: str) -> ClipView:
        start, end = clip.start_time, max(clip.end_time, clip.start_time + 0.5)
        source, seconds = "", (start, end)
        if self.embed_clips:
            source = self.pictures.cut(video, start, end)
            seconds = (0.0, end - start)
        if not source and not self.embed_clips:
            self.linked += 1
            source = Markup(f"{_link(video, self.folder)}#t={start:.3f},{end:.3f}")  # noqa: S704  # quoted
        return evolve(view, still=still, source=source, seconds=seconds)

    def _find_query(self, search: SearchItem) -> str:
        given = search.image
        image = self.media.get(given) if isinstance(given, str) else given
        return "" if image is None else self.pictures.shrink(image, width=WIDE)

    def _build_caption(self, item: CaptionItem) -> CaptionView:
        source = item.source or ""
        video = self.media.get(source) or self.media.get(item.item or "")
        key = source if source in self.media else item.item or ""
        name = source if video is None else video.name
        return CaptionView(item=item, name=name, still=self.find_still(key))


def build_chart(content: Content) -> SpendingChart | None:
    """Build the chart of paid calls over time; None where less than two were paid."""
    times = array("d", sorted(content.paid_at))
    if len(times) < 2:  # noqa: PLR2004  # a line has two ends
        return None
    start, end = min(content.first, times[0]), max(content.last, times[-1])
    span = max(end - start, 1e-3)
    width, height = CHART
    step = max(1, len(times) // _POINTS)
    counts = sorted({*range(0, len(times), step), len(times) - 1})
    points = [(0.0, float(height))]
    for at in counts:
        x = (times[at] - start) / span * width
        points += [(x, points[-1][1]), (x, height - (at + 1) / len(times) * (height - 10))]
    points.append((float(width), points[-1][1]))
    line = "M" + " L".join(f"{x:.1f},{y:.1f}" for x, y in points)
    ticks = [(width * at / 4, f"+{format_span(span * at / 4)}") for at in range(5)]
    return SpendingChart(
        line=Markup(line),  # noqa: S704  # numbers
        area=Markup(f"{line} L{width},{height} L0,{height} Z"),  # noqa: S704
        paid=len(times),
        ticks=tuple(ticks),
    )


def format_time(seconds: float) -> str:
    """Write a position in a video, such as 1:05 or 1:02:03."""
    whole = round(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def format_span(seconds: float) -> str:
    """Write a length of time in one unit."""
    for size, unit in ((86_400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def format_moment(moment: float | None) -> str:
    """Write Unix seconds as a date and time in UTC; empty where there is none."""
    if moment is None or not math.isfinite(moment):
        return ""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def clean(text: str) -> str:
    """Replace control characters and marks that reverse text, as a terminal or page would obey them."""
    return "".join(
        c if c.isprintable() or c in "\n\u200c\u200d" else "\N{REPLACEMENT CHARACTER}" for c in text
    )


def _place(id_: str, clip: Clip, duration: float) -> ClipView:
    left = min(max(clip.start_time / duration, 0.0), 1.0) * 1000
    right = min(max(clip.end_time / duration, 0.0), 1.0) * 1000
    width = max(_SHORTEST_BAR, right - left)
    times = f"{format_time(clip.start_time)}–{format_time(clip.end_time)}"  # noqa: RUF001
    return ClipView(
        id=id_,
        start=f"{clip.start_time:.2f}",
        end=f"{clip.end_time:.2f}",
        score=f"{clip.score:.3f}",
        label=f"{times}, score {clip.score:.2f}",
        x=round(min(left, 1000 - width), 1),
        width=round(width, 1),
        height=round(max(6.0, min(max(clip.score, 0.0), 1.0) * 100), 1),
    )


def _link(video: Path, folder: Path | None) -> str:
    """Return the URL of a file, relative to *folder* where that is possible."""
    whole = video.absolute()
    if folder is not None:
        try:
            return quote(Path(os.path.relpath(whole, folder.absolute())).as_posix())
        except ValueError:
            pass  # another drive of Windows
    return whole.as_uri()
