"""A search as one picture: the query, a timeline of the scores, the matched frames."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from attrs import frozen

from memories_async import Clip
from memories_async.cli._canvas import Box, Canvas, Colour, fitted, wide
from memories_async.cli._stills import Stills, stills
from memories_async.local.engine._cv import Picture, cv2
from memories_async.local.engine.video.picture import decode

_WIDTH, _EDGE = 1600, 64
_ROOM = _WIDTH - 2 * _EDGE
_PAPER: Colour = (255, 255, 255)
_INK: Colour = (48, 36, 27)
_DIM: Colour = (132, 118, 107)
_LINE: Colour = (236, 231, 227)
_BEST: Colour = (22, 115, 249)
_OTHER: Colour = (235, 130, 59)
_QUERY: Box = (_EDGE, 56, 400, 236)
_STRIP: Box = (_EDGE, 348, _ROOM, 96)
_CHART: Box = (_EDGE, 476, _ROOM, 180)
_CARDS = 756
_ACROSS, _MOST, _GAP = 4, 8, 24
_CARD = (_ROOM - (_ACROSS - 1) * _GAP) // _ACROSS
_CAPTION = 84
_STEPS = (0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200)
_TICKS = 12


@frozen(kw_only=True)
class Searched:
    """A search and its answer."""

    image: Path
    prompt: str
    video: Path
    clips: tuple[Clip, ...]


def draw(searched: Searched, out: Path) -> None:
    """Draw *searched* into the file *out*. Raises `EngineError` for what cannot be decoded."""
    clips = sorted(searched.clips, key=lambda clip: -clip.score)
    shown = clips[:_MOST]
    seen = stills(searched.video, [(clip.start_time + clip.end_time) / 2 for clip in shown])
    tall = round(_CARD * min(1.0, seen.course[0].shape[0] / seen.course[0].shape[1]))
    rows = -(-len(shown) // _ACROSS)
    canvas = Canvas.blank((_WIDTH, _CARDS + rows * (tall + _CAPTION) + 24), _PAPER)
    _head(canvas, searched, seen, clips)
    _strip(canvas, seen, clips)
    _chart(canvas, seen, clips)
    for place, (clip, still) in enumerate(zip(shown, seen.asked, strict=True)):
        across, down = place % _ACROSS, place // _ACROSS
        corner = (_EDGE + across * (_CARD + _GAP), _CARDS + down * (tall + _CAPTION))
        _card(canvas, still, (*corner, _CARD, tall), clip, rank=place + 1)
    _save(canvas, out)


def _save(canvas: Canvas, out: Path) -> None:
    _, encoded = cv2.imencode(out.suffix, canvas.pixels)
    out.write_bytes(encoded.tobytes())


def _head(canvas: Canvas, searched: Searched, seen: Stills, clips: Sequence[Clip]) -> None:
    covered = canvas.paste(decode(searched.image.read_bytes()), _QUERY, whole=True)
    left = covered[0] + covered[2] + 40
    room = _WIDTH - _EDGE - left
    prompt = " ".join(searched.prompt.split())
    sizes = (size for size in (42, 34, 28) if wide(prompt, size=size, bold=True) <= room)
    lines = (
        ("Where in the video is this?", _DIM, 24, False),
        (prompt, _INK, next(sizes, 28), True),
        (f"{searched.video.name}, {clock(seen.duration)}", _INK, 26, False),
        (_verdict(clips), _BEST if clips else _DIM, 26, True),
    )
    for (text, colour, size, bold), line in zip(lines, (84, 144, 204, 246), strict=True):
        short = fitted(text, room, size=size, bold=bold)
        canvas.write(short, (left, line), colour, size=size, bold=bold)


def _verdict(clips: Sequence[Clip]) -> str:
    if not clips:
        return "No clip matches."
    count = "1 clip" if len(clips) == 1 else f"{len(clips)} clips"
    more = f", the best {_MOST} below" if len(clips) > _MOST else ""
    return f"{count}{more}; best score {clips[0].score:.2f} at {clock(clips[0].start_time)}"


def _strip(canvas: Canvas, seen: Stills, clips: Sequence[Clip]) -> None:
    """Show the whole video in small, pale where nothing was found."""
    left, top, width, height = _STRIP
    _reel(canvas, seen, (left, left + width))
    canvas.fill(_STRIP, _PAPER, strength=0.62)
    for rank, clip in reversed([*enumerate(clips, 1)]):
        start, end = _span(clip, seen)
        # Anew from the clip's own beginning, so that no still of its frame is from before it.
        _reel(canvas, seen, (start, end))
        canvas.frame((start, top, end - start, height), _colour(rank), wide=4)


def _reel(canvas: Canvas, seen: Stills, span: tuple[int, int]) -> None:
    """Fill a stretch of the strip with stills, all of one width."""
    start, end = span
    _, top, _, height = _STRIP
    high, broad = seen.course[0].shape[:2]
    count = max(1, round((end - start) * high / (height * broad)))
    edges = [start + (end - start) * place // count for place in range(count + 1)]
    for left, right in pairwise(edges):
        time = ((left + right) / 2 - _EDGE) / _ROOM * seen.duration
        canvas.paste(seen.at(time), (left, top, right - left, height))


def _chart(canvas: Canvas, seen: Stills, clips: Sequence[Clip]) -> None:
    """Draw each clip as high as its score, over the time that it takes."""
    left, top, width, height = _CHART
    for score in (0.0, 0.5, 1.0):
        line = round(top + height * (1 - score))
        canvas.fill((left, line, width, 2), _LINE)
        canvas.write(f"{score:g}", (left - 36, line + 7), _DIM, size=20)
    for rank, clip in reversed([*enumerate(clips, 1)]):
        start, end = _span(clip, seen)
        high = max(4, round(height * min(max(clip.score, 0.0), 1.0)))
        bar = (start, top + height - high, end - start, high)
        canvas.fill(bar, _colour(rank), strength=0.22)
        canvas.fill((*bar[:3], 4), _colour(rank))
    for rank, clip in reversed([*enumerate(clips[:_MOST], 1)]):
        start, end = _span(clip, seen)
        high = round(height * min(max(clip.score, 0.0), 1.0))
        _badge(canvas, ((start + end) // 2, min(top + height - high + 26, top + height - 20)), rank)
    _axis(canvas, seen.duration)


def _axis(canvas: Canvas, duration: float) -> None:
    left, top, width, height = _CHART
    step = next((step for step in _STEPS if duration / step <= _TICKS), duration / _TICKS)
    for tick in range(int(duration / step) + 1):
        across = left + round(width * tick * step / duration)
        canvas.fill((min(across, left + width - 2), top + height, 2, 10), _DIM)
        text = clock(tick * step)
        half = wide(text, size=20) // 2
        start = min(max(across - half, left), left + width - 2 * half)
        canvas.write(text, (start, top + height + 34), _DIM, size=20)


def _card(canvas: Canvas, still: Picture, box: Box, clip: Clip, *, rank: int) -> None:
    left, top, width, height = box
    canvas.fill(box, _LINE)
    canvas.paste(still, box)
    if rank == 1:
        canvas.frame(box, _BEST, wide=5)
    _badge(canvas, (left + 30, top + 30), rank)
    times = f"{clock(clip.start_time)} - {clock(clip.end_time)}"
    canvas.write(times, (left, top + height + 32), _INK, size=24)
    score = f"{clip.score:.2f}"
    across = left + width - wide(score, size=24, bold=True)
    canvas.write(score, (across, top + height + 32), _colour(rank), size=24, bold=True)
    canvas.fill((left, top + height + 46, width, 6), _LINE)
    long = round(width * min(max(clip.score, 0.0), 1.0))
    canvas.fill((left, top + height + 46, long, 6), _colour(rank))


def _badge(canvas: Canvas, middle: tuple[int, int], rank: int) -> None:
    canvas.disc(middle, 19, _PAPER)
    canvas.disc(middle, 16, _colour(rank))
    half = wide(str(rank), size=20, bold=True) // 2
    canvas.write(str(rank), (middle[0] - half, middle[1] + 7), _PAPER, size=20, bold=True)


def _span(clip: Clip, seen: Stills) -> tuple[int, int]:
    """Where *clip* lies on the timeline, in pixels; never nothing, never beyond."""
    first, last = (
        round(_ROOM * min(max(time / seen.duration, 0.0), 1.0))
        for time in (clip.start_time, clip.end_time)
    )
    first = min(first, _ROOM - 8)
    return _EDGE + first, _EDGE + max(last, first + 8)


def _colour(rank: int) -> Colour:
    return _BEST if rank == 1 else _OTHER


def clock(seconds: float) -> str:
    """Write a time as players do, with tenths where there are any."""
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    text = f"{rest // 10:02}" + (f".{rest % 10}" if rest % 10 else "")
    return f"{hours}:{minutes:02}:{text}" if hours else f"{minutes}:{text}"
