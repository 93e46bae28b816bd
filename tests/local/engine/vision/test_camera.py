"""Two samples tell whether the camera moved, where their borders do."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from memories_async.local.engine.video.scenery import paint
from memories_async.local.engine.vision.camera import Movement, SampleView, compare_views
from memories_async.local.engine.vision.local_features import find_points

SIZE = (320, 180)
PLACE = paint("garden", np.random.default_rng(4), (480, 270))
THING = paint("tiles", np.random.default_rng(8), (120, 70))
WALL = np.full((270, 480, 3), 225, np.uint8)
STRIPES = np.ascontiguousarray(np.repeat(PLACE[:1], 270, axis=0))


def see(place, left=60, top=40, thing=None):
    """See a part of a place, with a thing over it at a position."""
    picture = place[top : top + SIZE[1], left : left + SIZE[0]].copy()
    if thing:
        x, y = thing
        picture[y : y + 70, x : x + 120] = THING
    small = cv2.resize(picture, (96, 54), interpolation=cv2.INTER_AREA)
    points = find_points(picture, most=300)
    return SampleView.of(small, points, np.array(SIZE, np.float32))


@pytest.mark.parametrize(
    ("one", "other", "movement"),
    [
        (see(PLACE), see(PLACE), Movement.STOOD),
        (see(PLACE, thing=(60, 50)), see(PLACE, thing=(130, 80)), Movement.STOOD),
        (see(PLACE), see(PLACE, left=75), Movement.MOVED),
        (see(PLACE), see(PLACE, left=90, top=60), Movement.MOVED),
        (see(PLACE, thing=(60, 50)), see(PLACE, left=75, thing=(60, 50)), Movement.MOVED),
        (see(WALL), see(WALL), Movement.UNKNOWN),
        (see(WALL, thing=(5, 5)), see(WALL, thing=(40, 30)), Movement.UNKNOWN),
        (see(WALL, thing=(100, 55)), see(WALL, thing=(110, 50)), Movement.UNKNOWN),
        (see(STRIPES), see(STRIPES, top=70), Movement.UNKNOWN),
        (see(np.zeros_like(WALL)), see(np.zeros_like(WALL)), Movement.UNKNOWN),
    ],
    ids=[
        *("nothing moves", "a thing moves", "to the right", "to the right and down"),
        *("away from a thing that is carried along", "a wall", "a thing in a corner"),
        *("a thing in the middle", "along stripes", "black"),
    ],
)
def test_camera_is_told_from_the_borders(one, other, movement):
    """A thing that moves by itself does not move the camera."""
    assert compare_views(one, other) is movement
