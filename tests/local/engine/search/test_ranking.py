"""A wish shifts scores towards the moments that fulfil it."""

from __future__ import annotations

import attrs
import numpy as np
import pytest

from memories_async.local.engine.search.prompt import parse
from memories_async.local.engine.search.ranking import compute_factor
from memories_async.local.engine.vision.colours import NAMES


@pytest.fixture
def varied(index):
    """The film, with red rising from nothing and blue in all of it; light and motion rising."""
    count = len(index.samples.times)
    colours = np.zeros((count, len(NAMES)), np.float32)
    colours[:, NAMES.index("red")] = np.linspace(0, 0.2, count)
    colours[:, NAMES.index("blue")] = 0.3
    moments = len(index.signals.times)
    signals = attrs.evolve(
        index.signals,
        light=np.linspace(10, 90, moments, dtype=np.float32),
        motion=np.linspace(0, 9, moments, dtype=np.float32),
    )
    return attrs.evolve(
        index, samples=attrs.evolve(index.samples, colours=colours), signals=signals
    )


def test_no_wish_weighs_nothing(index):
    """Every factor is one."""
    assert (compute_factor(parse("a person with a hat"), index) == 1).all()


@pytest.mark.parametrize("prompt", ["red", "bright", "moving"])
def test_a_wish_prefers_what_fulfils_it(varied, prompt):
    """More is better, within bounds; negated, the other way round."""
    wanted, unwanted = (compute_factor(parse(p), varied) for p in (prompt, f"not {prompt}"))

    assert wanted[-1] > wanted[0]
    assert unwanted[-1] < unwanted[0]
    assert (np.concatenate((wanted, unwanted)) >= 0.5).all()
    assert (np.concatenate((wanted, unwanted)) <= 1).all()


def test_a_colour_that_is_always_there_tells_no_moment(varied):
    """Blue is in every frame alike."""
    assert np.ptp(compute_factor(parse("blue"), varied)) == 0


def test_a_colour_that_is_never_there_lowers_all_alike(varied):
    """There is no green: no moment is preferred, and trust sinks."""
    factor = compute_factor(parse("green"), varied)

    assert np.ptp(factor) == 0
    assert factor[0] < 1


def test_the_red_car_passes_when_it_passes(clip):
    """Of all the moments of a car park's camera, red comes when the red car comes."""
    from memories_async.local.engine.vision.indexing import index_video

    index = index_video(clip("car-detection.mp4"))

    best = index.samples.times[compute_factor(parse("red car"), index).argmax()]

    assert 15.0 <= best <= 18.6
