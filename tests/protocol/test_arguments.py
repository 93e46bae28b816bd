"""A file, a URL and an id of the service are told apart before anything is sent."""

from __future__ import annotations

from pathlib import Path

import pytest
from samples import PNG

from memories_async import assets, captions, clips, embeddings, videos

PROMPTS = {"user_prompt": "What?", "system_prompt": "Short."}


@pytest.mark.parametrize(
    "given", ["holiday.mp4", "HOLIDAY.MOV", "a/b", "c:\\d", "q.png", "https://x.example/a"]
)
@pytest.mark.parametrize(
    ("build", "instead"),
    [
        (embeddings.video, "embeddings.video_file takes a file"),
        (
            lambda given: clips.search(PNG, prompt="x", video_no=given),
            "clips.search_file takes a file",
        ),
        (videos.metadata, "videos.upload takes a file, videos.upload_url a URL"),
        (videos.details, "videos.upload takes a file"),
        (lambda given: videos.delete([given]), "videos.upload takes a file"),
        (lambda given: videos.download(given, to="a"), "videos.upload takes a file"),
        (assets.metadata, "assets.upload takes a file"),
        (assets.delete, "assets.upload takes a file"),
        (lambda given: assets.download(given, to="a"), "assets.upload takes a file"),
    ],
    ids=[
        *("embedding", "search", "metadata", "details", "delete", "download"),
        *("asset", "asset-delete", "asset-download"),
    ],
)
def test_a_file_or_url_in_place_of_an_id_is_refused(build, instead, given):
    """The error names the function that takes it."""
    kind = "a URL" if "://" in given else "a file"
    with pytest.raises(ValueError, match=f"must be an id of the service, not {kind}.*: {instead}"):
        build(given)


@pytest.mark.parametrize("known", ["VI625239098370850816", "PI7", "re_657", "a-b.c", "other.id"])
def test_ids_are_sent_also_of_shapes_that_no_page_shows(known):
    """The service may make others."""
    assert videos.metadata(known).query[0] == ("video_no", known)
    assert embeddings.video(known).body.document["asset_id"] == known


def test_a_path_in_place_of_an_id_is_of_the_wrong_type():
    """It names the function that takes it, too."""
    with pytest.raises(TypeError, match=r"not a .*Path: embeddings.video_file takes a file"):
        embeddings.video(Path("holiday.mp4"))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: videos.upload("https://x.example/a.mp4"), "videos.upload_url takes it"),
        (
            lambda: captions.upload_file("https://x.example/a.mp4", **PROMPTS),
            "captions.upload takes it",
        ),
        (lambda: assets.upload("https://x.example/a.mp4"), "not a URL: download it first"),
        (lambda: embeddings.video_file("re_657"), "must be a file, not the id re_657"),
        (lambda: videos.upload("VI625"), "must be a file, not the id VI625"),
        (lambda: videos.upload_url("a.mp4"), "not 'a.mp4': videos.upload takes a file"),
        (lambda: captions.upload("a.mp4", **PROMPTS), "captions.upload_file takes a file"),
    ],
    ids=["video", "caption", "asset", "asset-id", "video-no", "video-url", "caption-url"],
)
def test_what_takes_the_other_kind_is_named(build, message):
    """Where there is such a function."""
    with pytest.raises(ValueError, match=message):
        build()


def test_a_url_in_place_of_an_id_is_shown_without_its_password():
    """Messages are written to logs."""
    with pytest.raises(ValueError, match="must be an id") as caught:
        embeddings.video("https://me:word@x.example/a.mp4")

    assert "word" not in str(caught.value)
