"""Build the index of a video in one straight pass over its file.

Decoding runs in the calling thread; two threads describe samples beside it. Memory is bounded: past
`_MOST` samples the distance between samples doubles, and those between are dropped. A shot that is
shorter than that distance keeps one sample: its pictures are held until its borders are known.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from attrs import Factory, define, field, frozen

from memories_async.local.engine._cv import Floats, Picture, cv2, np
from memories_async.local.engine.content_cache import PROGRESS
from memories_async.local.engine.protocol import Facts, Shot
from memories_async.local.engine.video.film import Film, Frame
from memories_async.local.engine.vision import colours, features, shots
from memories_async.local.engine.vision.embedding import summarise
from memories_async.local.engine.vision.index import (
    NO_STAGING,
    PixelIndex,
    Samples,
    Signals,
    save,
)
from memories_async.local.engine.vision.local_features import Points, find_points
from memories_async.local.engine.vision.motion import Motions
from memories_async.local.engine.vision.staging import add_staging

__all__ = ["index_video", "write_index"]

_EVERY = 0.5
_MOST = 1800
"""Samples kept: 15 minutes at two a second; an hour is sampled every two seconds."""
_MOST_SHORT = 3 * _MOST
"""Shots that keep a sample where they are shorter than the distance between samples."""
_LOOK_BACK, _SETTLED = 96, 32
"""Pictures in which borders are looked for while the film is read, and how many of the last ones may
still change: a border depends on what follows it. Twelve seconds and four."""
_INTO_SHOT = 0.75
"""Seconds after the border at which a short shot is sampled: after most dissolves."""
_LONGEST = 360
"""Pixels of a sample's longer side."""
_POINTS = 450
_AHEAD = 4
"""Samples being described beside the decoder."""


def write_index(video: str, result: str) -> None:
    """Index the file *video* and save the index to the file *result*; a task of `run_in_child`."""
    progress = Path(f"{result}{PROGRESS}")

    def tell(share: float) -> None:
        with suppress(OSError):
            progress.write_text(f"{share:.4f}")

    save(index_video(Path(video), tell=tell), Path(result))


def index_video(path: Path, *, tell: Callable[[float], None] | None = None) -> PixelIndex:
    """Decode and describe the video at *path*; *tell* gets the share that is done, if it is known.

    Raises `UnreadableVideo`.
    """
    recorder, sampler = _Recorder(), _Sampler()
    with Film.open(path) as film, ThreadPoolExecutor(2) as pool:
        for frame in film.frames(shots.RATE, longest=_LONGEST):
            recorder.add(frame)
            sampler.add(frame, pool)
            if len(recorder.times) % _SETTLED == 0:
                sampler.add_short_shots(recorder.find_shots(), pool)
                if tell is not None and film.decoder.duration:
                    tell(min(1.0, (frame.time - film.start) / film.decoder.duration))
        sampler.add_short_shots(recorder.find_shots(is_end=True), pool)
        described = sampler.finish()
        times, rows = np.array(recorder.times, np.float32), np.array(recorder.rows, np.float32)
        start, end = round(film.start, 3), round(film.start + film.duration, 3)
        index = PixelIndex(
            facts=Facts(
                duration=round(film.duration, 3),
                width=film.width,
                height=film.height,
                fps=round(film.rate, 3),
                frames=film.decoded,
                shots=shots.detect_shots(times, recorder.changes, start=start, end=end),
                complete=film.complete,
                start_time=start,
            ),
            samples=_join_samples(described),
            signals=Signals(
                times=times,
                light=rows[:, 0],
                motion=rows[:, 1],
                moved=np.array(recorder.motions.rows, np.float32),
            ),
            staging=NO_STAGING,
            summary=summarise([one.small for one in described]),
        )
    return add_staging(index, [one.small for one in described])


@frozen(kw_only=True)
class _SampleFeatures:
    """One sampled frame, described."""

    time: float
    looks: features.Looks
    points: Points
    colours: Floats
    sharpness: float
    small: Picture


@define
class _Recorder:
    """Records lightness and motion from picture to picture."""

    changes: shots.Changes = Factory(shots.Changes)
    times: list[float] = Factory(list[float])
    motions: Motions = Factory(Motions)
    rows: list[tuple[float, float]] = Factory(list[tuple[float, float]])
    _before: Floats | None = None

    def add(self, frame: Frame) -> None:
        small = shots.reduce_to_lab(frame.picture)
        self.changes.add(frame.picture, small)
        light = small[..., 0] * (100 / 255)
        change = np.abs(light - (light if self._before is None else self._before))
        self.rows.append((float(light.mean()), float(change.mean())))
        self.motions.add(frame.picture)
        self.times.append(frame.time)
        self._before = light

    def find_shots(self, *, is_end: bool = False) -> list[Shot]:
        """Find the shots that begin among the latest pictures; the last ones may still change."""
        latest = slice(-_LOOK_BACK, None)
        times, changes = self.times[latest], self.changes.take(latest)
        # Pictures at the beginning lack those before them: their shots were found earlier.
        first = times[0 if len(self.times) <= _LOOK_BACK else _SETTLED]
        last = times[-1 if is_end else -_SETTLED]
        found = shots.detect_shots(
            np.array(times, np.float32), changes, start=times[0], end=times[-1] + 1 / shots.RATE
        )
        return [shot for shot in found[1:] if first <= shot.start_time <= last]


