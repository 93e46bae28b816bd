"""Staging tells a still camera, and which cuts stay in one place."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from memories_async.local.engine.search.clips import find_clips
from memories_async.local.engine.video.scenery import paint
from memories_async.local.engine.vision.indexing import index_video

SIZE = (480, 270)
SECONDS = 3
HILLS = paint("hills", np.random.default_rng(4), (600, 340))
CITY = paint("city", np.random.default_rng(5), SIZE)


def view(left, top, zoom):
    """Give a part of the hills, in the film's size."""
    width, height = int(SIZE[0] / zoom), int(SIZE[1] / zoom)
    return cv2.resize(HILLS[top : top + height, left : left + width], SIZE)


def logo(picture):
    """Put a station's mark and a line of text over the picture."""
    marked = picture.copy()
    cv2.rectangle(marked, (380, 12), (466, 46), (0, 200, 255), -1)
    cv2.putText(marked, "CHANNEL", (384, 36), 0, 0.55, (60, 0, 0), 2)
    cv2.putText(marked, "breaking: all is well tonight", (20, 250), 0, 0.8, (255, 255, 255), 2)
    return marked


@pytest.fixture
def cut(tmp_path):
    """Index a film of these pictures, each shown for three seconds."""

    def index(*pictures):
        path = tmp_path / "film.mp4"
        film = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 12, SIZE)
        for picture in pictures:
            for _ in range(SECONDS * 12):
                film.write(np.ascontiguousarray(picture))
        film.release()
        return index_video(path)

    return index


def test_closer_view_stays_in_the_same_place(cut):
    """Another place does not."""
    index = cut(view(0, 0, 1), view(120, 60, 1.8), CITY)

    assert index.staging.stays.tolist() == [False, True, False]


def test_overlay_on_all_shots_does_not_make_them_one_place(cut):
    """What keeps its position while all else differs lies over the picture."""
    elsewhere = cv2.flip(view(0, 0, 1), 1)  # of the same colours
    index = cut(logo(view(0, 0, 1)), logo(elsewhere))

    assert index.staging.stays.tolist() == [False, False]


def test_clip_continues_across_a_cut_within_one_place(cut):
    """It ends at the cut to the next place."""
    index = cut(view(0, 0, 1), view(120, 60, 1.8), CITY)

    found = find_clips(index, cv2.imencode(".png", view(0, 0, 1))[1].tobytes(), "x").clips[0]

    assert (found.start_time, found.end_time) == pytest.approx((0, 2 * SECONDS), abs=0.2)


def test_repeated_picture_has_a_still_camera(cut):
    """Nothing moves in it."""
    staging = cut(CITY).staging

    assert (staging.still.tolist(), staging.steady.tolist()) == ([True], [True])
    assert staging.moving.tolist() == [False]


def test_slow_pan_is_steady_and_no_still_camera(tmp_path):
    """Each sample is framed like the one before, the last is not framed like the first."""
    path = tmp_path / "film.mp4"
    film = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 2, SIZE)
    for at in range(40):
        film.write(HILLS[: SIZE[1], at // 2 : at // 2 + SIZE[0]].copy())
    film.release()

    staging = index_video(path).staging

    assert staging.steady.tolist() == [True]
    assert staging.still.tolist() == [False]


def test_dissolve_does_not_join_two_places(tmp_path):
    """Its pictures show the next place before the border."""
    path = tmp_path / "film.mp4"
    film = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 24, SIZE)
    for at, share in enumerate((*[0.0] * 65, *np.linspace(0, 1, 24), *[1.0] * 72)):
        dark = view(at // 2, at // 4, 1.1) // 4
        film.write(cv2.addWeighted(dark, 1 - share, CITY, share, 0))
    film.release()

    assert index_video(path).staging.stays.tolist() == [False, False]


def test_place_in_the_same_colours_is_another_place(cut):
    """Its points do not match."""
    index = cut(view(0, 0, 1), cv2.flip(view(0, 0, 1), 1))

    assert index.staging.stays.tolist() == [False, False]


def test_same_thing_in_two_places_does_not_join_them(cut):
    """Its points match, but span a small part of each picture."""
    thing = paint("board", np.random.default_rng(9), (90, 120))
    here, there = view(0, 0, 1).copy(), cv2.flip(view(0, 0, 1), 1)
    here[40:160, 60:150] = thing
    there[90:210, 300:390] = thing

    assert cut(here, there).staging.stays.tolist() == [False, False]
