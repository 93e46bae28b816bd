"""Decode a picture that a caller sent; refuse what would not fit in memory before decoding it."""

from __future__ import annotations

from memories_async.local.engine._cv import Picture, cv2, np
from memories_async.local.engine.protocol import UnreadableImage

__all__ = ["decode", "encode"]

_LEAST = 8
"""Pixels a side under which nothing can be recognised."""
_SLIM = 40
"""A side may be this many times the other."""


def decode(image: bytes) -> Picture:
    """Decode *image* (JPEG, PNG, WebP, BMP, GIF), upright. Raises `UnreadableImage`."""
    if not image:
        raise UnreadableImage("the picture is empty")
    try:
        found = cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_COLOR)
    except (cv2.error, MemoryError) as error:
        raise UnreadableImage("the picture is damaged or too large to decode") from error
    if found is None:
        raise UnreadableImage("the picture is damaged or in a format unknown here")
    height, width = found.shape[:2]
    if min(height, width) < _LEAST or max(height, width) > _SLIM * min(height, width):
        raise UnreadableImage(f"a picture of {width}x{height} pixels shows too little to search by")
    return np.asarray(found, np.uint8)


def encode(picture: Picture, *, quality: int = 80) -> bytes:
    """Encode *picture* as JPEG."""
    _, encoded = cv2.imencode(".jpg", picture, (cv2.IMWRITE_JPEG_QUALITY, quality))
    return encoded.tobytes()
