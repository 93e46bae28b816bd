"""Passers-by before a fixed camera are found when they are there, and nothing else is."""

from __future__ import annotations

import attrs
import cv2
import numpy as np
import pytest
from people import RED, SIZE, dressed, film, scene

from memories_async.local.engine.clothing.blobs import fixed
from memories_async.local.engine.protocol import Shot
from memories_async.local.engine.vision.index import Staging
from memories_async.local.engine.vision.indexing import index_video


@pytest.fixture
def found(tmp_path):
    """Film what a function of the second gives; give the blobs' times and boxes."""

    def find(picture, **more):
        index = index_video(film(tmp_path / "film.mp4", picture, **more))
        return index.samples.times[index.blobs.samples].tolist(), index.blobs.boxes

    return find


def test_somebody_is_found_while_there(found):
    """With head and feet where they are."""
    place = scene()

    def passing(second):
        here = place.copy()
        return dressed(here, RED, left=int(second * 20) - 40) if 3 <= second < 13 else here

    times, boxes = found(passing)

    assert min(times) == pytest.approx(3, abs=0.5)
    assert max(times) == pytest.approx(12.5, abs=0.5)
    assert len(times) == len(set(times)) >= 18
    assert np.median(boxes[:, 3]) == pytest.approx(130 / SIZE[1], abs=0.08)


def test_a_film_from_a_telephone_held_upright_shows_people_too(found):
    """Their shape is judged as it is, not as small pictures distort it."""
    place = cv2.rotate(scene(), cv2.ROTATE_90_CLOCKWISE)

    def passing(second):
        here = place.copy()
        return dressed(here, RED, left=60, top=80, tall=180) if 4 <= second < 12 else here

    assert len(found(passing)[0]) == pytest.approx(16, abs=2)


@pytest.mark.parametrize(
    "shape", [(30, 60, 290, 130), (150, 80, 174, 120)], ids=["lying", "far away"]
)
def test_what_is_no_upright_person_is_left_out(found, shape):
    """Too wide, or too small to tell clothes."""
    place = scene()
    left, top, right, bottom = shape

    def passing(second):
        here = place.copy()
        if 4 <= second < 12:
            cv2.rectangle(here, (left, top), (right, bottom), (30, 30, 200), -1)
        return here

    assert found(passing)[0] == []


def test_a_camera_that_pans_shows_no_blobs(found):
    """Everything changes all the time."""
    wide = scene("city", 900)

    def panning(second):
        left = int(second * 35)
        seen = np.ascontiguousarray(wide[:, left : left + SIZE[0]])
        return dressed(seen, RED, left=120) if 3 <= second < 13 else seen

    assert found(panning)[0] == []


def test_a_short_shot_tells_of_nobody(found):
    """Its background is not known."""
    place = scene()

    def passing(second):
        return dressed(place.copy(), RED, left=120) if second > 2 else place

    assert found(passing, seconds=4)[0] == []


def test_only_long_shots_from_a_fixed_camera_are_looked_through(index):
    """The camera as it was staged, and samples enough to know the background."""
    shots = tuple(Shot(start_time=a, end_time=b) for a, b in ((0, 6), (6, 9)))
    cut = attrs.evolve(index, facts=attrs.evolve(index.facts, shots=shots))
    still, moving = (
        Staging(still=np.full(2, stood), moving=np.full(2, not stood), stays=np.zeros(2, np.bool_))
        for stood in (True, False)
    )

    assert fixed(attrs.evolve(cut, staging=still)).tolist() == [True, False]
    assert fixed(attrs.evolve(cut, staging=moving)).tolist() == [False, False]
