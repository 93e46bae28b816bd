"""The background is found behind whoever stands before it for long."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from memories_async.local.engine.clothing.background import background, foreground
from memories_async.local.engine.video.scenery import paint

PLACE = cv2.cvtColor(paint("hills", np.random.default_rng(2), (96, 54)), cv2.COLOR_BGR2LAB)
MAN = np.s_[10:50, 40:54]


def with_man(light=20):
    picture = PLACE.copy()
    picture[MAN] = (light, 128, 128)
    return picture


def shot(plan):
    """Film `-` for nobody, `b` for somebody in black, `w` for somebody in white; grainy."""
    random = np.random.default_rng(1)
    looks = {"-": PLACE, "b": with_man(20), "w": with_man(240)}
    grain = random.normal(0, 2, (len(plan), 54, 96, 1))
    return np.clip(np.stack([looks[one] for one in plan]) + grain, 0, 255).astype(np.uint8)


def near(picture, other, *, within=6):
    return np.abs(picture.astype(int) - other).mean() < within


@pytest.mark.parametrize(
    "plan",
    [
        "--bbbbbbbb--bbbbbbbb---bbbbbbb--",
        "----bbbbbbbbbbbb----",
        "bbbbbbbb--wwwwwwww--bbbbbbbb--",
        "--wwwwwwbb--bbwwwwww---wwwwwwww--",
    ],
)
def test_whoever_comes_and_goes_is_not_the_scene(plan):
    """Not even where one in the same colour is seen most of the time, as the median would have it."""
    assert near(background(shot(plan))[MAN], PLACE[MAN])


def test_what_never_leaves_is_the_scene():
    """There is nothing behind it."""
    assert near(background(shot("bbbbbbbbbbbb"))[MAN], with_man()[MAN])


def test_one_picture_is_its_own_scene():
    """Nothing else is known."""
    assert np.array_equal(background(PLACE[None]), PLACE)


def test_foreground_is_what_differs():
    """All of it, and next to nothing else."""
    mask = foreground(with_man(), PLACE)

    assert mask[MAN].mean() > 0.9
    assert mask.mean() < mask[MAN].mean() * mask[MAN].size / mask.size + 0.01


def test_light_that_changes_everywhere_is_no_foreground():
    """A camera adapts, a cloud passes."""
    dim = (PLACE * np.array((0.5, 1, 1))).astype(np.uint8)

    assert foreground(dim + np.array((60, 0, 0), np.uint8), dim).mean() < 0.02
