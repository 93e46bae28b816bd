"""A pytest plugin: the fixture `memories_service`, an embedded service for one test.

pytest imports this module in every run of an environment that has it, so nothing else of the package
is imported before a fixture is requested. The service runs on a thread of its own: tests may be
blocking, or run on any event loop.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from memories_async.local import LocalService
    from memories_async.local.engine.protocol import Engine

__all__ = ["memories_engine", "memories_service", "memories_videos"]

_SECONDS = 24
"""Long enough to be captioned: the page asks for 20 seconds."""
_SIZE = (320, 180)


@pytest.fixture(scope="session")
def memories_videos(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    """Name the service's videos: a film of four scenes, unless you override this fixture."""
    from memories_async.local.engine.video.render import render  # noqa: PLC0415  # see above

    film = tmp_path_factory.mktemp("memories") / "film.mp4"
    render(film, seconds=_SECONDS, size=_SIZE)
    return (film,)


@pytest.fixture(scope="session")
def memories_engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """Give what answers: pixels, each video indexed once a session; override it for another."""
    from memories_async.local.engine.pixels import PixelEngine  # noqa: PLC0415  # see above

    return PixelEngine(tmp_path_factory.mktemp("memories-index"))


@pytest.fixture
def memories_service(
    memories_videos: tuple[Path, ...], memories_engine: Engine
) -> Generator[LocalService]:
    """Run an embedded service without rate limits, new for each test."""
    from memories_async.local import LocalService  # noqa: PLC0415  # see above

    with LocalService(memories_videos, engine=memories_engine, limits=None) as service:
        yield service
