"""Unusual and damaged video files, sent to the service: a right answer or a clear refusal."""

from __future__ import annotations

import asyncio
import os
import signal
import struct
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from attrs import frozen

pytest.importorskip("av", reason="PyAV writes the films")
pytest.importorskip("cv2", reason="needs the extra `local`")

import films
from films import even, write

from memories_async import InvalidRequest
from memories_async.local import LocalService
from memories_async.local.engine.pixels import PixelEngine
from memories_async.local.engine.protocol import EngineFailed, Facts
from memories_async.local.engine.video.picture import encode

MILLI, CENTI = Fraction(1, 1000), Fraction(1, 100)
HALF = Fraction(1, 2)
FILM_RATE = Fraction(24_000, 1001)
# 50 quick frames, then 50 slow ones; the cut is among the slow.
UNEVEN = [Fraction(n, 50) for n in range(50)] + [1 + Fraction(n, 10) for n in range(50)]
STEP = 0.13
"""Seconds within which a cut is found; the detector looks eight times a second."""


@frozen(kw_only=True)
class Kind:
    """A film to be written, and the facts about it."""

    name: str
    times: list
    cut: Fraction | float
    settings: dict
    duration: float
    fps: float = 25.0


def kind(name, times=None, *, cut=2, duration=4.0, fps=25.0, **settings):
    times = even(25, 4) if times is None else times
    return Kind(name=name, times=times, cut=cut, settings=settings, duration=duration, fps=fps)


QUICK = {"deadline": "realtime", "cpu-used": "8"}
KINDS = [
    kind("10-bit.mp4", pixels="yuv420p10le", rate=25),
    kind(
        "10-bit-hevc.mp4",
        codec="libx265",
        pixels="yuv420p10le",
        rate=25,
        **{"x265-params": "log-level=none"},
    ),
    kind("alpha.webm", codec="libvpx-vp9", pixels="yuva420p", rate=25, tick=MILLI, **QUICK),
    kind("alpha-png.mov", codec="png", pixels="rgba", rate=25),
    kind("alpha-animation.mov", codec="qtrle", pixels="argb", rate=25),
    kind("grey.mkv", codec="ffv1", pixels="gray", rate=25, tick=MILLI),
    kind("full-colour.mp4", pixels="yuv444p", rate=25),
    kind("odd-size.mkv", codec="ffv1", pixels="bgr0", rate=25, tick=MILLI, size=(333, 187)),
    kind("broadcast.ts", rate=25),
    kind("late.mp4", [5 + time for time in even(25, 4)], cut=7, rate=25),
    kind("late.mkv", [60 + time for time in even(25, 4)], cut=62, rate=25, tick=MILLI),
    kind("prores.mov", codec="prores_ks", pixels="yuv422p10le", rate=25),
    kind("motion-jpeg.avi", codec="mjpeg", pixels="yuvj420p", rate=25, tick=Fraction(1, 25)),
    kind("windows.wmv", codec="wmv2", rate=25, tick=MILLI),
    kind("flash.flv", codec="flv", rate=25, tick=MILLI),
    kind("disc.mpg", codec="mpeg2video", rate=25, tick=Fraction(1, 25)),
    kind("uneven.mp4", UNEVEN, cut=Fraction(32, 10), duration=6.0, fps=100 / 6),
    kind("uneven.mkv", UNEVEN, cut=Fraction(32, 10), duration=6.0, fps=100 / 6, tick=MILLI),
    kind("slow.mp4", even(HALF, 30), cut=16, duration=30, fps=0.5, rate=HALF),
    kind("quick.mp4", even(240, 2), cut=1, duration=2, fps=240.0, rate=240),
    kind("film.mp4", even(FILM_RATE, 4.004), duration=4.004, fps=23.976, rate=FILM_RATE),
    kind("large.mp4", even(5, 4), fps=5.0, rate=5, size=(3840, 2160), preset="ultrafast"),
    kind(
        "moving.gif", even(10, 3), cut=1.5, duration=3, fps=10, codec="gif", pixels="rgb8", rate=10
    ),
    kind("webm-named.mp4", codec="libvpx-vp9", rate=25, **QUICK),
    kind("mp4-named.txt", rate=25),
]


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    """One engine for all tests, so that each film is indexed once."""
    return PixelEngine(tmp_path_factory.mktemp("index"))


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A sound film."""
    return write(tmp_path_factory.mktemp("good") / "good.mp4", even(25, 4), cut=2, rate=25)


@pytest.fixture(scope="module")
def lasting(tmp_path_factory):
    """A film that takes long enough to index to be interrupted."""
    return write(tmp_path_factory.mktemp("lasting") / "lasting.mp4", even(25, 90), cut=2, rate=25)


def get_video_no(service, path):
    """The `video_no` of the film at *path*."""
    return next(one.video_no for one in service.library if one.path == path)


async def search_second_scene(client, video_no):
    """Search for the scene after the cut."""
    still = encode(films.picture(1, 0.75))
    return await client.clips.search(still, prompt="the same place", video_no=video_no)


@pytest.mark.parametrize("film", KINDS, ids=lambda film: film.name)
async def test_unusual_film_is_indexed_and_searched_correctly(film, engine, tmp_path):
    """Size, duration and rate are the file's; the clip is the scene after its cut."""
    path = tmp_path / film.name
    named = path.with_suffix({".txt": ".mp4"}.get(path.suffix, path.suffix))
    written = named.with_suffix(".webm") if film.name == "webm-named.mp4" else named
    write(written, film.times, cut=film.cut, **film.settings).rename(path)

    async with (
        LocalService([path], engine=engine, limits=None) as service,
        service.client() as client,
    ):
        (clip,) = await search_second_scene(client, get_video_no(service, path))

    facts: Facts = engine.index(path).facts
    assert facts.duration == pytest.approx(film.duration, abs=0.002)
    assert (facts.width, facts.height) == film.settings.get("size", films.SIZE)
    assert facts.fps == pytest.approx(film.fps, rel=0.04)
    assert (facts.frames, facts.complete, len(facts.shots)) == (len(film.times), True, 2)
    rough = max(STEP, 1 / film.fps)
    assert clip.start_time == pytest.approx(float(film.cut), abs=rough)
    assert clip.end_time == pytest.approx(float(film.times[0]) + film.duration, abs=0.002)
    assert clip.score > 0.5


