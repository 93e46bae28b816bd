"""Draws a search as one still image: the part of a page for it, as SVG that resvg turns into pixels."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.resources import as_file, files
from typing import Any

from attrs import frozen
from jinja2 import Environment

from memories_async.report._page import SearchView
from memories_async.report._pictures import measure_picture
from memories_async.report._timeline import BAND, ClipView

STILL = 480
"""Pixels across a still: a card is `_ZOOM` times as large in the image as in the layout."""
_ZOOM = 1.5
_EDGE, _GAP, _COLUMNS, _CARD_TEXT = 32, 16, 3, 36
_LEFT, _RIGHT = (32, 250), (314, 934)
"""Where the two columns begin, and how wide they are."""
_WIDTH = 1280
_QUERY_HEIGHT = 300
_NARROW, _WIDE = set("'ijlIJ ,./:;\\|()[]tfr!-"), set("mwMWOQ@%&#+<=>^~")
_BOLD = 1.12
_BREAK = re.compile(r"[ /_.-]")
"""After these a line may end."""


@frozen(kw_only=True)
class TextLine:
    """One line of text below the query picture."""

    kind: str
    text: str
    y: int


@frozen(kw_only=True)
class Card:
    """The place of a clip's still."""

    clip: ClipView
    x: float
    y: int
    width: float
    height: int


def draw_search(search: SearchView, environment: Environment, style: str) -> bytes:
    """Draw *search* with the colours of the page's *style*; returns a PNG file."""
    query = measure_picture(search.query) if search.query else (0, 0)
    scale = min(_LEFT[1] / query[0], _QUERY_HEIGHT / query[1]) if search.query else 0.0
    lines = [*_write_lines(search, round(_EDGE + query[1] * scale))]
    timeline: Any = environment.get_template("timeline").make_module({"band": BAND})
    below = _EDGE + int(timeline.height(search))
    cards = [*_place_cards(search, below + _GAP)]
    more = len(search.clips) + search.more - len(cards) if cards else 0
    bottom = cards[-1].y + cards[-1].height + _CARD_TEXT if cards else below + _EDGE
    height = max(lines[-1].y, bottom + (24 if more else 0)) + _EDGE
    svg = environment.get_template("picture").render(
        s=search,
        # A JPEG file has even sides.
        size=(_WIDTH, height + -height % 4),
        edge=_EDGE,
        band=BAND,
        left={"x": _LEFT[0], "width": _LEFT[1]},
        right={"x": _RIGHT[0], "width": _RIGHT[1]},
        below=below,
        query=[round(side * scale, 1) for side in query],
        lines=lines,
        cards=cards,
        more=more,
        # The first of each is that of the light form.
        colours=dict(reversed(re.findall(r"--(\w+):(#\w+)", style))),
    )
    render = load_renderer()
    with as_file(files("memories_async.report").joinpath("fonts")) as folder:
        # Its own fonts, since a machine may have none; what they lack is taken from the machine's.
        return render(svg_string=svg, zoom=_ZOOM, font_dirs=[str(folder)])


def wrap(text: str, room: float, *, size: int, most: int, is_bold: bool = False) -> list[str]:
    """Break *text* into at most *most* lines of *room* pixels; the last says where it is cut."""
    lines: list[str] = []
    rest = " ".join(text.split())
    while rest:
        fits = _count_fitting(rest, room, size=size, is_bold=is_bold)
        if fits >= len(rest):
            return [*lines, rest]
        if len(lines) == most - 1:
            fits = _count_fitting(rest, room - size, size=size, is_bold=is_bold)
            return [*lines, f"{rest[:fits].rstrip()}\N{HORIZONTAL ELLIPSIS}"]
        ends = [found.end() for found in _BREAK.finditer(rest, 0, fits + 1)]
        # A space may end a line outside of it.
        end = next((at for at in reversed(ends) if at <= fits or rest[at - 1] == " "), max(1, fits))
        lines.append(rest[:end].rstrip())
        rest = rest[end:].lstrip()
    return lines


def _write_lines(search: SearchView, top: int) -> Iterator[TextLine]:
    """Place prompt, film and counts below the query picture, which ends at *top*."""
    count = len(search.clips) + search.more
    facts = f"{count} clip{'' if count == 1 else 's'}"
    known = search.video if search.video != search.film else ""
    texts = (
        ("prompt", search.prompt, 17, 6),
        ("dim", search.film, 14, 3),
        ("dim", f"{search.length} · {facts}" if search.length else facts, 14, 1),
        ("dim", known, 14, 1),
        ("dim", search.item or "", 14, 1),
    )
    y = top + (6 if search.query else -12)
    for kind, text, size, most in texts:
        is_bold = kind == "prompt"
        for line in wrap(text, _LEFT[1], size=size, most=most, is_bold=is_bold):
            y += round(size * 1.5)
            yield TextLine(kind=kind, text=line, y=y)
        y += 4


def _place_cards(search: SearchView, top: int) -> Iterator[Card]:
    width = (_RIGHT[1] - _GAP * (_COLUMNS - 1)) / _COLUMNS
    height = round(width * 9 / 16)
    for at, clip in enumerate(search.cards):
        row, column = divmod(at, _COLUMNS)
        x, y = _RIGHT[0] + column * (width + _GAP), top + row * (height + _CARD_TEXT)
        yield Card(clip=clip, x=round(x, 1), y=y, width=round(width, 1), height=height)


def _count_fitting(text: str, room: float, *, size: int, is_bold: bool) -> int:
    """Count the characters of *text* that surely fit into *room*."""
    for at, character in enumerate(text):
        room -= _estimate_width(character) * size * (_BOLD if is_bold else 1.0)
        if room < 0:
            return at
    return len(text)


def _estimate_width(character: str) -> float:
    """Estimate the width of a character in DejaVu Sans, in its size; never much too small."""
    if character in _NARROW:
        return 0.42
    if character in _WIDE or unicodedata.east_asian_width(character) in "WF":
        return 1.0
    if unicodedata.combining(character):
        return 0.0
    return 0.66 if character.isascii() and not character.isupper() else 0.8


def load_renderer() -> Callable[..., bytes]:
    """Return resvg's function. Raises `ModuleNotFoundError` where it is not installed."""
    try:
        resvg: Any = import_module("resvg_py")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "a picture of a search needs resvg-py: pip install 'memories_async[report]'",
            name=error.name,
        ) from error
    render: Callable[..., bytes] = resvg.svg_to_bytes
    return render
