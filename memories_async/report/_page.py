"""Builds what the template shows: pictures, positions and texts of one page."""

from __future__ import annotations

import math
import os
import re
from array import array
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path, PurePath
from urllib.parse import quote

from attrs import define, evolve, field, frozen
from markupsafe import Markup

from memories_async.clips import Clip
from memories_async.report._content import CaptionItem, Content, SearchItem, sort_clips
from memories_async.report._map import MOST_DOTS
from memories_async.report._pictures import Pictures
from memories_async.report._timeline import ClipView, Tick, build_ticks, format_time, place_clips

CHART = (1000, 160)
"""Width and height of the chart of what was paid."""
_STRIP, _CARDS, _ROWS, _POINTS = 10, 6, 40, 200
_FEW = 5
"""Searches for whose stills several frames are decoded and compared."""
_LONGEST_NAME = 80
_HASH = re.compile(r"[0-9a-f]{40}")


@frozen(kw_only=True)
class SearchView:
    """A search with its timeline."""

    id: str
    prompt: str
    film: str
    """The name of the film's file, or what else is known of it."""
    video: str
    """The `video_no`."""
    item: str | None
    is_found: bool
    """Whether the video's file is among the media."""
    length: str
    """The length of the film, empty without its file."""
    query: str
    strip: tuple[str, ...]
    ticks: tuple[Tick, ...]
    cards: tuple[ClipView, ...]
    clips: tuple[ClipView, ...]
    more: int
    """Clips that are not listed."""
    unplayable: str
    """What of a linked file most browsers do not play."""


@frozen(kw_only=True)
class CaptionView:
    """A caption with a still of its video."""

    item: CaptionItem
    name: str
    is_found: bool
    """Whether the video's file is among the media."""
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
    progress: Callable[[int, int], None] | None = None
    """Called with the parts that are built, and their number."""
    built: int = field(default=0, init=False)
    linked: int = field(default=0, init=False)
    """Clips that play from the video's own file."""
    missing: set[str] = field(factory=set[str], init=False)
    """Names of the videos whose files are not among the media."""

    def build_searches(self) -> list[SearchView]:
        """Build the searches, the newest first."""
        newest_first = reversed(self.content.searches)
        return [self.build_search(f"s{at}", one) for at, one in enumerate(newest_first)]

    def _tell_built(self) -> None:
        if self.progress is not None:
            self.built += 1
            content = self.content
            dots = min(content.embedding_count, MOST_DOTS)
            count = len(content.searches) + len(content.captions) + dots
            self.progress(min(self.built, count), count)

    def build_captions(self) -> list[CaptionView]:
        """Build the captions, the newest first."""
        return [self._build_caption(one) for one in reversed(self.content.captions)]

    def find_file(self, *keys: str) -> Path | None:
        """Find the file of a video by its ids, its item, its content, and its name in the library."""
        contents, names = self._resolve(keys)
        for known in (*keys, *contents, *names, *(PurePath(name).name for name in names)):
            if known in self.media:
                return self.media[known]
        self.missing.add(self.find_name(*keys))
        return None

    def find_name(self, *keys: str) -> str:
        """Return the best known name of a video: of its file, in the library, its URL, item or id."""
        contents, names = self._resolve(keys)
        files = [self.media[key].name for key in (*keys, *contents) if key in self.media]
        hashes = [key for key in keys if _HASH.fullmatch(key)]
        plain = [key for key in keys if key and key not in hashes]
        unnamed = [f"the content with the hash {key[:12]}" for key in hashes]
        return cut_middle(next(iter((*files, *names, *plain, *unnamed)), "a video"), _LONGEST_NAME)

    def _resolve(self, keys: Sequence[str]) -> tuple[list[str], list[str]]:
        """Return the contents, and the names, that the ledger knows of a video."""
        names, hashes = self.content.names, self.content.hashes
        contents = [hashes[key] for key in keys if key in hashes]
        return contents, [names[key] for key in (*keys, *contents) if key in names]

    def find_still(self, *keys: str, width: int = 200) -> str:
        """Return a still from the middle of the video of *keys*, empty without its file."""
        self._tell_built()
        video = self.find_file(*keys)
        if video is None:
            return ""
        return self.pictures.take_stills(video, [self.pictures.measure(video) / 2], width=width)[0]

    def build_search(self, id_: str, search: SearchItem) -> SearchView:
        """Build one search, whose element has the id *id_*."""
        self._tell_built()
        clips = sort_clips(search.clips)
        keys = (search.video, search.item or "")
        video = self.find_file(*keys)
        known = 0.0 if video is None else self.pictures.measure(video)
        duration = max([known, *(clip.end_time for clip in clips)], default=0.0) or 1.0
        views = place_clips(id_, clips[:_ROWS], duration)
        strip: list[str] = []
        cards: list[ClipView] = []
        if video is not None and known:
            wide = self.pictures.wide
            times = [known * (at + 0.5) / _STRIP for at in range(_STRIP)]
            shown = self._choose_times(video, search, clips[:_CARDS])
            strip = self.pictures.take_stills(video, times, width=wide * 3 // 8, others=shown)
            stills = self.pictures.take_stills(video, shown, width=wide)
            cards = [
                self._build_card(view, clip, video, still)
                for view, clip, still in zip(views, clips, stills, strict=False)
            ]
        is_linked = video is not None and not self.embed_clips
        return SearchView(
            id=id_,
            prompt=search.prompt,
            film=self.find_name(*keys) if video is None else cut_middle(video.name, _LONGEST_NAME),
            video=search.video,
            item=search.item,
            is_found=video is not None,
            length=format_time(known) if known else "",
            query=self._find_query(search),
            strip=tuple(one for one in strip if one),
            ticks=build_ticks(duration),
            cards=tuple(cards),
            clips=tuple(views),
            more=len(clips) - len(views),
            unplayable=self.pictures.explain_unplayable(video) if video and is_linked else "",
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

    def _choose_times(self, video: Path, search: SearchItem, clips: Sequence[Clip]) -> list[float]:
        """Choose the time of each clip's still: the middle, where there are many searches."""
        image = self._find_image(search)
        if image is None or len(self.content.searches) > _FEW:
            return [(clip.start_time + clip.end_time) / 2 for clip in clips]
        spans = [(clip.start_time, clip.end_time) for clip in clips]
        return self.pictures.choose_times(video, spans, image)

    def _find_query(self, search: SearchItem) -> str:
        image = self._find_image(search)
        return "" if image is None else self.pictures.shrink(image, width=self.pictures.wide)

    def _find_image(self, search: SearchItem) -> bytes | Path | None:
        given = search.image
        return self.media.get(given) if isinstance(given, str) else given

    def _build_caption(self, item: CaptionItem) -> CaptionView:
        keys = (item.source or "", item.item or "")
        video = self.find_file(*keys)
        return CaptionView(
            item=item,
            name=self.find_name(*keys) if video is None else cut_middle(video.name, _LONGEST_NAME),
            is_found=video is not None,
            still=self.find_still(*keys),
        )


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


def cut_middle(text: str, length: int) -> str:
    """Cut the middle out of a long name, of which begin and end tell most."""
    if len(text) <= length:
        return text
    end = length // 3
    return f"{text[: length - end - 1]}\N{HORIZONTAL ELLIPSIS}{text[-end:]}"


def _link(video: Path, folder: Path | None) -> str:
    """Return the URL of a file, relative to *folder* where that is possible."""
    whole = video.absolute()
    if folder is not None:
        try:
            return quote(Path(os.path.relpath(whole, folder.absolute())).as_posix())
        except ValueError:
            pass  # another drive of Windows
    return whole.as_uri()
