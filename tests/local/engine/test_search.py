"""A search finds the stretch a picture comes from, however distorted, and nothing else."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from memories_async.local.engine import clips, matching
from memories_async.local.engine._pixels import search
from memories_async.local.engine.indexing import index_video
from memories_async.local.engine.picture import encode
from memories_async.local.engine.protocol import UnreadableImage

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
def test_finds_the_shot_of_a_distorted_frame(index, rendered, frame, how, second):
    """The best clip lies in the right shot, and covers most of it."""
    found = search(index, encode(DISTORT[how](frame(second)), quality=85), "x")

    shot = next(one for one in rendered[1] if one.start_time <= second < one.end_time)
    best = found.clips[0]
    both = min(best.end_time, shot.end_time) - max(best.start_time, shot.start_time)
    assert both / (shot.end_time - shot.start_time) > 0.6
    assert both / (best.end_time - best.start_time) > 0.9


def test_an_empty_list_is_the_answer_for_a_foreign_picture(foreign, index, jpeg):
    """Nothing is found in a film that does not hold it."""
    other = index_video(foreign)

    assert search(other, jpeg(1.3), "x").clips == ()


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_plain_picture_finds_nothing(index, level):
    """There is nothing to recognise in it."""
    plain = np.full((200, 300, 3), level, np.uint8)

    assert search(index, encode(plain), "x").clips == ()


def test_answers_are_sorted_do_not_overlap_and_lie_within(index, jpeg):
    """The best comes first; borders are those of the film."""
    found = search(index, jpeg(4.7), "x").clips

    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    assert all(0 <= one.start_time < one.end_time <= index.facts.duration for one in found)
    assert all(0.3 <= one.score <= 1 for one in found)


def test_the_same_question_has_the_same_answer(index, jpeg):
    """To the last digit."""
    assert search(index, jpeg(4.7), "red") == search(index, jpeg(4.7), "red")


def test_the_prompt_reports_what_it_ignored(index, jpeg):
    """And acts on the rest."""
    assert search(index, jpeg(1.3), "the red umbrella").ignored == ("umbrella",)


def test_ignoring_colour_finds_a_recoloured_frame(index, frame, rendered):
    """Edges and points know nothing of colour."""
    strange = frame(4.7)[..., ::-1]

    found = search(index, encode(np.ascontiguousarray(strange)), "ignore colour")

    assert found.clips[0].start_time <= 4.7 <= found.clips[0].end_time


def test_ignoring_the_background_reads_the_middle_only(index, frame):
    """A frame keeps being found when everything around its middle is painted over."""
    picture = frame(4.7).copy()
    middle = picture[54:216, 96:384].copy()
    picture[:] = (0, 0, 255)
    picture[54:216, 96:384] = middle

    found = search(index, encode(picture), "ignore the background")

    assert found.clips[0].start_time <= 4.7 <= found.clips[0].end_time


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n" + bytes(40)])
def test_refuses_what_is_no_picture(index, content):
    """With a reason, never a crash."""
    with pytest.raises(UnreadableImage):
        search(index, content, "x")


@pytest.mark.parametrize("size", [(4, 4), (600, 9)])
def test_refuses_a_picture_that_shows_too_little(index, size):
    """Too small, or a sliver."""
    with pytest.raises(UnreadableImage, match="too little"):
        search(index, encode(np.zeros((*size, 3), np.uint8)), "x")


@pytest.mark.parametrize("kind", [".png", ".bmp", ".webp", ".jpg"])
def test_reads_the_usual_kinds_of_picture(index, frame, kind):
    """Each finds the same place."""
    encoded = cv2.imencode(kind, frame(1.3))[1].tobytes()

    assert search(index, encoded, "x").clips[0].start_time < 1.3


def test_reads_a_picture_with_transparency(index, frame):
    """The fourth channel is left out."""
    clear = cv2.cvtColor(frame(1.3), cv2.COLOR_BGR2BGRA)

    assert search(index, cv2.imencode(".png", clear)[1].tobytes(), "x").clips


def test_gives_at_most_twenty_clips(index):
    """Even where every other frame would do."""
    scores = np.full(len(index.samples.times), 0.9, np.float32)
    factor = np.where(np.arange(len(scores)) % 2, 1.0, 0.4).astype(np.float32)

    assert len(clips.grow(scores, index, keep=0.3, factor=factor)) <= 20


def test_finds_two_stretches_of_one_shot_apart(index):
    """A shot that matches at both ends, with a strange middle, gives two clips."""
    shot = matching.shot_of(index)
    first = np.flatnonzero(shot == 0)
    factor = np.ones(len(shot), np.float32)
    factor[first[2:-2]] = 0.1
    scores = np.where(shot == 0, 0.9, 0.0).astype(np.float32) * factor

    found = clips.grow(scores, index, keep=0.3, factor=factor)

    assert len(found) == 2
    assert found[0].end_time <= found[1].start_time