def overwrite_pictures(content):
    """Replace the encoded pictures by random bytes."""
    start = content.index(b"mdat")
    size = int.from_bytes(content[start - 4 : start], "big") - 8
    noise = np.random.default_rng(1).bytes(size)
    return content[: start + 4] + noise + content[start + 4 + size :]


def remove_table(content):
    return content[: content.index(b"moov") - 4]


def build_gif(side):
    """Build an image of a few bytes and many pixels."""
    screen, image = (
        struct.pack("<HHBBB", side, side, 128, 0, 0),
        struct.pack("<4HB", 0, 0, side, side, 0),
    )
    return b"GIF89a" + screen + b"\x00\x00\x00\xff\xff\xff," + image + b"\x02\x02D\x01\x00;"


BAD = {
    "empty.mp4": (lambda _: b"", "is empty"),
    "cut-short.mp4": (lambda content: content[: len(content) // 2], "no video that can be read"),
    "no-table.mp4": (remove_table, "no video that can be read"),
    "overwritten.mp4": (overwrite_pictures, "no picture that can be decoded"),
    "noise.mp4": (lambda _: np.random.default_rng(2).bytes(50_000), "no video that can be read"),
    "text.mp4": (lambda _: b"#EXTM3U\nhttp://127.0.0.1:9/x.ts\n" * 9, "no video that can be read"),
    "huge.gif": (lambda _: build_gif(16_000), "16000x16000 pixels are too large"),
    "sound.mp4": (None, "no video that can be read"),
}


@pytest.mark.parametrize("name", BAD)
async def test_damaged_file_is_refused_and_the_next_one_answered(name, good, engine, tmp_path):
    """The client gets the reason, and nothing is paid."""
    path, (damage, reason) = tmp_path / name, BAD[name]
    if damage is None:
        films.sound(path)
    else:
        path.write_bytes(damage(good.read_bytes()))

    async with (
        LocalService([path, good], engine=engine, limits=None) as service,
        service.client() as client,
    ):
        with pytest.raises(InvalidRequest, match=reason) as refused:
            await search_second_scene(client, get_video_no(service, path))
        assert refused.value.billed == "no"
        assert service.account.points_spent == 0
        assert await search_second_scene(client, get_video_no(service, good))


async def test_film_of_one_frame_is_found(engine, tmp_path):
    """It lasts one frame."""
    path = write(tmp_path / "one.mp4", [Fraction(0)], cut=0, rate=25)
    async with (
        LocalService([path], engine=engine, limits=None) as service,
        service.client() as client,
    ):
        still = encode(films.picture(1))
        (clip,) = await client.clips.search(still, prompt="x", video_no=get_video_no(service, path))

    assert (clip.start_time, clip.end_time) == (0, pytest.approx(0.04))


async def test_decoder_over_its_time_limit_fails_its_video_only(good, engine, tmp_path):
    """The refusal names the limit."""
    engine.index(good)
    path = write(tmp_path / "slow.mp4", even(25, 2), cut=1, rate=25)
    hasty = PixelEngine(engine.index(good).path.parent, time_limit=0.2)

    async with (
        LocalService([path, good], engine=hasty, limits=None) as service,
        service.client() as client,
    ):
        with pytest.raises(InvalidRequest, match=r"decoding took longer than 0\.2 s"):
            await search_second_scene(client, get_video_no(service, path))
        assert await search_second_scene(client, get_video_no(service, good))


def find_worker(path):
    """Find the process that indexes *path*, once there is one."""
    for _ in range(5000):
        for process in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = process.read_bytes().split(b"\0")
            except OSError:
                continue
            if str(path).encode() in words:
                return int(process.parent.name)
        time.sleep(0.001)
    raise LookupError("nobody indexes it")


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="needs /proc")
async def test_crashed_decoder_fails_its_video_only(good, engine, tmp_path):
    """Whatever native code does, the service lives."""
    path = write(tmp_path / "deadly.mp4", even(25, 2), cut=1, rate=25)
    async with (
        LocalService([path, good], engine=engine, limits=None) as service,
        service.client() as client,
    ):
        number = get_video_no(service, path)
        asked = asyncio.ensure_future(search_second_scene(client, number))
        os.kill(await asyncio.to_thread(find_worker, path), signal.SIGSEGV)
        with pytest.raises(InvalidRequest, match=r"decoder died on this file .signal 11"):
            await asked
        assert await search_second_scene(client, get_video_no(service, good))


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="needs /proc")
async def test_decoder_killed_from_outside_costs_no_answer(tmp_path):
    """As the system does where memory runs out: the film is decoded once more."""
    path = write(tmp_path / "sound.mp4", even(25, 8), cut=1, rate=25)
    async with (
        LocalService([path], limits=None) as service,
        service.client() as client,
    ):
        asked = asyncio.ensure_future(search_second_scene(client, get_video_no(service, path)))
        os.kill(await asyncio.to_thread(find_worker, path), signal.SIGKILL)
        assert await asked
        assert await search_second_scene(client, get_video_no(service, path))


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="needs /proc")
@pytest.mark.skipif(os.cpu_count() == 1, reason="needs two cores")
async def test_two_videos_are_indexed_at_once(lasting, tmp_path):
    """The second starts while the first is not done."""
    other = write(tmp_path / "other.mp4", even(25, 2), cut=1, rate=25)
    async with LocalService([lasting, other], limits=None) as service:
        warming = asyncio.ensure_future(service.warm())
        first = await asyncio.to_thread(find_worker, lasting)
        os.kill(first, signal.SIGSTOP)
        assert await asyncio.to_thread(find_worker, other) != first
        os.kill(first, signal.SIGCONT)
        await warming


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="needs /proc")
async def test_service_that_stops_ends_its_engines_processes(lasting):
    """A request that still waits gets an error."""
    async with LocalService([lasting], limits=None) as service:
        video = service.library[0]
        indexing = asyncio.ensure_future(service._components.engine_pool.index(video))
        worker = await asyncio.to_thread(find_worker, lasting)
        os.kill(worker, signal.SIGSTOP)
    os.kill(worker, signal.SIGCONT)

    with pytest.raises(EngineFailed, match="interrupted"):
        await indexing
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)
