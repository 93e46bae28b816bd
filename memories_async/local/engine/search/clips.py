"""Find clips: grow each around a good frame, while frames look alike, up to a cut to another place."""

from __future__ import annotations

from itertools import pairwise

from memories_async.local.engine._cv import Flags, Floats, np
from memories_async.local.engine.protocol import Match, SearchResult
from memories_async.local.engine.search.matching import make_query
from memories_async.local.engine.search.prompt import parse
from memories_async.local.engine.search.ranking import KEEP, Ranking, compute_factor, rank
from memories_async.local.engine.video.picture import decode
from memories_async.local.engine.vision.index import PixelIndex

__all__ = ["find_clips", "grow_clips"]

_ALIKE = 0.7
_WHOLE = 8.0
"""Seconds; a shot up to this long is one moment, however much changes in it."""
_MOST = 20
_FULFILS = 0.6
_GAP = 3
"""Samples that may be missing in a clip: something passed in front, or a frame was blurred."""


def find_clips(index: PixelIndex, image: bytes, prompt: str) -> SearchResult:
    """Find the clips that look like *image*, weighed by *prompt*. Raises `UnreadableImage`."""
    intent = parse(prompt)
    query = make_query(decode(image), centre=intent.centre, colourless=intent.colourless)
    factor = compute_factor(intent, index)
    clips = grow_clips(rank(query, index, factor), index, keep=KEEP, factor=factor)
    return SearchResult(clips=clips, ignored=intent.ignored)


def grow_clips(
    ranking: Ranking, index: PixelIndex, *, keep: float, factor: Floats
) -> tuple[Match, ...]:
    """Grow clips around the frames that score at least *keep*, best first.

    *factor* says how far each frame fulfils the prompt: a frame that fulfils it much less than the
    best one does not join, however alike. Where frames join by their scores alone, short gaps are
    filled.
    """
    left = ranking.scores.copy()
    shot, place = index.shot_numbers, index.place_numbers
    clips: list[Match] = []
    while len(clips) < _MOST and float(left.max()) >= keep:
        best = int(left.argmax())
        if shot[best] == ranking.strict:
            good = left >= max(keep, ranking.level * float(left[best]))
            joins = _fill_gaps(good) & (shot == shot[best])
        else:
            joins = (left >= left[best] / 2) | _find_alike(best, index)
            joins &= place == place[best]
        # A frame below zero belongs to a better clip already.
        joins &= (factor >= _FULFILS * factor[best]) & (left >= 0)
        first = last = best
        while first > 0 and joins[first - 1]:
            first -= 1
        while last + 1 < len(joins) and joins[last + 1]:
            last += 1
        left[first : last + 1] = -1
        start, end = _find_borders(first, last, index)
        score = round(float(ranking.scores[best]), 4)
        clips.append(Match(start_time=round(start, 3), end_time=round(end, 3), score=score))
    return tuple(clips)


def _find_alike(best: int, index: PixelIndex) -> Flags:
    """Find the samples that go with the one at *best*: those of short shots, and what looks like it."""
    lengths = np.array([shot.end_time - shot.start_time for shot in index.facts.shots])
    looks = index.samples.looks
    total = (
        looks.colours @ looks.colours[best]
        + looks.edges @ looks.edges[best]
        + looks.thumb @ looks.thumb[best]
    )
    alike = np.asarray(total / 3, np.float32) >= _ALIKE
    return np.asarray((lengths[index.shot_numbers] <= _WHOLE) | alike, np.bool_)


def _fill_gaps(good: Flags) -> Flags:
    filled = good.copy()
    for before, after in pairwise(np.flatnonzero(good).tolist()):
        if after - before <= _GAP + 1:
            filled[before:after] = True
    return filled


def _find_borders(first: int, last: int, index: PixelIndex) -> tuple[float, float]:
    """Find the seconds half way to the next sample, or at the cut where there is one."""
    times, shot = index.samples.times, index.shot_numbers
    start = index.facts.shots[int(shot[first])].start_time
    end = index.facts.shots[int(shot[last])].end_time
    if first > 0 and shot[first - 1] == shot[first]:
        start = float(times[first - 1] + times[first]) / 2
    if last + 1 < len(times) and shot[last + 1] == shot[last]:
        end = float(times[last] + times[last + 1]) / 2
    return start, min(max(end, start), index.facts.shots[-1].end_time)
