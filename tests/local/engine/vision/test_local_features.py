"""Inliers are the points that one similarity transform explains."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from memories_async.local.engine.search import matching
from memories_async.local.engine.video.scenery import paint
from memories_async.local.engine.vision.local_features import (
    count_inliers,
    find_points,
    fit_similarity,
    match_points,
)

PLACES = np.random.default_rng(1).uniform(0, 360, (40, 2)).astype(np.float32)
ALIKE = np.full(40, 0.9, np.float32)


def moved(places, *, scale=1.0, angle=0.0, by=(0.0, 0.0)):
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return (places @ turn * scale + by).astype(np.float32)


@pytest.mark.parametrize("change", [{}, {"scale": 0.4}, {"angle": 0.5}, {"by": (60, -20)}])
def test_inliers_of_one_transform_are_counted(change):
    """Outliers are not."""
    there = moved(PLACES, **change)
    there[:10] = np.random.default_rng(2).uniform(0, 360, (10, 2))

    assert 25 <= count_inliers(PLACES, there, ALIKE)[0] <= 33


def test_equal_descriptors_count_more_than_those_that_are_alike():
    """Five of the same footage say more than five of another face."""
    few = PLACES[:5]

    equal, alike = (count_inliers(few, few, np.full(5, cosine)) for cosine in (0.99, 0.91))

    assert equal == (5, 8)
    assert alike == (5, 1)


def test_equal_descriptors_that_are_turned_gain_nothing():
    """What is cut out of a film stands upright; two windows of a house may be turned."""
    few = PLACES[:5]

    assert count_inliers(few, moved(few, angle=0.5), np.full(5, 0.99)) == (5, 5)


def test_many_points_that_are_alike_still_count():
    """A blurred or brightened picture has no equal descriptors; its weights cost it four points."""
    assert count_inliers(PLACES, PLACES, ALIKE)[1] == count_inliers(PLACES, PLACES, ALIKE)[0] - 4


def test_random_positions_have_few_inliers():
    """They are unrelated."""
    there = np.random.default_rng(3).uniform(0, 360, (40, 2)).astype(np.float32)

    assert count_inliers(PLACES, there, ALIKE)[0] < 8


def test_points_at_one_position_count_once():
    """A repeating pattern may map everything to one position."""
    assert count_inliers(PLACES, np.full_like(PLACES, 100) + PLACES * 0.001, ALIKE)[0] <= 2


def test_transform_that_shrinks_to_a_dot_is_rejected():
    """Nothing can be recognised at that size."""
    transform, kept = fit_similarity(PLACES, moved(PLACES, scale=0.02))

    assert transform is None
    assert not kept.any()


def test_single_position_has_no_transform():
    """All points come from the same place."""
    assert fit_similarity(np.full_like(PLACES, 7), PLACES)[0] is None


@pytest.mark.parametrize("count", [0, 3])
def test_too_few_points_have_no_transform(count):
    """Any three fit some transform."""
    assert count_inliers(PLACES[:count], PLACES[:count], ALIKE[:count]) == (0, 0)


def test_points_are_matched_in_a_turned_picture():
    """By their descriptors."""
    picture = paint("city", np.random.default_rng(5), (320, 180))
    turn = cv2.getRotationMatrix2D((160, 90), 20, 1)
    there = np.asarray(cv2.warpAffine(picture, turn, (320, 180)), np.uint8)

    left, right = match_points(find_points(picture, most=200), find_points(there, most=200))

    assert count_inliers(left, right, np.ones(len(left)))[0] > 20


def test_plain_picture_has_no_points_and_no_matches():
    """It has no texture."""
    plain = find_points(np.full((90, 160, 3), 70, np.uint8), most=50)

    assert len(plain) == 0
    assert len(match_points(plain, plain)[0]) == 0


def test_weaker_points_are_compared_where_the_strongest_leave_doubt(index, frame, monkeypatch):
    """A detail may have none of the strongest points of its frame."""
    detail = np.ascontiguousarray(frame(4.7)[90:180, 160:320])
    monkeypatch.setattr(matching, "_STRONGEST", 2)

    assert matching.compare(matching.make_query(detail), index).counts.max() > 8


def test_coverage_is_measured_from_the_points(index, frame):
    """A quarter of a frame covers a quarter; unknown coverage counts as all of it."""
    time = float(index.samples.times[10])
    quarter = np.ascontiguousarray(frame(time)[60:195, 100:340])
    plain = np.full((90, 160, 3), 70, np.uint8)

    seen, blind = (matching.compare(matching.make_query(one), index) for one in (quarter, plain))

    assert seen.measure_coverage(index, 10) == pytest.approx(0.25, abs=0.03)
    assert blind.measure_coverage(index, 10) == 1.0
