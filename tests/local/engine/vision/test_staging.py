"""How shots were filmed is seen from their pictures."""

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


def test_a_closer_view_stays_in_the_place(cut):
    """And another place does not."""
    index = cut(view(0, 0, 1), view(120, 60, 1.8), CITY)

    assert index.staging.stays.tolist() == [False, True, False]


def test_a_mark_over_all_shots_makes_them_no_single_place(cut):
    """What keeps its place on the screen while all else differs lies over the picture."""
    elsewhere = cv2.flip(view(0, 0, 1), 1)  # of the same colours
    index = cut(logo(view(0, 0, 1)), logo(elsewhere))

    assert index.staging.stays.tolist() == [False, False]


def test_a_clip_goes_on_across_a_cut_within_its_place(cut):
    """But not to the next place."""
    index = cut(view(0, 0, 1), view(120, 60, 1.8), CITY)

    found = find_clips(index, cv2.imencode(".png", view(0, 0, 1))[1].tobytes(), "x").clips[0]

    assert (found.start_time, found.end_time) == pytest.approx((0, 2 * SECONDS), abs=0.2)


def test_a_still_camera_is_known(cut):
    """Nothing moves in a picture that is shown again and again."""
    assert cut(CITY).staging.still.tolist() == [True]


def test_a_dissolve_links_no_places(tmp_path):
    """Out of the dark, its pictures show the bright place well before the border."""
    path = tmp_path / "film.mp4"
    film = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 24, SIZE)
    for at, share in enumerate((*[0.0] * 65, *np.linspace(0, 1, 24), *[1.0] * 72)):
        dark = view(at // 2, at // 4, 1.1) // 4
        film.write(cv2.addWeighted(dark, 1 - share, CITY, share, 0))
    film.release()

    assert index_video(path).staging.stays.tolist() == [False, False]


def test_another_place_in_the_same_colours_is_another_place(cut):
    """No points agree."""
    index = cut(view(0, 0, 1), cv2.flip(view(0, 0, 1), 1))

    assert index.staging.stays.tolist() == [False, False]


def test_a_thing_seen_in_two_places_makes_them_no_single_one(cut):
    """Its points agree, in one spot of each picture."""
    thing = paint("board", np.random.default_rng(9), (90, 120))
    here, there = view(0, 0, 1).copy(), cv2.flip(view(0, 0, 1), 1)
    here[40:160, 60:150] = thing
    there[90:210, 300:390] = thing

    assert cut(here, there).staging.stays.tolist() == [False, False]
