"""Still pictures of a video, decoded in one pass: an overview, and the frames at given times."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from attrs import field, frozen

from memories_async.local.engine._cv import Picture
from memories_async.local.engine.video.film import Film

_RATE = 8.0
"""Frames a second that are decoded: a still is at most 1/8 s from the time asked for."""
_MOST = 64
"""The overview keeps at least half as many stills, where the video has that many frames."""
_SIZE = 640


@frozen(kw_only=True)
class Stills:
    """Still pictures of a video."""

    start: float
    """Second at which the first frame is shown; 0 in most files."""
    duration: float
    """Second at which the last frame ends."""
    overview: tuple[Picture, ...] = field(repr=False)
    """Evenly spread over the whole video; at least one."""
    frames: tuple[Picture, ...] = field(repr=False)
    """One for each time that was asked for, in that order."""

    def at(self, time: float) -> Picture:
        """Return the picture of the overview that is nearest to second *time*."""
        share = (time - self.start) / (self.duration - self.start)
        place = int(len(self.overview) * max(share, 0.0))
        return self.overview[min(place, len(self.overview) - 1)]


def take_stills(video: Path, times: Sequence[float]) -> Stills:
    """Decode *video*, and keep the frame shown at each of *times*. Raises `UnreadableVideo`."""
    overview: list[Picture] = []
    every = 1
    found: dict[int, Picture] = {}
    due = sorted(range(len(times)), key=lambda place: times[place])
    with Film.open(video) as film:
        for number, frame in enumerate(film.frames(_RATE, longest=_SIZE)):
            picture = frame.picture
            if number % every == 0:
                overview.append(picture)
            if len(overview) == _MOST:
                # The length is not known beforehand: when the overview is full, halve it.
                del overview[1::2]
                every *= 2
            while len(found) < len(due) and frame.time >= times[due[len(found)]]:
                found[due[len(found)]] = picture
        start, end = film.start, film.start + film.duration
    frames = tuple(found.get(place, overview[-1]) for place in range(len(times)))
    return Stills(start=start, duration=end, overview=tuple(overview), frames=frames)
