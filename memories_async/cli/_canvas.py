"""A canvas for boxes, pictures and text, with the fonts of the installed OpenCV."""

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
"""The scale of OpenCV 4's stroke font for each pixel of height."""


@frozen
class Canvas:
    """Pixels, and the methods that draw on them."""

    pixels: Picture = field(repr=False)

    @classmethod
    def blank(cls, size: tuple[int, int], colour: Colour) -> Canvas:
        """Make a canvas of one colour; *size* is width and height."""
        return cls(np.full((size[1], size[0], 3), colour, np.uint8))

    def fill(self, box: Box, colour: Colour, *, strength: float = 1.0) -> None:
        """Paint *box*; a *strength* below 1 blends with what is there."""
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

    def disc(self, middle: tuple[int, int], radius: int, colour: Colour) -> None:
        """Paint a disc."""
        cv2.circle(self.pixels, middle, radius, colour, -1, cv2.LINE_AA)

    def paste(self, picture: Picture, box: Box, *, whole: bool = False) -> Box:
        """Put *picture* into *box*: cropped to fill it, or *whole*. Returns the box that it covers."""
        left, top, width, height = box
        rows, columns = picture.shape[:2]
        scales = (width / columns, height / rows)
        scale = min(scales) if whole else max(scales)
        wide, high = min(width, round(columns * scale)), min(height, round(rows * scale))
        keep_rows, keep_columns = max(1, round(high / scale)), max(1, round(wide / scale))
        first_row, first_column = max(0, rows - keep_rows) // 2, max(0, columns - keep_columns) // 2
        cropped = picture[
            first_row : first_row + keep_rows, first_column : first_column + keep_columns
        ]
        size = (max(1, wide), max(1, high))
        fine = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        self.pixels[top : top + size[1], left : left + size[0]] = cv2.resize(
            cropped, size, interpolation=fine
        )
        return (left, top, *size)

    def write(
        self, text: str, at: tuple[int, int], colour: Colour, *, size: int, bold: bool = False
    ) -> None:
        """Write *text*, *size* pixels high; *at* is the left end of its baseline."""
        if hasattr(cv2, "FontFace"):
            _CV.putText(self.pixels, text, at, colour, *_choose_face(size=size, bold=bold))
        else:
            ascii_text = text.encode("ascii", "replace").decode()
            face, scale = cv2.FONT_HERSHEY_SIMPLEX, size * _SCALE
            _CV.putText(self.pixels, ascii_text, at, face, scale, colour, 1 + bold, cv2.LINE_AA)


def measure(text: str, *, size: int, bold: bool = False) -> int:
    """Return the width of *text* in pixels."""
    if hasattr(cv2, "FontFace"):
        # The advance from the start of the text; its box leaves out spaces.
        found = _CV.getTextSize((0, 0), text, (0, 0), *_choose_face(size=size, bold=bold))
        return int(found[0] + found[2])
    face, thickness = cv2.FONT_HERSHEY_SIMPLEX, 1 + bold
    return int(_CV.getTextSize(text, face, size * _SCALE, thickness)[0][0])


def shorten(text: str, room: int, *, size: int, bold: bool = False) -> str:
    """Cut *text* to at most *room* pixels."""
    if measure(text, size=size, bold=bold) <= room:
        return text
    while text and measure(f"{text}...", size=size, bold=bold) > room:
        text = text[:-1].rstrip()
    return f"{text}..."


def _choose_face(*, size: int, bold: bool) -> tuple[Any, int, int]:
    return _CV.FontFace("sans"), size, 650 if bold else 400
