"""Open a video file and decode its frames with FFmpeg (PyAV); say whether any are missing.

Damaged packets are passed over. No frame is given that may depend on one that was not decoded: none
before the first key frame or between a damaged packet and the next key frame, and none that the
decoder marks as corrupt.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Self

from attrs import define, field, frozen

from memories_async.local.engine.video.container import (
    MOST_PIXELS,
    FFmpegError,
    InputContainer,
    Packet,
    Stream,
    VideoFrame,
    VideoStream,
    choose_stream,
    open_container,
    read_stated_size,
)
from memories_async.local.engine.video.spare_frames import SpareFrames

__all__ = ["Decoder", "TimedFrame"]

_ODD_RATE = 1000.0
_FAILURES = 100
"""Errors of the container after which the rest of the file is given up."""
_SHARE, _SPARE = 0.98, 2
"""A file is complete with this share of its packets, less a few: containers often promise too many."""
# Containers whose header says how long the film is; others are estimated from what is there.
_TIMED = frozenset({"matroska", "webm", "mov", "asf", "avi", "flv", "mxf", "ivf"})
# Where each packet holds one whole frame; elsewhere a field, or one that is never shown.
_FRAMED = frozenset({"matroska", "webm", "mov"})
_FRAMED_CODECS = frozenset({"h264", "hevc"})
# The container's time stamps start anywhere (`AVFMT_TS_DISCONT`).
_DISCONTINUOUS = 0x0200
_MICROSECONDS = 1e-6


@frozen(kw_only=True)
class TimedFrame:
    """A frame that is whole, and the second at which it is shown; NaN where it has no time stamp."""

    time: float
    frame: VideoFrame | None
    """None where it was not decoded: no sample and no other frame needs it."""


@define(kw_only=True)
class Decoder:
    """An open video file."""

    container: InputContainer = field(repr=False)
    stream: VideoStream = field(repr=False)
    formats: frozenset[str]
    """The container's names, such as `mov` and `mp4`."""
    codec: str
    """The codec's name, such as `h264`."""
    rate: float
    """Frames a second that the container claims; 0 when absurd."""
    origin: float
    """The time stamp that counts as second 0."""
    is_cut_short: bool
    """Whether the file is smaller than it states."""
    is_complete: bool = True
    """Whether no packets are missing and all but a few were decoded; known once `frames` ends."""
    skipped: int = 0
    """Frames before the first key frame, which show nothing whole."""
    _packets: int = 0
    _promised: int = 0
    """Packets that hold a frame which is shown."""
    _given: int = 0
    _broken: int = 0
    """Packets that could not be decoded, and frames that were decoded only in part."""
    _is_interlaced: bool = False
    _first_key: int | None = None
    """Time stamp of the first key frame."""
    _key: int | None = None
    """Time stamp of the key frame from which frames are whole; None where they are not."""
    _reached: float = -math.inf
    """Latest second of any stream that was read."""

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the video at *path*. Raises `UnreadableVideo`."""
        container = open_container(path)
        try:
            stream = choose_stream(container)
            stream.thread_type = "AUTO"
            rate = float(stream.guessed_rate or 0)
            # Broadcasts start at any time stamp; everywhere else 0 is the beginning.
            starts_anywhere = container.format.flags & _DISCONTINUOUS
            return cls(
                container=container,
                stream=stream,
                formats=frozenset(container.format.name.split(",")),
                codec=stream.codec_context.codec.canonical_name,
                rate=rate if 0 < rate < _ODD_RATE else 0.0,
                origin=(container.start_time or 0) * _MICROSECONDS if starts_anywhere else 0.0,
                is_cut_short=path.stat().st_size < _SHARE * read_stated_size(path),
            )
        except BaseException:
            container.close()
            raise

    @property
    def duration(self) -> float:
        """Seconds that the container claims, or FFmpeg estimates; 0 where there is no figure."""
        return (self.container.duration or 0) * _MICROSECONDS

    @property
    def aspect(self) -> Fraction:
        """Width of a pixel divided by its height; 1 where the file does not say."""
        return self.stream.sample_aspect_ratio or Fraction(1)

    def frames(self, find_slot: Callable[[float], int] | None = None) -> Iterator[TimedFrame]:
        """Decode the file, and yield the frames that are whole, in the order in which they are shown.

        With *find_slot*, which numbers a frame by its second, only the first frame of each number is
        sure to be decoded; without it, all are.
        """
        has_key, spare = False, self._find_spare(find_slot)
        for packet in self._read_packets():
            if spare and has_key and not self._is_interlaced and spare.take(packet):
                continue
            try:
                frames = self.stream.decode(packet)  # pyright: ignore[reportUnknownMemberType] # the stub leaves the packet's kind open
            except FFmpegError:
                self._broken += 1
                has_key, self._key = False, None
                continue
            for frame in frames:
                # An edit list may hide the key frame, and some decoders do not mark it.
                has_key = has_key or frame.key_frame or _follows(frame, self._key)
                self._is_interlaced = self._is_interlaced or frame.interlaced_frame
                if frame.is_corrupt or (self._broken and not has_key):
                    self._broken += 1
                elif not has_key:
                    self.skipped += 1
                elif frame.width * frame.height <= MOST_PIXELS:
                    yield from self._give_spare(spare, before=frame.pts)
                    self._given += 1
                    yield TimedFrame(time=self._read_time(frame), frame=frame)
        yield from self._give_spare(spare, before=None)
        self.is_complete = self._check_complete()

    def _find_spare(self, find_slot: Callable[[float], int] | None) -> SpareFrames | None:
        if find_slot is None or not self.formats & _FRAMED:
            return None
        extradata = self.stream.codec_context.extradata
        return SpareFrames.read(
            self.codec, extradata, lambda stamp: find_slot(self._count_seconds(stamp))
        )

    def _give_spare(self, spare: SpareFrames | None, before: int | None) -> Iterator[TimedFrame]:
        """Give the frames that were not decoded and are shown before the time stamp *before*."""
        for stamp in spare.pop(before) if spare else ():
            self._given += 1
            yield TimedFrame(time=self._count_seconds(stamp), frame=None)

    def _read_time(self, frame: VideoFrame) -> float:
        # AVI stamps frames in the order in which they are decoded.
        stamp = frame.dts if "avi" in self.formats or frame.pts is None else frame.pts
        return math.nan if stamp is None else self._count_seconds(stamp)

    def _count_seconds(self, stamp: int) -> float:
        return float(stamp * (self.stream.time_base or 0)) - self.origin

    def _read_packets(self) -> Iterator[Packet[Stream]]:
        """Read the packets of the video stream; go on after an error, where the container can."""
        for _ in range(_FAILURES):
            try:
                for packet in self.container.demux():
                    stamp = packet.dts if packet.pts is None else packet.pts
                    if stamp is not None:
                        end = float((stamp + (packet.duration or 0)) * packet.time_base)
                        self._reached = max(self._reached, end)
                    if packet.stream is self.stream:
                        self._count(packet)
                        # The last one is empty: it makes the decoder give what it holds back.
                        yield packet
            except FFmpegError:
                self._broken += 1
            else:
                return

    def _count(self, packet: Packet[Stream]) -> None:
        if packet.size == 0:
            return
        self._packets += 1
        if packet.is_keyframe:
            self._first_key = packet.pts if self._first_key is None else self._first_key
            self._key = packet.pts if self._key is None else self._key
        self._promised += _follows(packet, self._first_key) and not packet.is_discard

    def _check_complete(self) -> bool:
        lost = self._broken
        if self.formats & _FRAMED and self.codec in _FRAMED_CODECS and not self._is_interlaced:
            lost = max(lost, self._promised - self._given)
        if self.is_cut_short or lost > (1 - _SHARE) * self._packets + _SPARE:
            return False
        count = self.stream.frames
        if "mov" in self.formats and count:
            # The table of frames, without those that an edit list leaves out.
            return self._packets >= _SHARE * len(self.stream.index_entries) - _SPARE
        if count and self._packets >= _SHARE * count - _SPARE:
            return True
        if not self.formats & _TIMED or not self.duration:
            return True
        return self._reached >= _SHARE * self.duration - _SPARE / (self.rate or 1)

    def close(self) -> None:
        """Close the file; may be called twice."""
        self.container.close()


def _follows(shown: VideoFrame | Packet[Stream], key: int | None) -> bool:
    """Whether *shown* comes no earlier than a key frame: then it needs nothing from before it."""
    return shown.pts is not None and key is not None and shown.pts >= key
