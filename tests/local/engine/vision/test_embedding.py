"""An embedding has length 1, is deterministic, near for copies and far for other videos."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from memories_async.local.engine.video.film import Film
from memories_async.local.engine.vision.embedding import embed, summarise
from memories_async.local.engine.vision.indexing import index_video


def pictures(path):
    with Film.open(path) as film:
        return [cv2.resize(frame.picture, (96, 54)) for frame in film.frames(2)]


def near(left, right):
    return float(np.dot(embed(summarise(left), 1024), embed(summarise(right), 1024)))


@pytest.mark.parametrize("dimensions", [1, 512, 1024, 1408])
def test_embedding_has_the_dimensions_asked_for(index, dimensions):
    """Its numbers are finite, and its length is 1."""
    vector = embed(index.summary, dimensions)

    assert len(vector) == dimensions
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-9)
    assert all(type(value) is float for value in vector)


def test_embedding_is_deterministic(index, film):
    """Also when the film is indexed again."""
    assert embed(index_video(film).summary, 512) == embed(index.summary, 512)


def test_signs_are_the_same_on_every_machine():
    """A known input gives known numbers."""
    vector = embed(np.ones(1712, np.float32), 8)

    assert [value > 0 for value in vector] == [True, True, False, False, True, True, False, True]


@pytest.mark.parametrize(
    "change",
    [
        lambda picture: cv2.flip(picture, 1),
        lambda picture: cv2.cvtColor(cv2.cvtColor(picture, 6), 8),
        lambda picture: cv2.convertScaleAbs(picture, alpha=1.2, beta=15),
        lambda picture: cv2.copyMakeBorder(picture, 12, 12, 0, 0, cv2.BORDER_CONSTANT),
        lambda picture: cv2.GaussianBlur(picture, (0, 0), 0.6),
    ],
    ids=["mirrored", "grey", "brighter", "letterboxed", "blurred"],
)
def test_changed_copy_is_nearer_than_any_stranger(film, foreign, change):
    """By far."""
    own = pictures(film)

    copy = [np.ascontiguousarray(change(one)) for one in own]

    assert near(own, copy) > 0.75
    assert near(own, pictures(foreign)) < 0.5


def test_black_film_has_an_embedding():
    """Nothing is divided by 0."""
    black = summarise([np.zeros((54, 96, 3), np.uint8)])

    assert np.linalg.norm(embed(black, 512)) == pytest.approx(1)


def test_average_video_has_an_embedding():
    """It has no direction of its own; a fixed one is returned."""
    from memories_async.local.engine.vision.embedding import _load_mean

    assert embed(_load_mean(), 4) == pytest.approx((0.5, 0.5, 0.5, 0.5))
