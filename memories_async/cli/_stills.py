"""Stills of a video in one straight pass: some that show its whole course, and those asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from attrs import define, field, frozen

from memories_async.local.engine._cv import Picture, shrink
from memories_async.local.engine.video.film import Film

_FINE = 8.0
"""Frames a second among which the wanted ones are looked for."""
_COURSE = 64
"""Stills of the whole course: at least half as many, where the video has that many."""
_LONGEST = 640


@frozen(kw_only=True)
class Stills:
    """What a video looks like."""

    duration: float
    """Seconds."""
    course: tuple[Picture, ...] = field(repr=False)
    """Evenly spread over the whole video; at least one."""
    asked: tuple[Picture, ...] = field(repr=False)
    """One for each time asked for, in that order."""

    def at(self, time: float) -> Picture:
        """Give the still of the course that is shown at second *time*."""
        place = int(len(self.course) * time / self.duration)
        return self.course[min(place, len(self.course) - 1)]


@define
class _Course:
    """Evenly spread stills of what is not known to end: when full, every second one goes."""

    kept: list[Picture] = field(factory=list[Picture])
    every: int = 1
    _seen: int = 0

    def add(self, picture: Picture) -> None:
        if self._seen % self.every == 0:
            self.kept.append(picture)
        self._seen += 1
        if len(self.kept) == _COURSE:
            del self.kept[1::2]
            self.every *= 2


def stills(video: Path, times: Sequence[float]) -> Stills:
    """Decode *video*, and keep the frame shown at each of *times*. Raises `UnreadableVideo`."""
    course, found = _Course(), dict[int, Picture]()
    due = sorted(range(len(times)), key=lambda place: times[place])
    with Film.open(video) as film:
        for frame in film.frames(_FINE):
            latest = shrink(frame.picture, _LONGEST)
            course.add(latest)
            while len(found) < len(due) and frame.time >= times[due[len(found)]]:
                found[due[len(found)]] = latest
        duration = film.duration
    asked = tuple(found.get(place, course.kept[-1]) for place in range(len(times)))
    return Stills(duration=duration, course=tuple(course.kept), asked=asked)