@define
class _Sampler:
    """Sends samples to be described, and thins them out when they become too many."""

    _done: list[_SampleFeatures] = field(factory=list[_SampleFeatures])
    _under_way: deque[Future[_SampleFeatures]] = field(factory=deque[Future[_SampleFeatures]])
    _held: deque[Frame] = field(factory=lambda: deque[Frame](maxlen=round(2 * _LOOK_BACK / 8)))
    """Every half second of the latest pictures."""
    _borders: list[float] = field(factory=list[float])
    _times: list[float] = field(factory=list[float])
    """The times of all samples, rising."""
    _start: float | None = None
    _every: float = _EVERY
    _due: float = -math.inf

    def add(self, frame: Frame, pool: ThreadPoolExecutor) -> None:
        """Sample *frame* if it is due."""
        self._start = frame.time if self._start is None else self._start
        if not self._held or _count_steps(frame.time, _EVERY) > _count_steps(
            self._held[-1].time, _EVERY
        ):
            self._held.append(frame)
        if frame.time + 0.001 < self._due:
            return
        if frame.time - self._start >= _MOST * self._every - 0.001:
            self._thin_out()
        self._submit(frame, pool)
        self._due = (_count_steps(frame.time, self._every) + 1) * self._every

    def add_short_shots(self, found: list[Shot], pool: ThreadPoolExecutor) -> None:
        """Sample each shot of *found* that has no sample."""
        for shot in found:
            start, end = shot.start_time, shot.end_time
            is_known = self._borders and start < self._borders[-1] + _EVERY / 2
            if is_known or len(self._borders) >= _MOST_SHORT:
                continue
            self._borders.append(start)
            is_sampled = bisect_left(self._times, start) < bisect_left(self._times, end)
            inside = [frame for frame in self._held if start <= frame.time < end]
            if inside and not is_sampled:
                self._submit(min(inside, key=lambda one: abs(one.time - start - _INTO_SHOT)), pool)

    def _submit(self, frame: Frame, pool: ThreadPoolExecutor) -> None:
        if len(self._under_way) >= _AHEAD:
            self._done.append(self._under_way.popleft().result())
        insort(self._times, frame.time)
        self._under_way.append(pool.submit(_describe, frame))

    def _thin_out(self) -> None:
        """Double the distance between samples; keep the first of each longer step and of each shot."""
        self._every *= 2
        firsts = {
            (bisect_right(self._borders, one.time), _count_steps(one.time, self._every)): one
            for one in reversed(self.finish())
        }
        self._done = sorted(firsts.values(), key=lambda one: one.time)
        self._times = [one.time for one in self._done]

    def finish(self) -> list[_SampleFeatures]:
        """Wait for the samples that are being described, and return all, in their order."""
        self._done += [future.result() for future in self._under_way]
        self._under_way.clear()
        self._done.sort(key=lambda one: one.time)
        return self._done


def _count_steps(time: float, every: float) -> int:
    return int((time + 0.001) / every)


def _describe(frame: Frame) -> _SampleFeatures:
    picture = frame.picture
    grey = cv2.cvtColor(cv2.resize(picture, (160, 90)), cv2.COLOR_BGR2GRAY)
    return _SampleFeatures(
        time=frame.time,
        looks=features.describe(picture),
        points=find_points(picture, most=_POINTS),
        colours=colours.measure_shares(picture),
        sharpness=float(cv2.Laplacian(grey, cv2.CV_32F).var()),
        small=np.asarray(cv2.resize(picture, (96, 54), interpolation=cv2.INTER_AREA), np.uint8),
    )


def _join_samples(described: list[_SampleFeatures]) -> Samples:
    counts = [len(one.points) for one in described]
    return Samples(
        times=np.array([one.time for one in described], np.float32),
        looks=features.stack([one.looks for one in described]),
        points=Points(
            places=np.concatenate([one.points.places for one in described]),
            descriptors=np.concatenate([one.points.descriptors for one in described]),
        ),
        starts=np.cumsum([0, *counts], dtype=np.int64),
        colours=np.stack([one.colours for one in described]),
        sharpness=np.array([one.sharpness for one in described], np.float32),
    )
