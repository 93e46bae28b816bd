"""Open a video file, or say in one sentence why that cannot be."""

from __future__ import annotations

import contextlib
from pathlib import Path

from memories_async.local.engine._cv import cv2
from memories_async.local.engine.protocol import UnreadableVideo

__all__ = ["counts_frames", "opened"]

_MOST = 70_000_000
"""Pixels of a picture; twice those of 8K."""
# How files begin whose container counts its frames: at byte 4 of QuickTime and MP4, at 0 of AVI.
_COUNTING = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"RIFF")


def opened(path: Path) -> cv2.VideoCapture:
    """Open the video at *path*, to be shown upright. Raises `UnreadableVideo`."""
    try:
        size = path.stat().st_size
    except OSError as error:
        raise UnreadableVideo(f"the file cannot be opened: {error.strerror}") from error
    if size == 0:
        raise UnreadableVideo("the file is empty")
    source = None
    with contextlib.suppress(cv2.error):
        source = cv2.VideoCapture(str(path.resolve()), cv2.CAP_FFMPEG)
    if source is None or not source.isOpened():
        raise UnreadableVideo(
            "the file is no video that can be read: damaged, cut short, without pictures, "
            "or in a format unknown here"
        )
    _check_size(source)
    # The default of this switch has flipped between OpenCV releases.
    source.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
    return source


def counts_frames(path: Path) -> bool:
    """Tell whether the container at *path* says how many frames it holds."""
    with path.open("rb") as file:
        start = file.read(8)
    return start[4:] in _COUNTING or start[:4] in _COUNTING


def _check_size(source: cv2.VideoCapture) -> None:
    """Refuse what would not fit in memory before a picture is decoded."""
    width, height = source.get(cv2.CAP_PROP_FRAME_WIDTH), source.get(cv2.CAP_PROP_FRAME_HEIGHT)
    if width * height > _MOST:
        source.release()
        raise UnreadableVideo(
            f"pictures of {width:.0f}x{height:.0f} pixels are too large to decode"
        )
