"""Decode a picture that a caller sent; refuse what would not fit in memory before decoding it."""

from __future__ import annotations

from memories_async.local.engine._cv import Picture, cv2, np
from memories_async.local.engine.protocol import UnreadableImage
from memories_async.local.engine.video.picture_size import picture_size

__all__ = ["decode", "encode"]

_MOST = 100_000_000
"""Pixels; three bytes each once decoded."""
_LEAST = 8
"""Pixels a side under which nothing can be recognised."""
_SLIM = 40
"""A side may be this many times the other."""


def decode(image: bytes) -> Picture:
    """Decode *image* (JPEG, PNG, WebP, BMP, GIF), upright. Raises `UnreadableImage`."""
    if not image:
        raise UnreadableImage("the picture is empty")
    size = picture_size(image)
    if size is None:
        raise UnreadableImage("the picture is damaged or in a format unknown here")
    width, height = size
    if width * height > _MOST:
        raise UnreadableImage(f"a picture of {width}x{height} pixels is too large to decode")
    if min(size) < _LEAST or max(size) > _SLIM * min(size):
        raise UnreadableImage(f"a picture of {width}x{height} pixels shows too little to search by")
    try:
        found = cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        found = None
    if found is None:
        raise UnreadableImage("the picture is damaged or cut short")
    return np.asarray(found, np.uint8)


def encode(picture: Picture, *, quality: int = 80) -> bytes:
    """Encode *picture* as JPEG."""
    _, encoded = cv2.imencode(".jpg", picture, (cv2.IMWRITE_JPEG_QUALITY, quality))
    return encoded.tobytes()
