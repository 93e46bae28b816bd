"""A prompt raises the scores of frames that fulfil it; better evidence elsewhere lowers them."""

from __future__ import annotations

import attrs
import numpy as np
import pytest

from memories_async.local.engine.search.matching import Comparison, compute_score
from memories_async.local.engine.search.prompt import parse
from memories_async.local.engine.search.ranking import compute_factor
from memories_async.local.engine.vision.colour_names import NAMES
from memories_async.local.engine.vision.local_features import Points


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


def test_prompt_without_known_words_changes_no_score(index):
    """Every factor is 1."""
    assert (compute_factor(parse("a person with a hat"), index) == 1).all()


@pytest.mark.parametrize("prompt", ["red", "bright", "moving"])
def test_factor_rises_with_what_is_asked(varied, prompt):
    """Within bounds; a negated word reverses it."""
    wanted, unwanted = (compute_factor(parse(p), varied) for p in (prompt, f"not {prompt}"))

    assert wanted[-1] > wanted[0]
    assert unwanted[-1] < unwanted[0]
    assert (np.concatenate((wanted, unwanted)) >= 0.5).all()
    assert (np.concatenate((wanted, unwanted)) <= 1).all()


def test_motion_of_a_cut_is_no_motion_of_its_shots(index):
    """Frozen shots on both sides of a moving one stay at the lowest factor up to the cuts."""
    shots, times = index.facts.shots, index.signals.times
    motion = np.zeros(len(times), np.float32)
    motion[(times >= shots[1].start_time) & (times < shots[1].end_time)] = 9
    for shot in shots[1:]:
        motion[np.searchsorted(times, shot.start_time)] = 60
    signals = attrs.evolve(index.signals, motion=motion)

    factor = compute_factor(parse("moving"), attrs.evolve(index, signals=signals))

    numbers = index.shot_numbers
    assert factor[numbers != 1] == pytest.approx(0.7)
    assert factor[numbers == 1] == pytest.approx(0.7 + 0.3 * 0.9)


def test_colour_in_every_frame_prefers_no_moment(varied):
    """Blue is in every frame alike."""
    assert np.ptp(compute_factor(parse("blue"), varied)) == 0


def test_colour_between_two_names_is_found_by_either(varied):
    """Red rises, brown is absent: red-brown is asked as red is."""
    factors = [compute_factor(parse(prompt), varied) for prompt in ("red-brown", "red", "brown")]

    assert factors[0].tolist() == pytest.approx(factors[1].tolist())
    assert np.ptp(factors[2]) == 0


def test_absent_colour_lowers_all_scores_alike(varied):
    """No moment is preferred."""
    factor = compute_factor(parse("green"), varied)

    assert np.ptp(factor) == 0
    assert factor[0] < 1


def test_red_car_is_preferred_while_it_passes(clip):
    """In a recording of a car park."""
    from memories_async.local.engine.vision.indexing import index_video

    index = index_video(clip("car-detection.mp4"))

    best = index.samples.times[compute_factor(parse("red car"), index).argmax()]

    assert 15.0 <= best <= 18.6


@pytest.mark.parametrize(
    ("agreement", "answered"),
    [
        pytest.param((60, 12, 12), (True, True, False), id="a lookalike"),
        pytest.param((12, 12, 12), (True, True, True), id="the same scene twice"),
    ],
)
def test_place_that_another_one_explains_better_scores_less(agreement, answered):
    """The first two samples show one place, the third another with windows that are alike."""
    comparison = Comparison(
        counts=np.array(agreement, np.float32),
        agreement=np.array(agreement, np.float32),
        likeness=np.full((3, 4), 0.8, np.float32),
        places=np.array([0, 0, 1]),
        points=Points(places=np.zeros((60, 2)), descriptors=np.zeros((60, 128))),
        richness=3.0,
        size=(360, 200),
    )

    assert tuple(compute_score(comparison.evidence) >= 0.3) == answered
