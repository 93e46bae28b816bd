"""Frames that no sample and no other frame needs are not decoded, and all others are."""

from __future__ import annotations

from fractions import Fraction

import pytest
from quadrants import has_encoder, write

from memories_async.local.engine.video.decoder import Decoder
from memories_async.local.engine.video.spare_frames import SpareFrames

TIMES = [Fraction(at, 30) for at in range(60)]
AVCC = bytes([1, 100, 0, 31, 0xFF, 0xE1, 0])
HVCC = bytes([1, *[0] * 20, 0b0000_1111, 0])
LAYERED = bytes([1, *[0] * 20, 0b0001_0111, 0])


def find_slot(second):
    return int(second * 8 + 0.008)


def count_left_out(path):
    """Count the frames that are left out at eight samples a second, and all."""
    decoder = Decoder.open(path)
    frames = list(decoder.frames(find_slot))
    decoder.close()
    assert decoder.is_complete
    assert [frame.time for frame in frames] == sorted(frame.time for frame in frames)
    return sum(frame.frame is None for frame in frames), len(frames)


@pytest.mark.parametrize(
    ("name", "codec"),
    [("film.mp4", "libx264"), ("film.mkv", "libx264"), ("film.mp4", "libx265")],
)
def test_b_frames_are_left_out(tmp_path, name, codec):
    """Of three frames in a sample's slot, those from which nothing is predicted."""
    if not has_encoder(codec):
        pytest.skip(f"this FFmpeg has no encoder {codec}")
    settings = {"x265-params": "log-level=none:bframes=3:b-adapt=0:scenecut=0"}
    if codec == "libx264":
        settings = {"bf": "3", "x264-params": "b-adapt=0:scenecut=0"}
    path = write(tmp_path / name, codec, rate=30, times=TIMES, **settings)

    left_out, count = count_left_out(path)

    assert count == 60
    assert left_out >= 15


@pytest.mark.parametrize(
    ("name", "codec", "settings"),
    [
        ("no-b-frames.mp4", "libx264", {"bf": "0"}),
        ("interlaced.mp4", "libx264", {"x264-params": "tff=1", "flags": "+ilme+ildct"}),
        ("broadcast.ts", "libx264", {}),
        ("film.webm", "libvpx-vp9", {"deadline": "realtime", "cpu-used": "8"}),
        ("film.avi", "mpeg4", {"bf": "2"}),
    ],
)
def test_all_frames_are_decoded_where_the_file_does_not_tell(tmp_path, name, codec, settings):
    """Or where a packet may hold less than a frame."""
    path = write(tmp_path / name, codec, rate=30, times=TIMES, **settings)

    assert count_left_out(path) == (0, 60)


class Packet(bytes):
    """A packet, as far as it is looked at."""

    is_discard = False

    def __new__(cls, pts, *units):
        packet = super().__new__(cls, b"".join(len(unit).to_bytes(4) + unit for unit in units))
        packet.pts = pts
        return packet


USED, UNUSED = b"\x41\x9a\x00", b"\x01\x9e\x00"
"""Slices of H.264 that other frames need, and need not."""


@pytest.fixture
def spare():
    """Eight stamps make a slot, and a frame of stamp 0 and one of stamp 6 were read."""
    found = SpareFrames.read("h264", AVCC, lambda stamp: stamp // 8)
    assert not found.take(Packet(0, USED))
    assert not found.take(Packet(6, USED))
    return found


def test_frame_between_two_of_its_slot_is_spare(spare):
    """Its time stamp is given in its turn."""
    assert spare.take(Packet(4, b"\x06\x05", UNUSED))
    assert spare.take(Packet(2, UNUSED))
    assert spare.pop(3) == [2]
    assert spare.pop(None) == [4]


@pytest.mark.parametrize(
    ("stamp", "units"),
    [
        (4, (USED,)),
        (7, (UNUSED,)),
        (-2, (UNUSED,)),
        (None, (UNUSED,)),
        (4, (b"\x06\x05",)),
        (4, (bytes(400),)),
    ],
    ids=["needed", "last", "first of its slot", "no time stamp", "no slice", "zeros"],
)
def test_any_other_frame_is_decoded(spare, stamp, units):
    """Also where it is uncertain."""
    assert not spare.take(Packet(stamp, *units))
    assert spare.pop(None) == []


def test_frame_that_an_edit_list_hides_is_decoded(spare):
    """It is not counted either."""
    packet = Packet(4, UNUSED)
    packet.is_discard = True

    assert not spare.take(packet)


@pytest.mark.parametrize(
    ("record", "unit", "is_spare"),
    [
        (HVCC, b"\x00\x01\x00", True),
        (HVCC, b"\x02\x01\x00", False),
        (HVCC, b"\x26\x01\x00", False),
        (LAYERED, b"\x00\x01\x00", False),
        (LAYERED, b"\x00\x02\x00", True),
    ],
    ids=["unreferenced", "referenced", "key frame", "lower layer", "top layer"],
)
def test_hevc_pictures_of_lower_layers_are_decoded(record, unit, is_spare):
    """A higher temporal layer may be predicted from them."""
    found = SpareFrames.read("hevc", record, lambda stamp: stamp // 8)
    for stamp in (0, 6):
        found.take(Packet(stamp, b"\x02\x01\x00"))

    assert found.take(Packet(4, unit)) is is_spare


@pytest.mark.parametrize(
    ("codec", "record"),
    [("h264", None), ("h264", b"\x00\x00\x00\x01\x67\x64\x00"), ("hevc", AVCC), ("vp9", AVCC)],
)
def test_stream_without_its_record_has_no_spare_frames(codec, record):
    """Other codecs and raw streams."""
    assert SpareFrames.read(codec, record, int) is None
