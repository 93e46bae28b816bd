"""Clothing like that in a picture is found when it was worn, and each figure goes to one picture."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from people import GREEN, RED, dressed, film, portrait, scene

from memories_async.local.engine import clothing
from memories_async.local.engine.clothing import fixed_shots, who_wore
from memories_async.local.engine.index import NO_FIGURES, PixelIndex
from memories_async.local.engine.indexing import index_video
from memories_async.local.engine.silhouette import worn_in

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
    return who_wore(index, pictures, shots=fixed_shots(index))


def test_each_is_found_when_there(filmed):
    """Within a sample, with a likeness."""
    red, green = wore(filmed, green=GREEN, red=RED)

    assert (red.name, green.name) == ("red", "green")
    assert (red.start_time, red.end_time) == pytest.approx((2, 6.5), abs=0.5)
    assert (green.start_time, green.end_time) == pytest.approx((9, 13), abs=0.5)
    assert min(red.likeness, green.likeness) > clothing.LIKE
    assert max(red.likeness, green.likeness) <= 1.0001


def test_a_stranger_is_not_named(filmed):
    """Green's picture says nothing of red."""
    assert [one.name for one in wore(filmed, green=GREEN)] == ["green"]


def test_a_figure_goes_to_the_likest_picture(filmed):
    """Somebody dressed nearly alike does not share it."""
    assert [one.name for one in wore(filmed, red=RED, pink=PINK)] == ["red"]


def test_what_is_much_less_like_than_the_best_is_somebody_else(filmed, monkeypatch):
    """The same clothes look the same all through a film."""
    monkeypatch.setattr(clothing, "LIKE", 0.01)

    assert [one.name for one in wore(filmed, red=RED)] == ["red"]


def test_a_passing_shadow_is_too_short(filmed):
    """Two sights are no way."""
    figures = filmed.figures
    first = {name: getattr(figures, name)[:2] for name in attrs.asdict(figures)}

    assert wore(attrs.evolve(filmed, figures=attrs.evolve(figures, **first)), red=RED) == ()


def test_somebody_still_there_at_the_end_is_seen_to_the_end(filmed):
    """There is no later sample that would end it."""
    figures, last = filmed.figures, len(filmed.samples.times) - 1
    late = attrs.evolve(figures, samples=figures.samples - figures.samples.max() + last)

    assert wore(attrs.evolve(filmed, figures=late), green=GREEN)[-1].end_time == 16.0


def test_other_shots_are_left_out(filmed):
    """The camera may have moved there."""
    assert who_wore(filmed, {"red": worn_in(portrait(RED))}, shots=()) == ()


def test_nobody_wore_what_nobody_asked_for(filmed):
    """Nor where nobody was."""
    assert wore(filmed) == ()
    empty = attrs.evolve(NO_FIGURES, clothing=np.zeros((0, 1728), np.uint8))
    assert wore(attrs.evolve(filmed, figures=empty), red=RED) == ()


def test_a_long_shot_from_a_fixed_camera_tells(filmed, index):
    """Short ones, as those of the other film, do not."""
    assert fixed_shots(filmed) == filmed.facts.shots
    assert fixed_shots(index) == ()
