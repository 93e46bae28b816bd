"""The caption of a long film, with those of its pieces. Pure."""

from __future__ import annotations

import re
from functools import partial

from attrs import field, frozen

from memories_async._protocol.value import Value
from memories_async.captions import Caption, Tokens
from memories_async.errors import MemoriesError

_CLOCK = r"(?:\d{1,2}:)?\d{1,2}:\d{2}(?:\.\d+)?"
_TIMES = re.compile(
    # A range or a time in brackets: a single clock time may be one that is seen in the picture.
    rf"(?<![\d:.])(?P<clock>{_CLOCK}\s?[-\u2013]\s?{_CLOCK})(?![\d:])"
    rf"|(?<=[\[(])(?P<one>{_CLOCK})(?=[\])])"
    r"|(?<![\d:.])(?P<from>\d+(?:\.\d+)?)(?P<dash>\s?[-\u2013]\s?)(?P<to>\d+(?:\.\d+)?)(?=\s?s\b)"
)
_MINUTE, _HOUR = 60, 3600


@frozen(kw_only=True, slots=False)
class PieceCaption(Value):
    """The caption of one piece of a film, or why there is none."""

    start_time: float
    """Seconds from the beginning of the film."""
    end_time: float
    """Seconds from the beginning of the film."""
    caption: Caption | None = None
    """As the service gave it: its times count from the beginning of the piece."""
    error: MemoriesError | None = None
    """What the piece came to instead; its `billed` says whether it was charged."""

    @property
    def text(self) -> str:
        """The caption's text, its times counted from the beginning of the film."""
        return "" if self.caption is None else shift_times(self.caption.text, self.start_time)


@frozen(kw_only=True, slots=False)
class LongCaption(Value):
    """The captions of all pieces of a film, as one."""

    text: str
    """The texts in order, each under the times of its piece."""
    pieces: tuple[PieceCaption, ...]
    tokens: Tokens | None = None
    """The sum of those that the service reported."""
    tag: str | None = field(default=None, eq=False)
    """The caller's own id; see `captions.upload`."""

    @property
    def is_complete(self) -> bool:
        """Whether every piece has its caption."""
        return all(piece.caption is not None for piece in self.pieces)


def join_captions(pieces: tuple[PieceCaption, ...], tag: str | None) -> LongCaption:
    """Join the captions of *pieces*, which are in order."""
    counts = [one.caption.tokens for one in pieces if one.caption and one.caption.tokens]
    tokens = Tokens(
        input=sum(one.input for one in counts),
        output=sum(one.output for one in counts),
        total=sum(one.total for one in counts),
    )
    texts = [
        f"[{_write_clock(one.start_time)}-{_write_clock(one.end_time)}]\n{one.text}"
        for one in pieces
        if one.caption
    ]
    if len(pieces) == 1:
        texts = [pieces[0].text]
    return LongCaption(
        text="\n\n".join(texts), pieces=pieces, tokens=tokens if counts else None, tag=tag
    )


def shift_times(text: str, seconds: float) -> str:
    """Add *seconds* to the times in *text*: `1.5-3 s`, `[00:12]`, `00:12 - 00:15`."""
    return _TIMES.sub(partial(_shift_match, seconds), text) if seconds else text


def _shift_match(seconds: float, found: re.Match[str]) -> str:
    if found["from"] is not None:
        start, end = (float(found[name]) + seconds for name in ("from", "to"))
        return f"{start:.1f}{found['dash']}{end:.1f}"
    return re.sub(_CLOCK, lambda one: _write_clock(_read_clock(one[0]) + seconds), found[0])


def _read_clock(text: str) -> float:
    total = 0.0
    for part in text.split(":"):
        total = total * _MINUTE + float(part)
    return total


def _write_clock(seconds: float) -> str:
    whole = round(seconds)
    hours, minutes = whole // _HOUR, whole // _MINUTE % _MINUTE
    clock = f"{minutes:02}:{whole % _MINUTE:02}"
    return f"{hours}:{clock}" if hours else clock
