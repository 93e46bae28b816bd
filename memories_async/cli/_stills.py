"""Still pictures of a video, decoded in one pass: an overview, and the best frame of each clip."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from attrs import field, frozen

from memories_async.local.engine._cv import Picture
from memories_async.local.engine.video.film import Film
from memories_async.local.engine.vision.features import describe, stack

_RATE = 8.0
"""Frames a second that are compared."""
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
    """One for each span that was asked for, in that order."""

    def at(self, time: float) -> Picture:
        """Return the picture of the overview that is nearest to second *time*."""
        share = (time - self.start) / (self.duration - self.start)
        place = int(len(self.overview) * max(share, 0.0))
        return self.overview[min(place, len(self.overview) - 1)]


def take_stills(video: Path, spans: Sequence[tuple[float, float]], image: Picture) -> Stills:
    """Decode *video*, and keep the frame of each span that is most like *image*.

    A span is a first and a last second. Raises `UnreadableVideo`.
    """
    overview: list[Picture] = []
    every = 1
    query = describe(image)
    best: list[tuple[float, Picture] | None] = [None] * len(spans)
    with Film.open(video) as film:
        for number, frame in enumerate(film.frames(_RATE, longest=_SIZE)):
            if number % every == 0:
                overview.append(frame.picture)
            if len(overview) == _MOST:
                # The length is not known beforehand: when the overview is full, halve it.
                del overview[1::2]
                every *= 2
            # The first frame after the start of a span counts too: a span may hold no frame.
            within = [
                place
                for place, (start, end) in enumerate(spans)
                if start <= frame.time and (frame.time <= end or best[place] is None)
            ]
            if not within:
                continue
            likeness = float(query.compare(stack([describe(frame.picture)])).mean())
            for place in within:
                found = best[place]
                if found is None or likeness > found[0]:
                    best[place] = (likeness, frame.picture)
        start, end = film.start, film.start + film.duration
    frames = tuple(overview[-1] if found is None else found[1] for found in best)
    return Stills(start=start, duration=end, overview=tuple(overview), frames=frames)
