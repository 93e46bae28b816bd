"""Decode a picture that a caller sent; refuse one that would not fit in memory before decoding it.

A few kilobytes can expand to gigabytes, so the size is read from the first bytes. Knows the formats
that the service accepts: JPEG, PNG, WebP, BMP, GIF.
"""

from __future__ import annotations

import struct

from memories_async.local.engine._cv import Picture, cv2, np
from memories_async.local.engine.protocol import UnreadableImage

__all__ = ["decode", "encode", "read_size"]

_MOST = 100_000_000
"""Pixels; three bytes each once decoded."""
_LEAST = 8
"""Pixels a side under which nothing can be recognised."""
_SLIM = 40
"""A side may be this many times the other."""
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""JPEG markers that begin a frame and hold its size."""
_JPEG_EMPTY = frozenset({0x01, *range(0xD0, 0xDA)})
"""JPEG markers without a length."""


def decode(image: bytes) -> Picture:
    """Decode *image*, upright. Raises `UnreadableImage`."""
    if not image:
        raise UnreadableImage("the picture is empty")
    size = read_size(image)
    if size is None:
        raise UnreadableImage("the picture is damaged or in a format unknown here")
    width, height = size
    if width * height > _MOST:
        raise UnreadableImage(f"a picture of {width}x{height} pixels is too large to decode")
    if min(size) < _LEAST or max(size) > _SLIM * min(size):
        raise UnreadableImage(f"a picture of {width}x{height} pixels shows too little to search by")
    try:
        picture = cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        picture = None
    if picture is None:
        raise UnreadableImage("the picture is damaged or cut short")
    return np.asarray(picture, np.uint8)


def encode(picture: Picture, *, quality: int = 80) -> bytes:
    """Encode *picture* as JPEG."""
    _, encoded = cv2.imencode(".jpg", picture, (cv2.IMWRITE_JPEG_QUALITY, quality))
    return encoded.tobytes()


def read_size(image: bytes) -> tuple[int, int] | None:
    """Read width and height without decoding; None where *image* is cut short or of another format."""
    try:
        if image.startswith(b"\x89PNG\r\n\x1a\n"):
            return _unpack_pair(">II", image, 16)
        if image.startswith((b"GIF87a", b"GIF89a")):
            return _unpack_pair("<HH", image, 6)
        if image.startswith(b"BM"):
            width, height = _unpack_pair("<ii", image, 18)
            return abs(width), abs(height)
        if image.startswith(b"RIFF") and image[8:12] == b"WEBP":
            return _read_webp_size(image)
        return _read_jpeg_size(image) if image.startswith(b"\xff\xd8") else None
    except (struct.error, IndexError):
        return None


def _unpack_pair(layout: str, image: bytes, offset: int) -> tuple[int, int]:
    first, second = struct.unpack_from(layout, image, offset)
    return first, second


def _read_webp_size(image: bytes) -> tuple[int, int] | None:
    kind = image[12:16]
    if kind == b"VP8 ":
        width, height = _unpack_pair("<HH", image, 26)
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", image, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8X":
        wide, high = image[24:27], image[27:30]
        return int.from_bytes(wide, "little") + 1, int.from_bytes(high, "little") + 1
    return None


def _read_jpeg_size(image: bytes) -> tuple[int, int]:
    offset = 2
    while True:
        marker = image[offset + 1]
        if image[offset] != 0xFF or marker == 0xFF:  # noqa: PLR2004 # filler between segments
            offset += 1
        elif marker in _JPEG_FRAMES:
            height, width = _unpack_pair(">HH", image, offset + 5)
            return width, height
        elif marker in _JPEG_EMPTY:
            offset += 2
        else:
            (length,) = struct.unpack_from(">H", image, offset + 2)
            offset += 2 + length
