"""The library is made of files and folders, and its ids of the files' content."""

from __future__ import annotations

import re

import pytest

from memories_async.local.state.library import Library, resolve_sources


def library(*paths):
    return Library(resolve_sources(paths))


def test_folder_gives_its_videos_sorted_by_name(films):
    """Other files are left out."""
    (films / "notes.txt").write_text("no video")
    (films / "sub.mp4").mkdir()

    assert [one.path.name for one in library(films).videos()] == ["garden.mp4", "street.mp4"]


def test_file_given_by_name_may_have_any_suffix(films):
    """It is not in a folder that must be searched."""
    (films / "clip.bin").write_bytes(b"30:x")

    assert library(films / "clip.bin").videos()[0].path.name == "clip.bin"


def test_ids_depend_on_the_content_only(films):
    """Not on the file name."""
    (films / "copy.mp4").write_bytes((films / "street.mp4").read_bytes())
    copy, garden, street = (
        library(films / name).videos()[0] for name in ("copy.mp4", "garden.mp4", "street.mp4")
    )

    assert re.fullmatch(r"VI\d{18}", street.video_no)
    assert re.fullmatch(r"re_\d{18}", street.asset_id)
    assert (copy.video_no, copy.asset_id) == (street.video_no, street.asset_id)
    assert garden.video_no != street.video_no
    assert street.video_no[2:] != street.asset_id[3:]


def test_same_content_twice_is_one_video(films):
    """A copy adds nothing."""
    (films / "copy.mp4").write_bytes((films / "street.mp4").read_bytes())

    assert len(library(films).videos()) == 2


def test_library_finds_by_either_id_and_by_file_name(films):
    """Routes use ids; a URL has a file name."""
    videos = library(films)
    garden, street = videos.videos()

    assert videos.find(street.video_no) is videos.find(street.asset_id) is street
    assert videos.find_file("garden.mp4") is garden
    assert videos.find("VI1") is videos.find_file("other.mp4") is None


def test_ids_of_the_documentation_name_the_first_video(films, tmp_path):
    """If there is any video."""
    videos = library(films)

    assert videos.find("VI625239098370850816") is videos.videos()[0]
    assert videos.find("re_657745568997527552") is videos.videos()[0]
    assert library().find("VI625239098370850816") is None


def test_files_are_read_when_first_needed(films):
    """Creating a library reads nothing."""
    videos = library(films)
    assert not videos.is_read

    videos.videos()
    assert videos.is_read


def test_single_path_needs_no_list(films):
    """A string or a path."""
    assert resolve_sources(str(films)) == resolve_sources(films) == resolve_sources([films])


def test_missing_path_is_refused(tmp_path):
    """A misspelt folder is not an empty one."""
    with pytest.raises(ValueError, match="neither a file nor a directory"):
        resolve_sources(tmp_path / "nowhere")
