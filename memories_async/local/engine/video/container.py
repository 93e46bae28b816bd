"""Open a video file with FFmpeg (PyAV), choose its stream of pictures, read how long the file should be."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from pathlib import Path

from memories_async.local.engine.protocol import UnreadableVideo

try:
    import av
    from av import logging
    from av.container import InputContainer
    from av.error import FFmpegError
    from av.packet import Packet
    from av.sidedata.sidedata import Type
    from av.stream import Disposition, Stream
    from av.video import reformatter
    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream
except ModuleNotFoundError as _error:
    raise ModuleNotFoundError(
        "the embedded engine needs av: pip install 'memories_async[local]'", name="av"
    ) from _error

__all__ = [
    "MOST_PIXELS",
    "FFmpegError",
    "InputContainer",
    "Packet",
    "Stream",
    "Type",
    "VideoFrame",
    "VideoStream",
    "choose_stream",
    "open_container",
    "read_stated_size",
    "reformatter",
]

MOST_PIXELS = 70_000_000
"""Pixels of a picture; twice those of 8K."""
# Formats that open other files, addresses or devices, and text that is drawn as pictures.
_REFUSED = frozenset(
    {
        *("concat", "concatf", "dash", "ffmetadata", "hls", "image2", "image2pipe", "imf", "lavfi"),
        *("rtp", "rtsp", "sap", "sdp", "tty", "vobsub", "webm_dash_manifest"),
    }
)
_OPTIONS = {
    "protocol_whitelist": "file",
    "format_whitelist": ",".join(sorted(av.formats_available - _REFUSED)),
}
_STILLS = frozenset({"bmp", "mjpeg", "png"})
"""Codecs of covers, which not every container tells apart from films."""
_COVER = Disposition.attached_pic | Disposition.timed_thumbnails
_UNREADABLE = "the file is no video that can be read"
_ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_ASF_SIZE = 40
"""Bytes from the beginning of the properties to the file's size."""
_HEAD = 65_536
"""Bytes of a file among which its header states the size."""


def open_container(path: Path) -> InputContainer:
    """Open the file at *path*. Raises `UnreadableVideo`."""
    try:
        if path.stat().st_size == 0:
            raise UnreadableVideo("the file is empty")
    except OSError as error:
        raise UnreadableVideo(f"the file cannot be opened: {error.strerror}") from error
    try:
        return av.open(str(path.resolve()), container_options=_OPTIONS, metadata_errors="replace")
    except (FFmpegError, ValueError) as error:
        raise UnreadableVideo(
            f"{_UNREADABLE}: damaged, cut short, without pictures, or in a format unknown here"
        ) from error


def read_stated_size(path: Path) -> int:
    """Read the size in bytes that an .avi, .wmv or .asf file states; 0 where it states none.

    FFmpeg takes such a file for as long as what is left of it.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD)
        if head.startswith(_ASF) and (at := head.find(_ASF_PROPERTIES)) > 0:
            stated = head[at + _ASF_SIZE : at + _ASF_SIZE + 8]
            return int.from_bytes(stated, "little")
        if not head.startswith(b"RIFF") or head[8:12] != b"AVI ":
            return 0
        # Large files have several parts, one after another.
        end, start = 0, head[:8]
        while len(start) == 8 and start.startswith(b"RIFF"):  # noqa: PLR2004 # name and length
            length: int = struct.unpack("<I", start[4:])[0]
            end += 8 + length + length % 2
            file.seek(end)
            start = file.read(8) if length else b""
        return end


def choose_stream(container: InputContainer) -> VideoStream:
    """Choose the first stream of pictures that is no cover; one of stills only if there is no other."""
    streams = [one for one in container.streams.video if not one.disposition & _COVER]
    if not streams:
        raise UnreadableVideo(f"{_UNREADABLE}: it holds no moving pictures")
    # The stub forgets that the context is None where there is no decoder.
    contexts: list[VideoCodecContext | None] = [one.codec_context for one in streams]
    ranks = [2 if one is None else int(one.name in _STILLS) for one in contexts]
    stream = streams[ranks.index(min(ranks))]
    if min(ranks) == 2:  # noqa: PLR2004 # no decoder
        raise UnreadableVideo(f"{_UNREADABLE}: no decoder for its codec, {_name_codec(container)}")
    width, height = stream.codec_context.width, stream.codec_context.height
    if width * height > MOST_PIXELS:
        raise UnreadableVideo(f"pictures of {width}x{height} pixels are too large to decode")
    return stream


def _name_codec(container: InputContainer) -> str:
    """Name the codec of the first video stream, for which there is no decoder."""
    # FFmpeg names it in its log only.
    describe: Callable[[], str] = getattr(container, "dumps_format", str)
    level = logging.get_level()
    logging.set_level(logging.INFO)
    try:
        described = re.search(r"Video: ([^,\n]+)", describe())
    finally:
        logging.set_level(level)
    return described[1].strip() if described else "unknown"
