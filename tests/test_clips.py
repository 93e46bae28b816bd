"""Search Clips by Image, field by field as its page has it."""

from __future__ import annotations

import pytest
from attrs.exceptions import FrozenInstanceError
from samples import CLIP, FOUND, PNG, reply, search_call

from memories_async import Clip, clips
from memories_async._protocol.reply import Host
from memories_async.errors import BadReply


def test_search_is_the_call_of_the_page():
    """Host, path and cost."""
    call = search_call()

    assert (call.name, call.host, call.method) == ("clips.search", Host.SEARCH, "POST")
    assert call.path == "/serve/api/v1/search_clips_by_image"
    assert (call.family, call.unit, call.repeatable) == ("search", "search", True)
    assert not call.needs_callback


def test_search_sends_the_documented_fields():
    """The file part first, then three text fields; `unique_id` has its default."""
    picture, *fields = search_call().body.parts

    assert (picture.name, picture.content.name) == ("file", "query.png")
    assert picture.content.content_type == "image/png"
    assert [(part.name, part.content) for part in fields] == [
        ("video_no", "VI1"),
        ("prompt", "a red shirt"),
        ("unique_id", "default"),
    ]


def test_search_sends_the_scope():
    """The documented field `unique_id`."""
    assert search_call(unique_id="mine").body.parts[-1].content == "mine"


@pytest.mark.parametrize("name", ["prompt", "video_no", "unique_id"])
@pytest.mark.parametrize("value", ["", " "])
def test_a_required_argument_must_not_be_empty(name, value):
    """The service would refuse it."""
    with pytest.raises(ValueError, match=f"{name} must not be empty"):
        search_call(**{name: value})


def test_a_picture_above_20_mb_is_refused():
    """To the byte; None removes the limit."""
    most = PNG + bytes(20 * 1024 * 1024 - len(PNG))
    asked = {"prompt": "x", "video_no": "VI1"}

    assert clips.search(most, **asked).body.media[0].size == 20 * 1024 * 1024
    with pytest.raises(ValueError, match="image must be at most 20,971,520 bytes"):
        clips.search(most + b"x", **asked)
    assert clips.search(most + b"x", **asked, max_image_size=None)


@pytest.mark.parametrize("nothing", [[], None, {}])
def test_no_match_is_an_empty_tuple(nothing):
    """The service writes "none" in three ways."""
    assert search_call().read(reply({**FOUND, "data": nothing})) == ()


@pytest.mark.parametrize("data", [7, True, "", "clips", {"a": 1}, [7], [None], [[]], ["x"]])
def test_data_of_another_form_is_a_bad_reply(data):
    """It is never taken for "no match"."""
    with pytest.raises(BadReply, match="an unexpected form"):
        search_call().read(reply({**FOUND, "data": data}))


def test_clips_keep_the_order_of_the_reply_and_are_frozen():
    """The service sends the best first."""
    found = search_call().read(reply({**FOUND, "data": [CLIP, {**CLIP, "score": 0.9}]}))

    assert [clip.score for clip in found] == [0.8631, 0.9]
    assert found[0] == Clip(start_time=12.5, end_time=18.2, score=0.8631)
    with pytest.raises(FrozenInstanceError):
        found[0].score = 1.0
