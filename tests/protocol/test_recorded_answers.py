"""Answers of the service that were recorded, documented or quoted: each is read as it was meant.

`tests/data/answers` holds one file for each, with the call that it answers and its source.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from samples import PNG, caption_call, embed_call, reply

from memories_async import assets, clips, errors, videos

FOLDER = Path(__file__).parents[1] / "data" / "answers"
ANSWERS = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}


CALLS = {
    "clips": clips.search(PNG, prompt="p", video_no="VI1"),
    "embed": embed_call(),
    "caption": caption_call(),
    "upload": videos.upload(b"film"),
    "list": videos.list(),
    "meta": videos.metadata("VI1"),
    "delete": videos.delete(["VI1"]),
    "asset": assets.upload(b"film"),
    "assetmeta": assets.metadata("re_657"),
    "download": assets.download("re_657", to="film.mp4"),
}


def read_answer(name):
    """Read an answer by the call that it belongs to."""
    answer = ANSWERS[name]
    return CALLS[answer["call"]].read(reply(answer["body"], answer["status"]))


@pytest.mark.parametrize(
    ("name", "kind", "transient"),
    [
        ("delete_0409", errors.Conflict, False),
        ("delete_0409_busy", errors.Refused, True),
        ("delete_0429", errors.RateLimited, True),
        ("download_json", errors.InvalidRequest, False),
        ("embed_400", errors.InvalidRequest, False),
        ("embed_402", errors.InsufficientCredits, False),
        ("embed_429", errors.RateLimited, True),
        ("err_1024", errors.Refused, False),
        ("err_401", errors.AuthenticationFailed, False),
        ("err_401_http", errors.AuthenticationFailed, False),
        ("err_9009", errors.PermissionDenied, False),
        ("err_network", errors.InvalidRequest, True),
        ("err_spring404", errors.InvalidRequest, False),
        ("err_spring503", errors.OutcomeUnknown, False),
        ("err_static", errors.InvalidRequest, False),
        # An embedding is billed, and words do not prove that it was not computed.
        ("err_v2_0001_200", errors.OutcomeUnknown, True),
        ("err_v2_limit400", errors.InvalidRequest, False),
        ("err_v2_post", errors.InvalidRequest, False),
        ("search_no_prompt", errors.InvalidRequest, False),
        ("submit_minus1", errors.Refused, False),
        ("submit_oa_empty", errors.BadReply, False),
        ("upload_0429", errors.RateLimited, True),
    ],
)
def test_a_recorded_failure_raises_its_error(name, kind, transient):
    """The type says what it means, and `transient` whether it may pass."""
    with pytest.raises(errors.MemoriesError) as caught:
        read_answer(name)

    assert (type(caught.value), caught.value.transient) == (kind, transient)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("asset_meta", "SUCCESS"),
        ("asset_upload_200", "re_657745568997527552"),
        ("asset_upload_bare", "re_657745568997527552"),
        ("asset_upload_nocode", "re_657745568997527552"),
        ("delete_real", None),
        ("embed_200", 1408),
        ("embed_list", 2),
        ("embed_s3", 5),
        ("list_oa", 2),
        ("list_public_fields", 1),
        ("list_real_all", 31),
        ("list_real_one", 1),
        ("list_recorded_curl", 0),
        ("list_v12", 1),
        ("meta_camel_fixture", "PARSE"),
        ("meta_fail", "FAIL"),
        ("meta_null", None),
        ("meta_oa", "PARSE"),
        ("meta_videoStatus", "PARSE"),
        ("search_camel_text", 5),
        ("search_empty_null", 0),
        ("search_empty_object", 0),
        ("search_oa_bucket", 2),
        ("search_s1", 2),
        ("submit_s2", "8e03075a-2230-4e67-98d4-ba53f37c807a"),
        ("upload_oa", "VI568102998803353600"),
        ("upload_real_short", "VI627384556951646208"),
        ("upload_v12", "VI568102998803353600"),
    ],
)
def test_a_recorded_success_is_read(name, expected):
    """An id or a status, a number of items, or nothing."""
    answer = read_answer(name)

    assert summarise(answer) == expected


def summarise(answer):
    """What the table says of an answer."""
    match answer:
        case videos.Page():
            return len(answer.videos)
        case videos.Video():
            return answer.status if answer.status not in {None, "UNPARSE"} else answer.video_no
        case assets.Asset():
            return answer.upload_status or answer.asset_id
    return getattr(answer, "task_id", None) or (None if answer is None else len(answer))


def test_every_recorded_answer_is_in_a_table():
    """A new file without an expectation would not be checked."""
    tables = (test_a_recorded_failure_raises_its_error, test_a_recorded_success_is_read)
    checked = [row[0] for table in tables for row in table.pytestmark[0].args[1]]

    assert sorted(checked) == sorted(ANSWERS)


def test_clips_keep_fields_that_the_page_does_not_describe():
    """Newer answers say where the video is stored, and other endpoints use camelCase."""
    stored = read_answer("search_oa_bucket")[0]
    camel = read_answer("search_camel_text")[0]

    assert stored.extra["video_bucket"] == "mavi-resource"
    assert (camel.start_time, camel.end_time) == (467.0, 501.0)
    assert camel.extra["video_name"] == "ElephantsDream"


def test_a_video_has_its_details_by_name():
    """Of newer answers; those of older ones are None."""
    video, listed = read_answer("meta_oa"), read_answer("list_oa").videos[0]

    assert (video.width, video.height, video.fps, video.resolution_label) == (1280, 720, 30, "720P")
    assert (video.datetime_taken, video.camera_model) == (1729388400000, "Canon EOS 5D")
    assert (video.latitude, video.longitude) == (39.9042, 116.4074)
    assert (video.bucket, video.blob) == ("mavi-resource", "VI606404158946574336.mp4")
    assert video.tags == listed.tags == ("holiday", "beijing", "api")
    assert (video.extra, listed.width) == ({}, None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("datetimeTaken", "2024-10-20"),
        ("latitude", ""),
        ("tags", "a,b"),
        ("fps", {}),
        ("width", 0.5),
    ],
    ids=["time", "place", "tags", "rate", "width"],
)
def test_a_detail_that_cannot_be_read_leaves_the_video_readable(name, value):
    """It is kept as it came."""
    video = videos.read_video({"video_no": "VI1", name: value, "camera_model": "null"})

    snake = {"datetimeTaken": "datetime_taken"}.get(name, name)
    assert (getattr(video, snake), video.extra) == (None, {snake: value})
    assert video.camera_model is None
