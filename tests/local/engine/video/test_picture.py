"""A picture's size is read before it is decoded, and decides whether it is."""

from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest

from memories_async.local.engine.protocol import UnreadableImage
from memories_async.local.engine.video import picture
from memories_async.local.engine.video.picture import decode, read_size

PLAIN = np.random.default_rng(0).integers(0, 255, (45, 70, 3), np.uint8)


def encoded(kind, *settings):
    return cv2.imencode(kind, PLAIN, settings)[1].tobytes()


KINDS = {
    "jpeg": encoded(".jpg"),
    "progressive": encoded(".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    "png": encoded(".png"),
    "bmp": encoded(".bmp"),
    "webp": encoded(".webp", cv2.IMWRITE_WEBP_QUALITY, 80),
    "webp lossless": encoded(".webp", cv2.IMWRITE_WEBP_QUALITY, 101),
    "gif": encoded(".gif"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_size_and_pixels_of_every_format_are_read(kind):
    """All formats that the service accepts."""
    assert read_size(KINDS[kind]) == (70, 45)
    assert decode(KINDS[kind]).shape == (45, 70, 3)


def test_size_of_an_extended_webp_is_read():
    """With transparency or animation."""
    head = (
        b"RIFF\x00\x00\x00\x00WEBPVP8X"
        + bytes(8)
        + (69).to_bytes(3, "little")
        + (44).to_bytes(3, "little")
    )

    assert read_size(head) == (70, 45)


def test_filler_and_empty_markers_of_a_jpeg_are_skipped():
    """Both are allowed between segments."""
    odd = b"\xff\xd8\xff\xff\x01" + KINDS["jpeg"][2:]

    assert read_size(odd) == (70, 45)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("length", [3, 11, 14, 24])
def test_picture_that_is_cut_short_is_refused(kind, length):
    """Wherever it is cut."""
    with pytest.raises(UnreadableImage):
        decode(KINDS[kind][:length])


@pytest.mark.parametrize(
    "content", [b"RIFF\x00\x00\x00\x00WEBPNONE", b"II*\x00" + bytes(60), b"<svg/>"]
)
def test_other_picture_formats_are_refused(content):
    """Only documented formats reach a decoder."""
    with pytest.raises(UnreadableImage, match="format unknown"):
        decode(content)


def test_picture_that_is_too_large_is_refused():
    """A kilobyte may claim thirty thousand pixels a side."""
    bomb = (
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + struct.pack(">II", 30_000, 30_000)
    )

    with pytest.raises(UnreadableImage, match="too large"):
        decode(bomb)


def test_damaged_picture_is_refused():
    """Its header is right, the rest is not."""
    with pytest.raises(UnreadableImage, match="cut short"):
        decode(KINDS["png"][:40])


def test_error_of_opencv_is_a_refusal(monkeypatch):
    """It may raise instead of returning nothing."""

    def fail(*_):
        raise cv2.error("bad")

    monkeypatch.setattr(picture.cv2, "imdecode", fail)

    with pytest.raises(UnreadableImage, match="damaged"):
        decode(KINDS["png"])
