"""Pictures are measured before they are decoded, and refused where they would do harm."""

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
def test_reads_size_and_pixels_of_every_kind(kind):
    """All that the service accepts."""
    assert read_size(KINDS[kind]) == (70, 45)
    assert decode(KINDS[kind]).shape == (45, 70, 3)


def test_reads_the_size_of_an_extended_webp():
    """With transparency or animation."""
    head = (
        b"RIFF\x00\x00\x00\x00WEBPVP8X"
        + bytes(8)
        + (69).to_bytes(3, "little")
        + (44).to_bytes(3, "little")
    )

    assert read_size(head) == (70, 45)


def test_passes_filler_and_bare_markers_of_a_jpeg():
    """Both are allowed between segments."""
    odd = b"\xff\xd8\xff\xff\x01" + KINDS["jpeg"][2:]

    assert read_size(odd) == (70, 45)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("length", [3, 11, 14, 24])
def test_a_picture_cut_short_is_refused(kind, length):
    """Wherever it is cut."""
    with pytest.raises(UnreadableImage):
        decode(KINDS[kind][:length])


@pytest.mark.parametrize(
    "content", [b"RIFF\x00\x00\x00\x00WEBPNONE", b"II*\x00" + bytes(60), b"<svg/>"]
)
def test_other_kinds_are_refused(content):
    """Fewer decoders, fewer surprises."""
    with pytest.raises(UnreadableImage, match="format unknown"):
        decode(content)


def test_a_picture_that_would_fill_the_memory_is_refused():
    """A kilobyte that claims thirty thousand pixels a side."""
    bomb = (
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + struct.pack(">II", 30_000, 30_000)
    )

    with pytest.raises(UnreadableImage, match="too large"):
        decode(bomb)


def test_a_damaged_picture_is_refused():
    """The head is fine, the rest is not."""
    with pytest.raises(UnreadableImage, match="cut short"):
        decode(KINDS["png"][:40])


def test_an_error_of_the_decoder_is_a_refusal(monkeypatch):
    """OpenCV raises where it should say no."""

    def fail(*_):
        raise cv2.error("bad")

    monkeypatch.setattr(picture.cv2, "imdecode", fail)

    with pytest.raises(UnreadableImage, match="damaged"):
        decode(KINDS["png"])
