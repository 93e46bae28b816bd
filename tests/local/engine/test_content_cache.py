"""What was made of a video is kept in a folder, or it is said at once that it cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from memories_async.local.engine.content_cache import build_path, hash_content, load_or_build
from memories_async.local.engine.protocol import EngineFailed


@pytest.fixture
def make(tmp_path):
    """Keep the length of a file; give what is known, and how often it was made."""
    video, built = tmp_path / "video.mp4", []
    video.write_bytes(b"four")

    def make(folder):
        def build(path):
            built.append(path)
            path.write_text("4")

        def load(path):
            return int(path.read_text()) if path.exists() else None

        return load_or_build(video, folder, engine="length/1", load=load, build=build), len(built)

    return make


def test_is_made_once_and_kept(make, tmp_path):
    """The folder comes into being with it, and holds nothing else."""
    folder = tmp_path / "some" / "cache"

    assert (make(folder), make(folder)) == ((4, 1), (4, 1))
    assert len(list(folder.iterdir())) == 1


def test_without_a_folder_nothing_stays(make):
    """It is made anew each time."""
    assert (make(None), make(None)) == ((4, 1), (4, 2))


@pytest.mark.parametrize("base", ["", "cache"])
def test_says_at_once_that_a_folder_cannot_be_used(make, tmp_path, base):
    """Before anything is decoded for it."""
    (tmp_path / "file").touch()

    with pytest.raises(EngineFailed, match=r"nothing can be kept in .*file.*: .+; name another"):
        make(tmp_path / "file" / base)


def test_the_place_depends_on_content_and_engine(tmp_path):
    """Another version of the engine does not read the old one's work."""
    content = hash_content(Path(__file__))

    paths = {
        build_path(tmp_path, content=content, engine="pixels/1"),
        build_path(tmp_path, content=content, engine="pixels/4"),
        build_path(tmp_path, content="0" * 64, engine="pixels/1"),
    }

    assert len(paths) == 3
    assert all(path.parent == tmp_path for path in paths)
