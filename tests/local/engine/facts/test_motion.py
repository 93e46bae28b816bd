"""What a caption says of motion and camera is true of films with known truth."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

pytest.importorskip("cv2")

from memories_async.local.engine.facts.measure import measure_shots
from memories_async.local.engine.vision.indexing import index_video
from tests.helpers import camera_films as films

STILL, MOVING, UNTOLD = "still camera", "moving camera", ""


@pytest.fixture
def say(tmp_path):
    """Film what is drawn, and say what moves in each shot, and whether the camera does."""

    def measure(draw, *, seconds=4.0, rate=8, **options):
        path = films.write(tmp_path / "film.mp4", draw, seconds=seconds, rate=rate, **options)
        return [(one.motion, one.camera) for one in measure_shots(index_video(path))]

    return measure


@pytest.mark.parametrize(
    ("share", "motion", "camera"),
    [
        (0.05, "some motion", STILL),
        (0.15, "some motion", STILL),
        (0.3, "strong motion", STILL),
        (0.6, "strong motion", UNTOLD),
    ],
)
def test_thing_that_moves_is_not_the_camera(say, share, motion, camera):
    """Whatever part of the picture it covers."""
    assert say(films.cover("garden", share)) == [(motion, camera)]


@pytest.mark.parametrize("share", [0.05, 0.15, 0.3, 0.6])
def test_thing_before_a_plain_wall_tells_nothing_of_the_camera(say, share):
    """The wall looks alike wherever the camera turns."""
    ((motion, camera),) = say(films.cover("white", share))

    assert motion in {"some motion", "strong motion"}
    assert camera == UNTOLD


@pytest.mark.parametrize(("place", "camera"), [("white", UNTOLD), ("hills", STILL)])
def test_dancer_is_not_the_camera(say, place, camera):
    """Before a white wall nothing is said of it."""
    assert say(films.dance(place)) == [("some motion", camera)]


@pytest.mark.parametrize("way", ["right", "left", "up", "down"])
@pytest.mark.parametrize(
    ("seconds", "pixels", "rate"),
    [(2, 40, 8), (8, 10, 2), (30, 3, Fraction(1, 2)), (80, 1, Fraction(1, 4))],
)
def test_pan_moves_the_camera(say, way, seconds, pixels, rate):
    """From two seconds to eighty, in which a quarter of the picture passes by."""
    across = {"right": pixels, "left": -pixels}.get(way, 0)
    down = {"down": pixels, "up": -pixels}.get(way, 0)
    pan = films.move("garden", across=across, down=down)

    ((motion, camera),) = say(pan, seconds=seconds, rate=rate)

    assert motion in {"little motion", "some motion", "strong motion"}
    assert camera == MOVING


def test_pan_too_slow_for_neighbouring_samples_moves_the_camera(say):
    """A pixel in two seconds; the first sample and the last show it."""
    told = say(films.move("garden", across=0.5), seconds=24, rate=2)

    assert told == [("little motion", MOVING)]


@pytest.mark.parametrize(
    ("closer", "seconds", "rate"),
    [(0.15, 3, 8), (-0.1, 3, 8), (0.015, 10, 2), (0.005, 40, Fraction(1, 2))],
)
def test_zoom_moves_the_camera(say, closer, seconds, rate):
    """Quick or slow, closer or away."""
    ((motion, camera),) = say(films.move("city", closer=closer), seconds=seconds, rate=rate)

    assert motion.endswith("motion")
    assert motion != "no motion"
    assert camera == MOVING


def test_camera_in_the_hand_moves(say):
    """A shake of two in a hundred of the width."""
    ((_, camera),) = say(films.move("hills", shake=6), rate=12)

    assert camera == MOVING


@pytest.mark.parametrize("over", [films.logo, films.bars])
def test_pan_is_seen_under_a_logo_or_between_bars(say, over):
    """They keep their place, the picture does not."""
    ((_, camera),) = say(over(films.move("hills", across=30)))

    assert camera == MOVING


def test_short_pan_in_a_long_shot_denies_a_still_camera(say):
    """It is not said to move, either: mostly it stands."""
    pan = films.move("hills", across=15)

    ((_, camera),) = say(lambda time: pan(min(max(time - 6, 0), 2)), seconds=14, rate=4)

    assert camera == UNTOLD


@pytest.mark.parametrize("place", ["hills", "white"])
@pytest.mark.parametrize("tall", [15, 25, 45, 80])
def test_nodding_head_is_motion(say, place, tall):
    """From a twelfth of the picture's height."""
    ((motion, camera),) = say(films.nod(place, tall=tall), rate=12)

    assert motion in {"little motion", "some motion"}
    assert camera == (STILL if place == "hills" else UNTOLD)


