"""A folder is the seed data, and content decides the ids."""

from __future__ import annotations

import re

import pytest

from memories_async.local.state.library import Library, resolve_sources


def library(*paths):
    return Library(resolve_sources(paths))


def test_a_folder_gives_its_videos_in_order(films):
    """Only files that look like videos, by name."""
    (films / "notes.txt").write_text("no video")
    (films / "sub.mp4").mkdir()

    assert [one.path.name for one in library(films).videos()] == ["garden.mp4", "street.mp4"]


def test_a_file_named_is_taken_whatever_its_suffix(films):
    """Who names a file wants it."""
    (films / "clip.bin").write_bytes(b"30:x")

    assert library(films / "clip.bin").videos()[0].path.name == "clip.bin"


def test_ids_come_from_the_content_alone(films):
    """The same film under another name has the same ids, another film others."""
    (films / "copy.mp4").write_bytes((films / "street.mp4").read_bytes())
    copy, garden, street = (
        library(films / name).videos()[0] for name in ("copy.mp4", "garden.mp4", "street.mp4")
    )

    assert re.fullmatch(r"VI\d{18}", street.video_no)
    assert re.fullmatch(r"re_\d{18}", street.asset_id)
    assert (copy.video_no, copy.asset_id) == (street.video_no, street.asset_id)
    assert garden.video_no != street.video_no
    assert street.video_no[2:] != street.asset_id[3:]


def test_the_same_film_twice_is_one(films):
    """A copy adds nothing."""
    (films / "copy.mp4").write_bytes((films / "street.mp4").read_bytes())

    assert len(library(films).videos()) == 2


def test_finds_by_either_id_and_by_file_name(films):
    """Routes ask by id, a caption by URL asks by file name."""
    videos = library(films)
    garden, street = videos.videos()

    assert videos.find(street.video_no) is videos.find(street.asset_id) is street
    assert videos.find_file("garden.mp4") is garden
    assert videos.find("VI1") is videos.find_file("other.mp4") is None


def test_the_printed_ids_name_the_first_video(films, tmp_path):
    """The documentation's samples run as printed, if there is any video."""
    videos = library(films)

    assert videos.find("VI625239098370850816") is videos.videos()[0]
    assert videos.find("re_657745568997527552") is videos.videos()[0]
    assert library().find("VI625239098370850816") is None


def test_files_are_read_at_the_first_question(films):
    """Making a library costs nothing."""
    videos = library(films)
    assert not videos.is_read

    videos.videos()
    assert videos.is_read


def test_one_path_needs_no_list(films):
    """A string or a path is one video or folder."""
    assert resolve_sources(str(films)) == resolve_sources(films) == resolve_sources([films])


def test_refuses_a_path_that_is_not_there(tmp_path):
    """A misspelt folder is not an empty one."""
    with pytest.raises(ValueError, match="neither a file nor a directory"):
        resolve_sources(tmp_path / "nowhere")
