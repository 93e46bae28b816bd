"""A sheet to draw on: boxes, pictures and words, with whatever fonts the installed OpenCV has."""

from __future__ import annotations

from typing import Any

from attrs import field, frozen

from memories_async.local.engine._cv import Picture, cv2, np

Colour = tuple[int, int, int]
"""Blue, green, red."""
Box = tuple[int, int, int, int]
"""Left, top, width, height."""

_CV: Any = cv2
_SCALE = 1 / 30
"""Of the strokes that OpenCV 4 has for letters: scale for each pixel of height."""


@frozen
class Canvas:
    """Pixels, and what draws on them."""

    pixels: Picture = field(repr=False)

    @classmethod
    def blank(cls, size: tuple[int, int], colour: Colour) -> Canvas:
        """Make a sheet of one colour; *size* is width and height."""
        return cls(np.full((size[1], size[0], 3), colour, np.uint8))

    def fill(self, box: Box, colour: Colour, *, strength: float = 1.0) -> None:
        """Paint *box*, letting through what lies beneath where *strength* is below 1."""
        left, top, width, height = box
        part = self.pixels[top : top + height, left : left + width]
        part[:] = np.rint(part * (1 - strength) + np.array(colour) * strength).astype(np.uint8)

    def frame(self, box: Box, colour: Colour, *, wide: int) -> None:
        """Draw a border inside *box*."""
        left, top, width, height = box
        for edge in (
            (left, top, width, wide),
            (left, top + height - wide, width, wide),
            (left, top, wide, height),
            (left + width - wide, top, wide, height),
        ):
            self.fill(edge, colour)

    def disc(self, middle: tuple[int, int], reach: int, colour: Colour) -> None:
        """Paint a disc."""
        cv2.circle(self.pixels, middle, reach, colour, -1, cv2.LINE_AA)

    def paste(self, picture: Picture, box: Box, *, whole: bool = False) -> Box:
        """Put *picture* into *box*, cut to fill it, or *whole*; gives the part that it covers."""
        left, top, width, height = box
        rows, columns = picture.shape[:2]
        scales = (width / columns, height / rows)
        scale = min(scales) if whole else max(scales)
        wide, high = min(width, round(columns * scale)), min(height, round(rows * scale))
        cut = _middle(picture, columns=round(wide / scale), rows=round(high / scale))
        size = (max(1, wide), max(1, high))
        fine = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        self.pixels[top : top + size[1], left : left + size[0]] = cv2.resize(
            cut, size, interpolation=fine
        )
        return (left, top, *size)

    def write(
        self, text: str, at: tuple[int, int], colour: Colour, *, size: int, bold: bool = False
    ) -> None:
        """Write *text* from *at*, the left end of its line, *size* pixels high."""
        if hasattr(cv2, "FontFace"):
            _CV.putText(self.pixels, text, at, colour, *_face(size=size, bold=bold))
        else:
            _CV.putText(self.pixels, *_strokes(text, at, colour, size=size, bold=bold))


def wide(text: str, *, size: int, bold: bool = False) -> int:
    """Tell how many pixels *text* takes."""
    if hasattr(cv2, "FontFace"):
        # Measured from where the text begins, unlike its box, which leaves spaces out.
        found = _CV.getTextSize((0, 0), text, (0, 0), *_face(size=size, bold=bold))
        return int(found[0] + found[2])
    face, thickness = cv2.FONT_HERSHEY_SIMPLEX, 1 + bold
    return int(_CV.getTextSize(text, face, size * _SCALE, thickness)[0][0])


def fitted(text: str, room: int, *, size: int, bold: bool = False) -> str:
    """Cut *text* so that it takes at most *room* pixels."""
    if wide(text, size=size, bold=bold) <= room:
        return text
    while text and wide(f"{text}...", size=size, bold=bold) > room:
        text = text[:-1].rstrip()
    return f"{text}..."


def _middle(picture: Picture, *, columns: int, rows: int) -> Picture:
    height, width = picture.shape[:2]
    top, left = max(0, height - rows) // 2, max(0, width - columns) // 2
    return picture[top : top + max(1, rows), left : left + max(1, columns)]


def _face(*, size: int, bold: bool) -> tuple[Any, int, int]:
    return _CV.FontFace("sans"), size, 650 if bold else 400


def _strokes(
    text: str, at: tuple[int, int], colour: Colour, *, size: int, bold: bool
) -> tuple[Any, ...]:
    plain = text.encode("ascii", "replace").decode()
    face = cv2.FONT_HERSHEY_SIMPLEX
    return (plain, at, face, size * _SCALE, colour, 1 + bold, cv2.LINE_AA)
