"""Score every sample of a video for a query and a prompt; compare more where a camera stood still.

Under a still camera all frames look alike: the place is found at once, the moment is not. A query
that covers a small part of the picture is a thing that comes and goes; then every frame's points are
compared. A query that covers most of it is a state of the place; then frames that differ from the
best one more than frames of one state do score less.

A prompt shifts scores and never makes a match: its factor on a score stays between `_FLOOR` and 1.
"""

from __future__ import annotations

from attrs import frozen

from memories_async.local.engine._cv import Floats, Numbers, np
from memories_async.local.engine.search.matching import ImageQuery, compare, compute_score
from memories_async.local.engine.search.prompt import PromptIntent
from memories_async.local.engine.vision.colour_names import NAMES
from memories_async.local.engine.vision.index import PixelIndex

__all__ = ["KEEP", "Ranking", "compute_factor", "rank"]

KEEP = 0.3
"""Lowest score that is answered: an empty list is a right answer."""
_PART = 0.4
"""Share of the picture up to which a query is a thing."""
_WHOLE = 0.8
"""Share from which, and up to the inverse of which, a query is the whole picture."""
_ENOUGH = 0.6
"""Share of the best sample's inliers that counts as all of them."""
_LONG = 8.0
"""Seconds; shorter shots are answered whole."""
_NEAR = 300
"""Samples around the best one whose points are compared."""
_OTHERWISE = 0.45
"""Factor on the score of another state of the place."""
_AROUND = 2.0
"""Seconds on each side of a sample that show how much its state moves by itself."""
_LEAST, _TIMES = 0.012, 2.0
"""Another state differs by more than this, and by so many times that movement."""
_FLOOR = 0.5
_ABSENT = 0.5
"""Presence where the whole video lacks the colour, so that it tells no moment from another."""
_SOFT_FLOOR = 0.7
"""Motion and light count less than a colour."""
_NOTICED = 0.003
"""Share of the picture below which a colour counts as absent."""
_PLENTY = 0.05
_MUCH = 0.15
"""Share at which an unwanted colour counts in full."""


@frozen(kw_only=True)
class Ranking:
    """The score of each sample, and how clips are cut in one shot."""

    scores: Floats
    strict: int = -1
    """A shot in which frames join by their scores alone, however alike; -1 is none."""
    level: float = 0.0
    """Share of the best frame's score that they need there."""


def rank(query: ImageQuery, index: PixelIndex, factor: Floats) -> Ranking:
    """Score each sample, times *factor*."""
    comparison = compare(query, index)
    scores = compute_score(comparison.evidence)
    best = int((scores * factor).argmax())
    shot = int(index.shot_numbers[best])
    bounds = index.facts.shots[shot]
    is_long = bounds.end_time - bounds.start_time >= _LONG
    if not is_long or not index.staging.steady[shot] or float(scores[best]) < KEEP:
        return Ranking(scores=scores * factor)
    inside = np.flatnonzero(index.shot_numbers == shot)
    coverage = comparison.measure_coverage(index, best)
    if coverage > _PART:
        if _WHOLE < coverage < 1 / _WHOLE:
            best = int(inside[comparison.likeness[inside, :3].sum(axis=1).argmax()])
        # The place is there all the time: what tells moments apart is how it looked.
        scores[inside] = float(scores[inside].max()) * _weigh_states(best, inside, index)
        return Ranking(scores=scores * factor, strict=shot, level=0.5)
    near = inside[np.argsort(np.abs(inside - best), kind="stable")[:_NEAR]]
    comparison = comparison.compare_points(index.samples, near)
    # The place around a thing agrees too: each sample is measured against the best one.
    share = np.ones(len(scores), np.float32)
    most = float(comparison.counts[inside].max())
    share[inside] = np.minimum(comparison.counts[inside] / (_ENOUGH * most), 1) ** 2
    return Ranking(scores=compute_score(comparison.evidence) * share * factor, strict=shot)


def _weigh_states(best: int, inside: Numbers, index: PixelIndex) -> Floats:
    """Weigh the samples of a shot: those that look like *best*, and those of another state.

    Another state of the place differs more from it than what is near it in time.
    """
    thumb, times = index.samples.looks.thumb, index.samples.times
    distance = np.clip(1 - thumb[inside] @ thumb[best], 0, 1)
    around = np.abs(times[inside] - times[best]) <= _AROUND
    same = distance <= _LEAST + _TIMES * float(np.median(distance[around]))
    return np.where(same, 1 - distance, _OTHERWISE).astype(np.float32)


def compute_factor(intent: PromptIntent, index: PixelIndex) -> Floats:
    """Compute how far each sample of *index* fulfils a prompt; 1 where nothing is asked."""
    factor, colours = np.ones(len(index.samples.times), np.float32), index.samples.colours
    for names in intent.wanted:
        presence = _measure_presence(_add_shares(colours, names))
        factor = factor * (_FLOOR + (1 - _FLOOR) * presence)
    for names in intent.unwanted:
        absence = 1 - np.minimum(_add_shares(colours, names) / _MUCH, 1)
        factor = factor * (_FLOOR + (1 - _FLOOR) * absence)
    if intent.moving is not None:
        motion = _average_at_samples(index.signals.motion, index)
        factor = factor * _soften(motion / (motion + 1), wanted=intent.moving)
    if intent.bright is not None:
        light = (_average_at_samples(index.signals.light, index) - 25) / 45
        factor = factor * _soften(np.clip(light, 0, 1, dtype=np.float32), wanted=intent.bright)
    return np.asarray(factor, np.float32)


def _add_shares(colours: Floats, names: tuple[str, ...]) -> Floats:
    places = [NAMES.index(name) for name in names]
    return np.asarray(colours[:, places].sum(axis=1), np.float32)


def _measure_presence(share: Floats) -> Floats:
    """Measure a colour against the most of it that the video has, up to plenty."""
    most = float(share.max())
    if most < _NOTICED:
        return np.full_like(share, _ABSENT)
    # What is there all the time (a red wall) tells no moment from another.
    always = float(np.percentile(share, 10))
    if most - always < _NOTICED:
        return np.ones_like(share)
    return np.asarray(np.clip((share - always) / min(most - always, _PLENTY), 0, 1), np.float32)


def _soften(share: Floats, *, wanted: bool) -> Floats:
    return _SOFT_FLOOR + (1 - _SOFT_FLOOR) * (share if wanted else 1 - share)


def _average_at_samples(values: Floats, index: PixelIndex) -> Floats:
    """Average a signal over a quarter of a second on each side of every sample, inside its shot."""
    times, shots = index.signals.times, index.facts.shots
    borders = np.array([shot.start_time for shot in shots[1:]])
    # The first picture of a shot differs from the shot before: it says nothing of this one.
    begins = np.concatenate(([0], np.minimum(np.searchsorted(times, borders) + 1, len(times) - 1)))
    ends = np.concatenate((np.searchsorted(times, borders), [len(times)]))
    numbers = np.maximum(index.shot_numbers, 0)
    first = np.searchsorted(times, index.samples.times - 0.26)
    first = np.minimum(np.maximum(first, begins[numbers]), len(times) - 1)
    last = np.minimum(np.searchsorted(times, index.samples.times + 0.26), ends[numbers])
    last = np.maximum(last, first + 1)
    sums = np.concatenate(([0.0], np.cumsum(values, dtype=np.float64)))
    return np.asarray((sums[last] - sums[first]) / (last - first), np.float32)
