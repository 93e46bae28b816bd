"""A rendered film has the shots, length and size that `render` returns and is asked for."""

from __future__ import annotations

import numpy as np
import pytest

from memories_async.local.engine.video.film import Film
from memories_async.local.engine.video.render import render
from memories_async.local.engine.video.scenery import KINDS, paint


def test_rendered_film_has_the_length_size_and_shots_asked_for(tmp_path):
    """Shots follow one another without a gap."""
    path = tmp_path / "film.mp4"

    shots = render(path, seconds=3, scenes=2, seed=5, size=(320, 180))

    assert [(shot.start_time, shot.end_time) for shot in shots] == [(0, 1.5), (1.5, 3)]
    with Film.open(path) as film:
        assert len(list(film.frames(8))) == 24
    assert (film.width, film.height, film.duration) == (320, 180, pytest.approx(3))


def test_same_seed_renders_the_same_film(tmp_path):
    """Another seed renders another film."""
    frames = []
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        render(tmp_path / f"{name}.mp4", seconds=1, scenes=1, seed=seed, size=(160, 90))
        with Film.open(tmp_path / f"{name}.mp4") as film:
            frames.append(next(film.frames(1)).picture)

    assert np.array_equal(frames[0], frames[1])
    assert not np.array_equal(frames[0], frames[2])


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_place_is_painted(kind):
    """With detail, in the size asked for."""
    picture = paint(kind, np.random.default_rng(2), (300, 200))

    assert picture.shape == (200, 300, 3)
    assert picture.std() > 15


def test_camera_moves_in_every_way(tmp_path):
    """Over several seeds."""
    for seed in range(6):
        render(tmp_path / "film.mp4", seconds=0.5, scenes=2, seed=seed, size=(160, 90))

    assert (tmp_path / "film.mp4").stat().st_size > 0


def test_unwritable_path_is_named(tmp_path):
    """A folder that does not exist."""
    with pytest.raises(OSError, match="no film can be written"):
        render(tmp_path / "missing" / "film.mp4", seconds=1)
