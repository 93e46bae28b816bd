"""The person in a picture is told from the ground, or the picture is refused."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from people import GREEN, RED, portrait

from memories_async.local.engine.clothing.descriptor import LENGTH
from memories_async.local.engine.clothing.silhouette import worn_in
from memories_async.local.engine.protocol import UnreadableImage


def alike(left, right):
    return float((left @ right.T).max())


def test_the_same_clothes_on_another_ground_are_alike():
    """And others on the same ground are not."""
    here, there = (worn_in(portrait(RED, kind=kind)) for kind in ("city", "garden"))

    assert here.shape == (2, LENGTH)
    assert alike(here, there) > 0.85
    assert alike(here, worn_in(portrait(GREEN))) < 0.5


def test_the_same_picture_gives_the_same_numbers():
    """Whatever else has drawn random numbers."""
    cv2.setRNGSeed(5)
    first = worn_in(portrait(GREEN))

    for seed in range(6, 12):
        cv2.setRNGSeed(seed)
        assert np.array_equal(worn_in(portrait(GREEN)), first)


@pytest.mark.parametrize("size", [(200, 130), (200, 200), (60, 30)])
def test_what_cannot_be_somebody_standing_is_refused(size):
    """A portrait, a square, a stamp."""
    with pytest.raises(UnreadableImage, match=f"{size[1]}x{size[0]} pixels is no crop of somebody"):
        worn_in(np.zeros((*size, 3), np.uint8))


def test_a_picture_of_one_colour_is_described_all_the_same():
    """It is like nothing that is worn, which is a right answer."""
    assert alike(worn_in(np.full((200, 80, 3), 128, np.uint8)), worn_in(portrait(RED))) < 0.5
