"""Facts of a shot are true of it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from memories_async.local.engine.facts.measure import measure_shots
from memories_async.local.engine.video.scenery import paint
from memories_async.local.engine.vision.indexing import index_video


@pytest.fixture
def filmed(tmp_path):
    """Film what a function of the frame number gives, and measure it."""

    def film(picture, *, frames=60):
        path = tmp_path / "film.mp4"
        out = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 24, (320, 180))
        for at in range(frames):
            out.write(picture(at))
        out.release()
        return measure_shots(index_video(path))

    return film


def wide():
    return paint("hills", np.random.default_rng(6), (800, 180))


def test_a_standing_camera_stands_still(filmed):
    """Also while something passes before it."""
    place = wide()[:, :320]

    def passing(at):
        return cv2.circle(place.copy(), (at * 5, 90), 20, (30, 30, 220), -1)

    (one,) = filmed(passing)

    assert one.camera == "still camera"
    assert one.motion != "no motion"


def test_a_panning_camera_moves(filmed):
    """Everything moves with it."""
    place = wide()

    (one,) = filmed(lambda at: np.ascontiguousarray(place[:, at * 4 : at * 4 + 320]))

    assert one.camera == "moving camera"


def test_a_plain_picture_tells_nothing_of_the_camera(filmed):
    """No points, no claim."""
    (one,) = filmed(lambda _: np.full((180, 320, 3), (20, 20, 200), np.uint8))

    assert one.camera == ""
    assert one.motion == "no motion"
    assert one.colours[0][0] == "red"
    assert one.blurred


def test_one_frame_tells_nothing_of_motion(filmed):
    """There is nothing to compare it with."""
    (one,) = filmed(lambda _: wide()[:, :320].copy(), frames=1)

    assert (one.motion, one.camera) == ("no motion", "")


@pytest.mark.parametrize(
    ("level", "word"), [(10, "dark"), (70, "dim"), (125, "mid-bright"), (240, "bright")]
)
def test_names_the_brightness(filmed, level, word):
    """By mean lightness."""
    assert (
        filmed(lambda _: np.full((180, 320, 3), level, np.uint8), frames=24)[0].brightness == word
    )
