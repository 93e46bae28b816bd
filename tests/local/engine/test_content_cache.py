"""What was computed from a video is cached in a folder; a folder that fails costs no answer."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from memories_async.local.engine.content_cache import (
    build_path,
    hash_content,
    load_or_build,
    write_file,
)


@pytest.fixture
def make(tmp_path):
    """Cache the length of a file; return it, and how often it was built."""
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


def test_value_is_built_once_and_cached(make, tmp_path):
    """The folder is created, and holds nothing else."""
    folder = tmp_path / "some" / "cache"

    assert (make(folder), make(folder)) == ((4, 1), (4, 1))
    assert len(list(folder.iterdir())) == 1


def test_value_is_built_each_time_without_a_folder(make):
    """Nothing is left on disk."""
    assert (make(None), make(None)) == ((4, 1), (4, 2))


@pytest.mark.parametrize("subfolder", ["", "cache"])
def test_answers_without_a_cache_where_the_folder_cannot_be_used(make, tmp_path, caplog, subfolder):
    """It says so in the log; the answer is computed anew each time."""
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / subfolder

    assert (make(folder), make(folder)) == ((4, 1), (4, 2))
    assert f"nothing can be kept in {folder}" in caplog.text


def test_answers_without_a_cache_where_the_disk_is_full(tmp_path, caplog):
    """The folder takes a few bytes, but not what was computed."""
    video, full, paths = tmp_path / "video.mp4", tmp_path / "full", []
    video.write_bytes(b"four")

    def build(path):
        paths.append(path)
        write_file(path, fill)

    def fill(file):
        if paths[-1].parent == full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        file.write(b"4")

    def load(path):
        return path.read_bytes() if path.exists() else None

    assert load_or_build(video, full, engine="length/1", load=load, build=build) == b"4"
    assert len(paths) == 2
    assert list(full.iterdir()) == []
    assert "No space left" in caplog.text


def test_a_spare_folder_is_used_where_the_first_cannot_be(tmp_path):
    """What is written there is found the next time."""
    video, built = tmp_path / "video.mp4", []
    video.write_bytes(b"four")

    def build(path):
        built.append(path)
        path.write_bytes(b"4")

    def ask():
        return load_or_build(
            video,
            video / "no-folder",
            engine="length/1",
            load=lambda path: path.read_bytes() if path.exists() else None,
            build=build,
            spare=lambda: tmp_path,
        )

    assert (ask(), ask()) == (b"4", b"4")
    assert [path.parent for path in built] == [tmp_path]


def test_path_depends_on_content_and_engine(tmp_path):
    """Another version of the engine does not read the old one's files."""
    content = hash_content(Path(__file__))

    paths = {
        build_path(tmp_path, content=content, engine="pixels/1"),
        build_path(tmp_path, content=content, engine="pixels/5"),
        build_path(tmp_path, content="0" * 64, engine="pixels/1"),
    }

    assert len(paths) == 3
    assert all(path.parent == tmp_path for path in paths)
