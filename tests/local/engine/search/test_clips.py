"""A search finds the clip that a picture comes from, however distorted, and nothing else."""

from __future__ import annotations

import attrs
import cv2
import numpy as np
import pytest

from memories_async.local.engine.protocol import Shot, UnreadableImage
from memories_async.local.engine.search import clips
from memories_async.local.engine.search.clips import find_clips
from memories_async.local.engine.search.ranking import Ranking
from memories_async.local.engine.video.picture import encode
from memories_async.local.engine.video.scenery import paint
from memories_async.local.engine.vision.indexing import index_video

DISTORT = {
    "mirrored": lambda picture: cv2.flip(picture, 1),
    "half": lambda picture: picture[40:230, 60:400],
    "small": lambda picture: cv2.resize(picture, None, fx=0.4, fy=0.4),
    "grey": lambda picture: cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY),
    "brighter": lambda picture: cv2.convertScaleAbs(picture, alpha=1.2, beta=20),
    "blurred": lambda picture: cv2.GaussianBlur(picture, (0, 0), 2),
}


@pytest.mark.parametrize("how", DISTORT)
@pytest.mark.parametrize("second", [1.3, 4.7, 7.6])
def test_distorted_frame_finds_its_shot(index, rendered, frame, how, second):
    """The best clip lies in the right shot and covers most of it."""
    found = find_clips(index, encode(DISTORT[how](frame(second)), quality=85), "x")

    shot = next(one for one in rendered[1] if one.start_time <= second < one.end_time)
    best = found.clips[0]
    both = min(best.end_time, shot.end_time) - max(best.start_time, shot.start_time)
    assert both / (shot.end_time - shot.start_time) > 0.6
    assert both / (best.end_time - best.start_time) > 0.9


def test_foreign_picture_finds_nothing(foreign, index, jpeg):
    """The film does not hold it."""
    other = index_video(foreign)

    assert find_clips(other, jpeg(1.3), "x").clips == ()


@pytest.mark.parametrize("level", [0, 128, 255])
def test_plain_picture_finds_nothing(index, level):
    """It holds nothing to recognise."""
    plain = np.full((200, 300, 3), level, np.uint8)

    assert find_clips(index, encode(plain), "x").clips == ()


def test_clips_are_sorted_apart_and_within_the_film(index, jpeg):
    """The best comes first."""
    found = find_clips(index, jpeg(4.7), "x").clips

    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    assert all(0 <= one.start_time < one.end_time <= index.facts.duration for one in found)
    assert all(0.3 <= one.score <= 1 for one in found)


def test_search_is_deterministic(index, jpeg):
    """To the last digit."""
    assert find_clips(index, jpeg(4.7), "red") == find_clips(index, jpeg(4.7), "red")


def test_words_that_are_not_acted_on_are_reported(index, jpeg):
    """The others change the scores."""
    assert find_clips(index, jpeg(1.3), "the red umbrella").ignored == ("umbrella",)


def test_ignoring_colour_finds_a_recoloured_frame(index, frame, rendered):
    """Edges and points do not depend on colour."""
    strange = frame(4.7)[..., ::-1]

    found = find_clips(index, encode(np.ascontiguousarray(strange)), "ignore colour")

    assert found.clips[0].start_time <= 4.7 <= found.clips[0].end_time


def test_ignoring_the_background_uses_the_middle_only(index, frame):
    """A frame is found though all around its middle is painted over."""
    picture = frame(4.7).copy()
    middle = picture[54:216, 96:384].copy()
    picture[:] = (0, 0, 255)
    picture[54:216, 96:384] = middle

    found = find_clips(index, encode(picture), "ignore the background")

    assert found.clips[0].start_time <= 4.7 <= found.clips[0].end_time


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n" + bytes(40)])
def test_bytes_that_are_no_picture_are_refused(index, content):
    """With a reason."""
    with pytest.raises(UnreadableImage):
        find_clips(index, content, "x")


@pytest.mark.parametrize("size", [(4, 4), (600, 9)])
def test_picture_that_is_too_small_or_slim_is_refused(index, size):
    """Nothing can be recognised in it."""
    with pytest.raises(UnreadableImage, match="too little"):
        find_clips(index, encode(np.zeros((*size, 3), np.uint8)), "x")


@pytest.mark.parametrize("kind", [".png", ".bmp", ".webp", ".jpg"])
def test_common_picture_formats_are_read(index, frame, kind):
    """Each finds the same place."""
    encoded = cv2.imencode(kind, frame(1.3))[1].tobytes()

    assert find_clips(index, encoded, "x").clips[0].start_time < 1.3


