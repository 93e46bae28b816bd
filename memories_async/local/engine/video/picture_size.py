"""Read a picture's size from its first bytes, without decoding it.

A few kilobytes can unfold to gigabytes; who knows the size first can refuse. Knows the kinds that
the service accepts: JPEG, PNG, WebP, BMP, GIF.
"""

from __future__ import annotations

import struct

__all__ = ["picture_size"]

_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""JPEG markers that begin a frame and hold its size."""
_ALONE = frozenset({0x01, *range(0xD0, 0xDA)})
"""JPEG markers without a length."""


def picture_size(image: bytes) -> tuple[int, int] | None:
    """Give width and height, or None where *image* is of another kind or cut short."""
    try:
        if image.startswith(b"\x89PNG\r\n\x1a\n"):
            return _pair(">II", image, 16)
        if image.startswith((b"GIF87a", b"GIF89a")):
            return _pair("<HH", image, 6)
        if image.startswith(b"BM"):
            width, height = struct.unpack_from("<ii", image, 18)
            return abs(width), abs(height)
        if image.startswith(b"RIFF") and image[8:12] == b"WEBP":
            return _webp(image)
        return _jpeg(image) if image.startswith(b"\xff\xd8") else None
    except (struct.error, IndexError):
        return None


def _pair(layout: str, image: bytes, at: int) -> tuple[int, int]:
    width, height = struct.unpack_from(layout, image, at)
    return width, height


def _webp(image: bytes) -> tuple[int, int] | None:
    kind = image[12:16]
    if kind == b"VP8 ":
        width, height = _pair("<HH", image, 26)
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", image, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8X":
        wide, high = image[24:27], image[27:30]
        return int.from_bytes(wide, "little") + 1, int.from_bytes(high, "little") + 1
    return None


def _jpeg(image: bytes) -> tuple[int, int]:
    at = 2
    while True:
        marker = image[at + 1]
        if image[at] != 0xFF or marker == 0xFF:  # noqa: PLR2004 # filler between segments
            at += 1
        elif marker in _FRAMES:
            height, width = _pair(">HH", image, at + 5)
            return width, height
        elif marker in _ALONE:
            at += 2
        else:
            (length,) = struct.unpack_from(">H", image, at + 2)
            at += 2 + length