def test_short_motion_is_told_with_its_time(say):
    """It is not averaged away."""
    ((motion, camera),) = say(films.nod("hills", tall=45, start=4, end=5), seconds=9, rate=12)

    word, _, times = motion.partition(" at ")
    start, end = map(float, times.removesuffix(" s").split("-"))
    assert word == "little motion"
    assert (start, end) == pytest.approx((4, 5), abs=0.3)
    assert camera == STILL


def test_motion_that_comes_again_and_again_is_told_so(say):
    """Without its many times."""
    nod = films.nod("hills", tall=45)

    ((motion, _),) = say(lambda time: nod(time if time % 4 < 1 else 0), seconds=19)

    assert motion == "little motion at times"


_STEADY = {
    "light that fades": lambda draw: films.light(draw, lambda time: 0.4 + 0.15 * time),
    "light that comes up from black": lambda draw: films.light(draw, lambda time: min(1, time)),
    "flicker": lambda draw: films.light(draw, lambda time: 0.9 + 0.08 * np.sin(time * 25)),
    "grain": lambda draw: films.grain(draw, 6),
    "strong grain": lambda draw: films.grain(draw, 14),
    "nothing": lambda draw: draw,
}


@pytest.mark.parametrize("place", ["hills", "white"])
@pytest.mark.parametrize("change", list(_STEADY))
def test_light_and_grain_are_no_motion(say, place, change):
    """Nor does the camera move."""
    told = say(_STEADY[change](films.stand(place)))

    assert told == [("no motion", STILL if place == "hills" else UNTOLD)]


def test_poor_compression_is_no_motion(say):
    """Key frames look different, which may be told by silence."""
    ((motion, camera),) = say(films.stand("hills"), crf="40", g="8")

    assert motion in {"no motion", ""}
    assert camera == STILL


def test_head_is_seen_to_nod_in_grain(say):
    """The grain is not taken for everything."""
    assert say(films.grain(films.nod("hills", tall=45), 6), rate=12) == [("little motion", STILL)]


def test_dissolve_between_still_pictures_is_no_motion(say):
    """Nothing is said where it may hide some."""
    pictures = films.dissolve(films.stand("hills"), films.stand("city"), start=3)

    told = say(pictures, seconds=7)

    assert len(told) == 2
    assert {motion for motion, _ in told} <= {"no motion", ""}
    assert {camera for _, camera in told} == {STILL}


def test_motion_is_told_of_its_own_shot(say):
    """A cut is none."""
    told = say(films.follow(films.stand("hills"), films.cover("garden", 0.3), at=3), seconds=6)

    assert told == [("no motion", STILL), ("strong motion", STILL)]


def test_page_that_scrolls_in_a_window_is_not_the_camera(say):
    """The window stands."""
    ((motion, camera),) = say(films.scroll(framed=True))

    assert motion == "strong motion"
    assert camera in {STILL, UNTOLD}


def test_page_that_scrolls_over_the_screen_looks_like_a_moving_camera(say):
    """No pixel tells them apart; the docs say so."""
    assert say(films.scroll(framed=False)) == [("strong motion", MOVING)]
