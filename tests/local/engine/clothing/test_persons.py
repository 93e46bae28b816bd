"""A caption names times at which similar clothing was seen, and never a person."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from people import GREEN, RED, dressed, film, portrait, scene

from memories_async.local.engine.clothing.persons import HOW
from memories_async.local.engine.facts.caption import caption
from memories_async.local.engine.pixels import PixelEngine
from memories_async.local.engine.protocol import CaptionRequest, ReferencePerson, Shot
from memories_async.local.engine.video.picture import encode
from memories_async.local.engine.vision.index import Staging
from memories_async.local.engine.vision.indexing import index_video

ALICE = ReferencePerson(name="Alice", image=encode(portrait(RED)))
BOB = ReferencePerson(name="Bob", image=encode(portrait(GREEN)))


@pytest.fixture(scope="module")
def street(tmp_path_factory):
    """Somebody in red stands before a fixed camera from 2 to 6 s, and again from 9 to 13 s."""
    place = scene()

    def passing(second):
        there = 2 <= second < 6 or 9 <= second < 13
        return dressed(place.copy(), RED, left=120) if there else place

    return film(tmp_path_factory.mktemp("street") / "street.mp4", passing)


@pytest.fixture(scope="module")
def known(street):
    return index_video(street)


def request(*persons, **more):
    return CaptionRequest(user_prompt="how long is it", system_prompt="", persons=persons, **more)


def tell(index, *persons, **more):
    return caption(index, request(*persons, **more), clothing_match=True).text


def test_tells_when_similar_clothing_was_seen(known):
    """With a value, and that it identifies nobody."""
    text = tell(known, ALICE)

    assert "Clothing similar to the picture of Alice at 2.0-6.0 s and 9.0-13.0 s (" in text
    assert "), not an identification." in text
    assert "none was searched for" not in text


def test_tells_that_nothing_similar_was_seen(known):
    """Which is an answer, too."""
    assert "No clothing similar to the picture of Bob was found." in tell(known, BOB)


def test_two_pictures_of_one_person_count_together(known):
    """Whichever is likelier."""
    both = tell(known, ALICE, attrs.evolve(BOB, name="Alice"))

    assert both.count("the picture of Alice at") == 1
    assert "No clothing" not in both


@pytest.mark.parametrize(
    ("image", "why"),
    [
        (None, "no picture was given"),
        (b"GIF?", "the picture is damaged or in a format unknown here"),
        (encode(portrait(RED)[:100]), "a picture of 80x100 pixels is no crop of somebody standing"),
    ],
)
def test_says_why_a_picture_is_of_no_use(known, image, why):
    """And goes on with the others."""
    text = tell(known, attrs.evolve(BOB, image=image), ALICE)

    assert f"The clothing of Bob could not be looked for: {why}" in text
    assert "similar to the picture of Alice at" in text


def test_says_that_no_camera_was_fixed(index):
    """Then nothing is looked for, whatever the pictures."""
    text = tell(index, ALICE, BOB)

    assert "Persons were given (Alice, Bob), but nobody is recognised here" in text
    assert "no shot is long enough and surely from a fixed camera" in text


def test_says_in_which_shots_it_looked(known):
    """Where the others were too short."""
    shots = (Shot(start_time=0, end_time=14), Shot(start_time=14, end_time=16))
    no = np.zeros(2, np.bool_)
    staging = Staging(still=~no, moving=no, stays=no)
    cut = attrs.evolve(known, facts=attrs.evolve(known.facts, shots=shots), staging=staging)

    assert "the picture of Bob was found in the shots of a fixed camera." in tell(cut, BOB)


def test_without_persons_nobody_is_searched_for(known):
    """As without the wish."""
    assert "Persons were not searched for." in tell(known)


def test_thinking_tells_how_often_it_is_the_right_person(known):
    """Where clothing was compared, and only there."""
    assert HOW in tell(known, ALICE, thinking=True)
    assert HOW not in tell(known, thinking=True)
    assert HOW not in caption(known, request(ALICE, thinking=True)).text
    assert "precision 0." in HOW
    assert "recall 0." in HOW


def test_the_engine_compares_only_where_it_is_wished_for(street, tmp_path):
    """One index serves both."""
    wishing, plain = PixelEngine(tmp_path, clothing_match=True), PixelEngine(tmp_path)

    told = wishing.caption(wishing.index(street), request(ALICE)).text
    untold = plain.caption(plain.index(street), request(ALICE)).text

    assert "similar to the picture of Alice at 2.0-6.0 s" in told
    assert "Persons were given (Alice), but nobody is recognised here: none" in untold
    assert len(list(tmp_path.iterdir())) == 1
