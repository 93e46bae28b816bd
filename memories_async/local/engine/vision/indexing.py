"""Build the index of a video in one straight pass over its file.

Decoding runs in the calling thread; two threads describe samples beside it. Memory is bounded: past
`_MOST` samples every second one is dropped and the distance between samples doubles.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from attrs import Factory, define, field, frozen

from memories_async.local.engine._cv import Floats, Picture, cv2, np
from memories_async.local.engine.protocol import Facts
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
from memories_async.local.engine.vision.staging import add_staging

__all__ = ["index_video", "write_index"]

_EVERY = 0.5
_MOST = 1800
"""Samples kept: 15 minutes at two a second; an hour is sampled every two seconds."""
_LONGEST = 360
"""Pixels of a sample's longer side."""
_POINTS = 300
_AHEAD = 4
"""Samples being described beside the decoder."""


def write_index(video: str, result: str) -> None:
    """Index the file *video* and save the index to the file *result*; a task of `run_in_child`."""
    save(index_video(Path(video)), Path(result))


def index_video(path: Path) -> PixelIndex:
    """Decode and describe the video at *path*. Raises `UnreadableVideo`."""
    recorder, sampler = _Recorder(), _Sampler()
    with Film.open(path) as film, ThreadPoolExecutor(2) as pool:
        for frame in film.frames(shots.RATE, longest=_LONGEST):
            recorder.add(frame)
            sampler.add(frame, pool)
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
            signals=Signals(times=times, light=rows[:, 0], motion=rows[:, 1], peak=rows[:, 2]),
            staging=NO_STAGING,
            summary=summarise([one.small for one in described]),
        )
    return add_staging(index)


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
    rows: list[tuple[float, float, float]] = Factory(list[tuple[float, float, float]])
    _before: Floats | None = None

    def add(self, frame: Frame) -> None:
        small = shots.reduce_to_lab(frame.picture)
        self.changes.add(frame.picture, small)
        light = small[..., 0] * (100 / 255)
        change = np.abs(light - (light if self._before is None else self._before))
        self.rows.append((float(light.mean()), float(change.mean()), float(change.max())))
        self.times.append(frame.time)
        self._before = light


@define
class _Sampler:
    """Sends samples to be described, and thins them out when they become too many."""

    _done: list[_SampleFeatures] = field(factory=list[_SampleFeatures])
    _under_way: deque[Future[_SampleFeatures]] = field(factory=deque[Future[_SampleFeatures]])
    _every: float = _EVERY
    _due: float = 0.0

    def add(self, frame: Frame, pool: ThreadPoolExecutor) -> None:
        if frame.time + 0.001 < self._due:
            return
        if len(self._under_way) >= _AHEAD:
            self._done.append(self._under_way.popleft().result())
        self._under_way.append(pool.submit(_describe, frame))
        if len(self._done) + len(self._under_way) >= _MOST:
            # Double the distance between samples; keep the first one of each longer step.
            self._every *= 2
            firsts = {self._count_steps(one.time): one for one in reversed(self.finish())}
            self._done = [firsts[step] for step in sorted(firsts)]
        self._due = (self._count_steps(frame.time) + 1) * self._every

    def _count_steps(self, time: float) -> int:
        return int((time + 0.001) / self._every)

    def finish(self) -> list[_SampleFeatures]:
        """Wait for the samples that are being described, and return all."""
        self._done += [future.result() for future in self._under_way]
        self._under_way.clear()
        return self._done


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
