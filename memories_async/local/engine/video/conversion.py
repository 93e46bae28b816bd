"""Convert frames to pictures: upright, with square pixels, in standard colours, in one size a film.

FFmpeg scales and converts in one step. Where a file leaves the matrix of its colours open, it is BT.709
for HD and BT.601 below, as in players. High dynamic range (PQ, HLG) is mapped to the standard range;
FFmpeg's table for that takes about three seconds of CPU, once a film.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from attrs import define, field

from memories_async.local.engine._cv import Picture, np
from memories_async.local.engine.video.container import Type, VideoFrame, reformatter

__all__ = ["Converter"]

_UNSPECIFIED = 2
"""FFmpeg's number of the matrix that a file does not name."""
_SD_WIDTH, _SD_HEIGHT = 1279, 576
"""The largest picture whose colours are BT.601 unless the file says otherwise."""
_HIGH_RANGE = frozenset({reformatter.ColorTrc.SMPTE2084, reformatter.ColorTrc.ARIB_STD_B67})
_ALMOST_SQUARE, _SLIMMEST = Fraction(1, 100), 8
"""Pixels count as square where the ratio of their sides is this near to 1 (files round it), and where
it is beyond `_SLIMMEST`, as no camera makes them."""


@define(kw_only=True)
class Converter:
    """Converts the frames of one film, in their order."""

    longest: int | None
    """Pixels that the longer side of a picture has at most."""
    aspect: Fraction = Fraction(1)
    """Width of the file's pixels divided by their height."""
    _side: int = 0
    """The longer side of all pictures: that of the first one."""
    _reformatter: reformatter.VideoReformatter = field(factory=reformatter.VideoReformatter)

    def convert(self, frame: VideoFrame) -> Picture:
        """Convert *frame* to blue, green and red.

        Raises `FFmpegError` or `ValueError` where FFmpeg has no conversion.
        """
        shown = self._measure(frame)
        self._side = self._side or min(max(shown), self.longest or max(shown))
        width, height = (max(1, round(side * (self._side / max(shown)))) for side in shown)
        is_reduced = width <= frame.width and height <= frame.height and self._side < max(shown)
        small = self._reformatter.reformat(
            frame,
            width=width,
            height=height,
            format="bgr24",
            interpolation=reformatter.Interpolation.AREA if is_reduced else None,
            threads=1,
            **_choose_colours(frame),
        )
        picture = np.asarray(small.to_ndarray(), np.uint8)
        is_turned, right, down = _read_orientation(frame)
        if is_turned:
            picture = picture.transpose(1, 0, 2)
        return np.ascontiguousarray(picture[::down, ::right])

    def measure_shown(self, frame: VideoFrame) -> tuple[int, int]:
        """Measure width and height of *frame* as shown: upright, with square pixels."""
        width, height = self._measure(frame)
        is_turned, _, _ = _read_orientation(frame)
        return (height, width) if is_turned else (width, height)

    def _measure(self, frame: VideoFrame) -> tuple[int, int]:
        """Measure width and height with square pixels, before *frame* is turned upright."""
        is_square = abs(self.aspect - 1) < _ALMOST_SQUARE
        if is_square or not 1 / _SLIMMEST < self.aspect < _SLIMMEST:
            return frame.width, frame.height
        return max(1, round(frame.width * self.aspect)), frame.height


def _choose_colours(frame: VideoFrame) -> dict[str, Any]:
    """Choose FFmpeg's settings for the colours of *frame*."""
    if frame.color_trc in _HIGH_RANGE:
        return {
            "dst_color_trc": reformatter.ColorTrc.IEC61966_2_1,
            "dst_color_primaries": reformatter.ColorPrimaries.BT709,
        }
    is_large = frame.width > _SD_WIDTH or frame.height > _SD_HEIGHT
    if is_large and frame.colorspace == _UNSPECIFIED and not frame.format.is_rgb:
        return {"src_colorspace": reformatter.Colorspace.ITU709}
    return {}


def _read_orientation(frame: VideoFrame) -> tuple[bool, int, int]:
    """Read whether rows are shown as columns, and the direction (1, -1) of columns and rows.

    Phones write pictures on their side and say so in a display matrix, which may mirror as well; it
    is taken by the nearest quarter of a turn.
    """
    side_data: Any = frame.side_data
    if Type.DISPLAYMATRIX not in side_data:
        return False, 1, 1
    matrix = np.frombuffer(side_data[Type.DISPLAYMATRIX], np.int32).tolist()
    a, b, c, d = (int(matrix[place]) for place in (0, 1, 3, 4))
    is_turned = abs(a) + abs(d) < abs(b) + abs(c)
    right, down = (c, b) if is_turned else (a, d)
    return is_turned, -1 if right < 0 else 1, -1 if down < 0 else 1