def test_transparent_picture_is_read(index, frame):
    """The fourth channel is dropped."""
    clear = cv2.cvtColor(frame(1.3), cv2.COLOR_BGR2BGRA)

    assert find_clips(index, cv2.imencode(".png", clear)[1].tobytes(), "x").clips


def test_at_most_twenty_clips_are_answered(index):
    """Even where every other frame matches."""
    scores = np.full(len(index.samples.times), 0.9, np.float32)
    factor = np.where(np.arange(len(scores)) % 2, 1.0, 0.4).astype(np.float32)

    assert len(clips.grow_clips(Ranking(scores=scores), index, keep=0.3, factor=factor)) <= 20


def test_two_stretches_of_one_shot_are_two_clips(index):
    """Where the middle of the shot does not match."""
    shot = index.shot_numbers
    first = np.flatnonzero(shot == 0)
    factor = np.ones(len(shot), np.float32)
    factor[first[2:-2]] = 0.1
    scores = np.where(shot == 0, 0.9, 0.0).astype(np.float32) * factor

    found = clips.grow_clips(Ranking(scores=scores), index, keep=0.3, factor=factor)

    assert len(found) == 2
    assert found[0].end_time <= found[1].start_time


def filmed(path, picture):
    """Film nine seconds of what a function of the second draws, and index them."""
    film = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 12, (480, 270))
    for at in range(9 * 12):
        film.write(np.ascontiguousarray(picture(at / 12)))
    film.release()
    return index_video(path)


@pytest.fixture(scope="module")
def visited(tmp_path_factory):
    """A still camera before which a poster stands from 3 to 6 of 9 seconds; and the poster."""
    place = paint("hills", np.random.default_rng(8), (480, 270))
    poster = paint("board", np.random.default_rng(9), (110, 150))

    def picture(second):
        shown = place.copy()
        if 3 <= second < 6:
            shown[70:220, 180:290] = poster
        return shown

    return filmed(tmp_path_factory.mktemp("still") / "film.mp4", picture), poster


def test_thing_before_a_still_camera_is_found_while_it_is_there(visited):
    """Not before and not after, though the rest of the picture is alike."""
    index, poster = visited

    (found,) = find_clips(index, encode(poster), "x").clips

    assert found.start_time == pytest.approx(3, abs=0.51)
    assert found.end_time == pytest.approx(6, abs=0.51)


def test_view_of_a_still_camera_is_found_best_while_it_looked_so(visited):
    """With the poster in it, the same place scores less."""
    index, _ = visited
    place = paint("hills", np.random.default_rng(8), (480, 270))

    *bare, covered = sorted(find_clips(index, encode(place), "x").clips, key=lambda one: -one.score)

    assert sorted(round(one.start_time) for one in bare) == [0, 6]
    assert (covered.start_time, covered.end_time) == pytest.approx((3, 6), abs=0.51)
    assert covered.score < 0.5 * min(one.score for one in bare)


def test_large_part_of_a_still_view_counts_as_a_state_of_the_place(visited):
    """With the poster in it, it is found best while the poster was there."""
    index, poster = visited
    place = paint("hills", np.random.default_rng(8), (480, 270))
    place[70:220, 180:290] = poster

    best = find_clips(index, encode(place[20:250, 60:420].copy()), "x").clips[0]

    assert (best.start_time, best.end_time) == pytest.approx((3, 6), abs=0.51)


def test_part_of_a_moving_view_is_found_with_its_whole_shot(tmp_path):
    """Things come and go only before a still camera."""
    wide = paint("city", np.random.default_rng(8), (700, 270))

    def picture(second):
        left = int(second * 24)
        return wide[:, left : left + 480]

    index = filmed(tmp_path / "film.mp4", picture)

    found = find_clips(index, encode(picture(4.5)[90:190, 160:320].copy()), "x").clips[0]

    assert found.end_time - found.start_time > 6


def test_short_gaps_in_a_clip_are_filled(index):
    """A longer gap ends the clip."""
    count = len(index.samples.times)
    shots = (Shot(start_time=0.0, end_time=index.facts.duration),)
    whole = attrs.evolve(index, facts=attrs.evolve(index.facts, shots=shots))
    scores = np.zeros(count, np.float32)
    scores[[2, 3, 6, 7, 13, 14]] = 0.9

    ranked = Ranking(scores=scores, strict=0)
    found = clips.grow_clips(ranked, whole, keep=0.3, factor=np.ones(count, np.float32))

    times = [time for one in found for time in (one.start_time, one.end_time)]
    assert times == pytest.approx([0.75, 3.75, 6.25, 7.25], abs=0.05)
