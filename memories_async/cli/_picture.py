"""Drawing a search as one picture: the query, a timeline of the scores, the matching frames."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from attrs import define, field, frozen

from memories_async import Clip
from memories_async.cli._canvas import Box, Canvas, Colour, measure, shorten
from memories_async.cli._screen import count_noun
from memories_async.cli._stills import Stills, take_stills
from memories_async.local.engine._cv import Picture, cv2
from memories_async.local.engine.video.picture import decode

_WIDTH, _EDGE = 1600, 64
_INNER = _WIDTH - 2 * _EDGE
_PAPER: Colour = (255, 255, 255)
_INK: Colour = (48, 36, 27)
_DIM: Colour = (132, 118, 107)
_LINE: Colour = (236, 231, 227)
_BEST: Colour = (22, 115, 249)
_OTHER: Colour = (235, 130, 59)
_QUERY: Box = (_EDGE, 56, 400, 236)
_STRIP: Box = (_EDGE, 348, _INNER, 96)
_CHART: Box = (_EDGE, 476, _INNER, 180)
_CARDS = 756
_COLUMNS, _MOST, _GAP = 4, 8, 24
_CARD = (_INNER - (_COLUMNS - 1) * _GAP) // _COLUMNS
_CAPTION = 84
_STEPS = (0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200)
_TICKS = 12


@frozen(kw_only=True)
class AnsweredSearch:
    """A search and its answer."""

    image: Path
    prompt: str
    video: Path
    clips: tuple[Clip, ...]


def draw_search(search: AnsweredSearch, out: Path) -> None:
    """Draw *search* into the file *out*. Raises `EngineError` for what cannot be decoded."""
    clips = tuple(sorted(search.clips, key=lambda clip: -clip.score))
    spans = [(clip.start_time, clip.end_time) for clip in clips[:_MOST]]
    image = decode(search.image.read_bytes())
    stills = take_stills(search.video, spans, image)
    height, width = stills.overview[0].shape[:2]
    card = round(_CARD * min(1.0, height / width))
    rows = -(-len(spans) // _COLUMNS)
    canvas = Canvas.blank((_WIDTH, _CARDS + rows * (card + _CAPTION) + 24), _PAPER)
    drawing = _Drawing(canvas, search, image, stills, clips)
    drawing.draw_head()
    drawing.draw_strip()
    drawing.draw_chart()
    for place, still in enumerate(stills.frames):
        column, row = place % _COLUMNS, place // _COLUMNS
        corner = (_EDGE + column * (_CARD + _GAP), _CARDS + row * (card + _CAPTION))
        drawing.draw_card(place, still, (*corner, _CARD, card))
    _, encoded = cv2.imencode(out.suffix, canvas.pixels)
    out.write_bytes(encoded.tobytes())


@define(eq=False)
class _Drawing:
    canvas: Canvas
    search: AnsweredSearch
    image: Picture
    stills: Stills
    clips: tuple[Clip, ...]
    """The best first."""
    spans: list[tuple[int, int]] = field(init=False)
    """Where each clip is on the timeline, in pixels: at least 8 wide, and within it."""

    def __attrs_post_init__(self) -> None:
        self.spans = []
        for clip in self.clips:
            start, end = self.locate(clip.start_time), self.locate(clip.end_time)
            start = min(start, _INNER - 8)
            self.spans.append((_EDGE + start, _EDGE + max(end, start + 8)))

    def locate(self, time: float) -> int:
        """Return the pixel of second *time* on the timeline, within it."""
        return round(_INNER * min(max(time / self.stills.duration, 0.0), 1.0))

    def draw_head(self) -> None:
        """Draw the query picture, the prompt and the verdict."""
        covered = self.canvas.paste(self.image, _QUERY, whole=True)
        left = covered[0] + covered[2] + 40
        room = _WIDTH - _EDGE - left
        prompt = " ".join(self.search.prompt.split())
        sizes = (size for size in (42, 34, 28) if measure(prompt, size=size, bold=True) <= room)
        if self.clips:
            count = count_noun(len(self.clips), "clip")
            more = f", the best {_MOST} below" if len(self.clips) > _MOST else ""
            best = self.clips[0]
            at = format_time(best.start_time)
            verdict = f"{count}{more}; best score {best.score:.2f} at {at}"
        else:
            verdict = "No clip matches."
        duration = format_time(self.stills.duration)
        lines = (
            ("Where in the video is this?", 84, _DIM, 24, False),
            (prompt, 144, _INK, next(sizes, 28), True),
            (f"{self.search.video.name}, {duration}", 204, _INK, 26, False),
            (verdict, 246, _BEST if self.clips else _DIM, 26, True),
        )
        for text, line, colour, size, bold in lines:
            short = shorten(text, room, size=size, bold=bold)
            self.canvas.write(short, (left, line), colour, size=size, bold=bold)

    def draw_strip(self) -> None:
        """Draw the whole video as a strip of stills, pale outside the clips."""
        left, top, width, height = _STRIP
        self.draw_reel((left, left + width))
        self.canvas.fill(_STRIP, _PAPER, strength=0.62)
        for rank, (start, end) in self.worst_first():
            # The stills of a clip begin at its start, so that none is from before it.
            self.draw_reel((start, end))
            self.canvas.frame((start, top, end - start, height), choose_colour(rank), wide=4)

    def draw_reel(self, span: tuple[int, int]) -> None:
        """Fill a stretch of the strip with stills of equal width."""
        start, end = span
        _, top, _, strip = _STRIP
        height, width = self.stills.overview[0].shape[:2]
        count = max(1, round((end - start) * height / (strip * width)))
        edges = [start + (end - start) * place // count for place in range(count + 1)]
        for left, right in pairwise(edges):
            time = ((left + right) / 2 - _EDGE) / _INNER * self.stills.duration
            self.canvas.paste(self.stills.at(time), (left, top, right - left, strip))

    def draw_chart(self) -> None:
        """Draw each clip as a bar: its time across, its score upwards."""
        left, top, width, height = _CHART
        canvas = self.canvas
        for score in (0.0, 0.5, 1.0):
            line = round(top + height * (1 - score))
            canvas.fill((left, line, width, 2), _LINE)
            canvas.write(f"{score:g}", (left - 36, line + 7), _DIM, size=20)
        bars = [round(height * limit_score(clip)) for clip in self.clips]
        for rank, (start, end) in self.worst_first():
            high = max(4, bars[rank])
            bar = (start, top + height - high, end - start, high)
            canvas.fill(bar, choose_colour(rank), strength=0.22)
            canvas.fill((*bar[:3], 4), choose_colour(rank))
        for rank, (start, end) in self.worst_first():
            if rank < _MOST:
                line = min(top + height - bars[rank] + 26, top + height - 20)
                self.draw_badge(((start + end) // 2, line), rank)
        self.draw_axis()

    def draw_axis(self) -> None:
        """Draw the times below the chart."""
        left, top, width, height = _CHART
        duration = self.stills.duration
        step = next((step for step in _STEPS if duration / step <= _TICKS), duration / _TICKS)
        for tick in range(int(duration / step) + 1):
            across = left + round(width * tick * step / duration)
            self.canvas.fill((min(across, left + width - 2), top + height, 2, 10), _DIM)
            text = format_time(tick * step)
            half = measure(text, size=20) // 2
            start = min(max(across - half, left), left + width - 2 * half)
            self.canvas.write(text, (start, top + height + 34), _DIM, size=20)

    def draw_card(self, rank: int, still: Picture, box: Box) -> None:
        """Draw one clip: its still, its times and its score."""
        left, top, width, height = box
        canvas, clip, colour = self.canvas, self.clips[rank], choose_colour(rank)
        canvas.fill(box, _LINE)
        canvas.paste(still, box)
        if rank == 0:
            canvas.frame(box, _BEST, wide=5)
        self.draw_badge((left + 30, top + 30), rank)
        times = f"{format_time(clip.start_time)} - {format_time(clip.end_time)}"
        canvas.write(times, (left, top + height + 32), _INK, size=24)
        score = f"{clip.score:.2f}"
        across = left + width - measure(score, size=24, bold=True)
        canvas.write(score, (across, top + height + 32), colour, size=24, bold=True)
        canvas.fill((left, top + height + 46, width, 6), _LINE)
        canvas.fill((left, top + height + 46, round(width * limit_score(clip)), 6), colour)

    def draw_badge(self, middle: tuple[int, int], rank: int) -> None:
        """Draw a clip's place in a disc."""
        self.canvas.disc(middle, 19, _PAPER)
        self.canvas.disc(middle, 16, choose_colour(rank))
        text = str(rank + 1)
        half = measure(text, size=20, bold=True) // 2
        corner = (middle[0] - half, middle[1] + 7)
        self.canvas.write(text, corner, _PAPER, size=20, bold=True)

    def worst_first(self) -> Iterator[tuple[int, tuple[int, int]]]:
        """Yield ranks and spans, the best last: it is drawn over the others."""
        return iter(reversed([*enumerate(self.spans)]))


def choose_colour(rank: int) -> Colour:
    """Return the colour of a clip: the best has its own."""
    return _BEST if rank == 0 else _OTHER


def limit_score(clip: Clip) -> float:
    """Return a clip's score, within 0 and 1."""
    return min(max(clip.score, 0.0), 1.0)


def format_time(seconds: float) -> str:
    """Write a time as video players do, with tenths unless they are zero."""
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    text = f"{rest // 10:02}" + (f".{rest % 10}" if rest % 10 else "")
    return f"{hours}:{minutes:02}:{text}" if hours else f"{minutes}:{text}"
