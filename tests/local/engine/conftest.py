"""A film that is rendered once, its index, and what is computed from them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytest.importorskip("cv2")

from memories_async.local.engine.pixels import PixelEngine
from memories_async.local.engine.protocol import Shot
from memories_async.local.engine.video.film import Film
from memories_async.local.engine.video.picture import encode
from memories_async.local.engine.video.render import render
from memories_async.local.engine.vision.index import PixelIndex
from memories_async.local.engine.vision.indexing import index_video


@pytest.fixture(scope="session")
def rendered(tmp_path_factory) -> tuple[Path, tuple[Shot, ...]]:
    """A film of 9 seconds and three places, and where its shots are."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    return path, render(path, seconds=9, scenes=3, seed=3, size=(480, 270))


@pytest.fixture(scope="session")
def film(rendered) -> Path:
    """The film's path."""
    return rendered[0]


@pytest.fixture(scope="session")
def foreign(tmp_path_factory) -> Path:
    """Another film, which shares no place with the first."""
    path = tmp_path_factory.mktemp("foreign") / "foreign.mp4"
    render(path, seconds=4, scenes=2, seed=9, size=(480, 270), kinds=("board", "city"))
    return path


@pytest.fixture(scope="session")
def index(film) -> PixelIndex:
    """The film's index."""
    return index_video(film)


@pytest.fixture(scope="session")
def engine(tmp_path_factory) -> PixelEngine:
    """The engine, with a cache of its own."""
    return PixelEngine(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def frame(film):
    """Return the film's picture at a second."""

    def at(seconds: float):
        with Film.open(film) as source:
            return next(one.picture for one in source.frames(1000) if one.time >= seconds)

    return at


@pytest.fixture(scope="session")
def jpeg(frame):
    """Return the film's picture at a second, as JPEG."""
    return lambda seconds: encode(frame(seconds), quality=90)


@pytest.fixture
def clip():
    """Find a real clip by name, or skip."""
    folder = Path(
        os.environ.get("MEMORIES_TEST_VIDEOS", Path(__file__).parents[4] / "shared" / "videos")
    )

    def find(name: str) -> Path:
        if not (folder / name).exists():
            pytest.skip(f"{name} is not at hand: set MEMORIES_TEST_VIDEOS")
        return folder / name

    return find
