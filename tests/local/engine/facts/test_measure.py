"""The facts of a shot are true of films with known truth."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from memories_async.local.engine.facts.measure import measure_shots
from memories_async.local.engine.video.scenery import paint
from memories_async.local.engine.vision.indexing import index_video


@pytest.fixture
def filmed(tmp_path):
    """Film what a function of the frame number draws, and measure its shots."""

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


def test_fixed_camera_is_called_still(filmed):
    """Also while something passes in front of it."""
    place = wide()[:, :320]

    def passing(at):
        return cv2.circle(place.copy(), (at * 5, 90), 20, (30, 30, 220), -1)

    (one,) = filmed(passing)

    assert one.camera == "still camera"
    assert one.motion != "no motion"


def test_panning_camera_is_called_moving(filmed):
    """The whole picture moves."""
    place = wide()

    (one,) = filmed(lambda at: np.ascontiguousarray(place[:, at * 4 : at * 4 + 320]))

    assert one.camera == "moving camera"


def test_plain_picture_makes_no_claim_about_the_camera(filmed):
    """It has no points to compare."""
    (one,) = filmed(lambda _: np.full((180, 320, 3), (20, 20, 200), np.uint8))

    assert one.camera == ""
    assert one.motion == "no motion"
    assert one.colours[0][0] == "red"
    assert one.blurred


def test_single_frame_has_no_motion(filmed):
    """There is no other frame to compare it with."""
    (one,) = filmed(lambda _: wide()[:, :320].copy(), frames=1)

    assert (one.motion, one.camera) == ("no motion", "")


@pytest.mark.parametrize(
    ("level", "word"), [(10, "dark"), (70, "dim"), (125, "mid-bright"), (240, "bright")]
)
def test_brightness_is_named_by_mean_lightness(filmed, level, word):
    """From dark to bright."""
    assert (
        filmed(lambda _: np.full((180, 320, 3), level, np.uint8), frames=24)[0].brightness == word
    )


def test_light_that_changes_much_is_named_by_its_ends(filmed):
    """Few pictures are like their mean."""
    (one,) = filmed(lambda at: np.full((180, 320, 3), 10 + at * 2, np.uint8), frames=100)

    assert one.brightness == "between dark and bright"
