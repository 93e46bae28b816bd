"""Clothing like that in a picture is found when it was worn, and each track goes to one picture."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from people import GREEN, RED, dressed, film, portrait, scene

from memories_async.local.engine.clothing import matching
from memories_async.local.engine.clothing.matching import who_wore
from memories_async.local.engine.clothing.silhouette import worn_in
from memories_async.local.engine.vision.index import NO_BLOBS, Blobs, PixelIndex
from memories_async.local.engine.vision.indexing import index_video

PINK = ((40, 60, 90), (90, 90, 230), (30, 30, 200), (120, 40, 30), (120, 40, 30))
"""Like red, but for a lighter shirt."""


@pytest.fixture(scope="module")
def filmed(tmp_path_factory) -> PixelIndex:
    """Red is there from 2 to 6.5 s, green from 9 to 13 s."""
    place = scene()

    def passing(second):
        here = place.copy()
        if 2 <= second < 6.5:
            dressed(here, RED, left=100 + int(second * 4))
        if 9 <= second < 13:
            dressed(here, GREEN, left=90)
        return here

    return index_video(film(tmp_path_factory.mktemp("people") / "film.mp4", passing))


def wore(index, **people):
    pictures = {name: worn_in(portrait(colours)) for name, colours in people.items()}
    return who_wore(index, pictures)


def test_each_is_found_when_there(filmed):
    """Within a sample, with a likeness."""
    red, green = wore(filmed, green=GREEN, red=RED)

    assert (red.name, green.name) == ("red", "green")
    assert (red.start_time, red.end_time) == pytest.approx((2, 6.5), abs=0.5)
    assert (green.start_time, green.end_time) == pytest.approx((9, 13), abs=0.5)
    assert min(red.likeness, green.likeness) > matching.LIKE
    assert max(red.likeness, green.likeness) <= 1.0001


def test_a_stranger_is_not_named(filmed):
    """Green's picture says nothing of red."""
    assert [one.name for one in wore(filmed, green=GREEN)] == ["green"]


def test_a_passer_by_goes_to_the_likest_picture(filmed):
    """Somebody dressed nearly alike does not share it."""
    assert [one.name for one in wore(filmed, red=RED, pink=PINK)] == ["red"]


@pytest.fixture
def passing(index):
    """Let blobs pass, each the track of some samples, whose clothes are like a picture by so much."""

    def passing(*tracks):
        rows = [[(like, (1 - like**2) ** 0.5) for like in track] for track in tracks]
        count = [len(track) for track in tracks]
        # Half the picture lies between one track and the next.
        blobs = Blobs(
            samples=np.concatenate([np.arange(many) for many in count]),
            boxes=np.array(
                [(0.6 * at, 0.4, 0.1, 0.3) for at, many in enumerate(count) for _ in range(many)],
                np.float32,
            ),
            clothing=np.rint(np.concatenate(rows) * 255).astype(np.uint8),
        )
        order = np.argsort(blobs.samples, kind="stable")
        sorted_rows = {name: rows[order] for name, rows in attrs.asdict(blobs).items()}
        return attrs.evolve(index, blobs=Blobs(**sorted_rows))

    return passing


LIKE_IT, ACROSS = (np.array([row], np.float32) for row in ((1, 0), (0, 1)))


def likenesses(index, **pictures):
    return [(one.name, round(one.likeness, 2)) for one in who_wore(index, pictures)]


@pytest.mark.parametrize(("likeness", "found"), [(0.82, [("a", 0.82)]), (0.78, [])])
def test_only_what_is_like_enough_is_similar(passing, likeness, found):
    """However little the best of all is like it."""
    assert likenesses(passing([likeness] * 4), a=LIKE_IT) == found


def test_what_is_less_like_than_the_best_is_somebody_else(passing):
    """The same clothes look the same all through a film."""
    street = passing([0.95] * 4, [0.9] * 4)

    assert likenesses(street, a=LIKE_IT) == [("a", 0.95)]


def test_what_is_hardly_less_like_is_the_same_one_again(passing):
    """Nobody looks quite the same twice."""
    street = passing([0.95] * 4, [0.94] * 4)

    assert likenesses(street, a=LIKE_IT) == [("a", 0.95), ("a", 0.94)]


def test_a_passing_shadow_is_too_short(passing):
    """Two blobs are no track."""
    assert likenesses(passing([0.95] * 2), a=LIKE_IT) == []


def test_one_bad_moment_decides_nothing(passing):
    """Half behind a pillar, say."""
    assert likenesses(passing([0.95, 0.1, 0.95, 0.95]), a=LIKE_IT) == [("a", 0.95)]


def test_a_track_goes_to_the_likest_picture(passing):
    """In whatever order they were given."""
    diagonal = np.array([(0.6, 0.8)], np.float32)
    near = {"across": ACROSS, "near": diagonal}
    street = passing([0.4] * 4)

    assert likenesses(street, **near) == [("near", 0.97)]
    assert likenesses(street, **dict(reversed(near.items()))) == [("near", 0.97)]


def test_of_two_readings_the_likelier_counts(passing):
    """One of them may have lost the legs."""
    both = np.concatenate((ACROSS, LIKE_IT))

    assert likenesses(passing([0.95] * 4), a=both) == [("a", 0.95)]


def test_somebody_still_there_at_the_end_is_seen_to_the_end(filmed):
    """There is no later sample that would end it."""
    blobs, last = filmed.blobs, len(filmed.samples.times) - 1
    late = attrs.evolve(blobs, samples=blobs.samples - blobs.samples.max() + last)

    assert wore(attrs.evolve(filmed, blobs=late), green=GREEN)[-1].end_time == 16.0


def test_nobody_wore_what_nobody_asked_for(filmed):
    """Nor where nobody was."""
    assert wore(filmed) == ()
    empty = attrs.evolve(NO_BLOBS, clothing=np.zeros((0, 1728), np.uint8))
    assert wore(attrs.evolve(filmed, blobs=empty), red=RED) == ()
