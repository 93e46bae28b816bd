"""Calls as values: equality, fingerprints, callbacks, pickles and typed reading."""

from __future__ import annotations

import io
import pickle
import re

import pytest
from attrs import evolve
from samples import CLIP, FOUND, PNG, caption_call, embed_call, reply, search_call

from memories_async import Limits, assets, calls, captions, clips, embeddings, videos
from memories_async._protocol.arguments import check_text, check_url
from memories_async._protocol.call import (
    Fields,
    Form,
    Json,
    Part,
    estimate_transfer_time,
    fingerprint,
)
from memories_async.errors import BadReply

ASKED = {"user_prompt": "u", "system_prompt": "s"}


def upload_file(**changes):
    """A caption of a file, with somebody to recognise."""
    people = [captions.Person("Ann", image=PNG)]
    return captions.upload_file(b"video", **ASKED, persons=people, **changes)


BUILDERS = [search_call, embed_call, caption_call, upload_file]


@pytest.mark.parametrize("build", BUILDERS)
def test_equal_calls_have_equal_fingerprints(build):
    """Two calls with the same arguments are equal."""
    assert build() == build()
    assert fingerprint(build(), "me") == fingerprint(build(), "me")


@pytest.mark.parametrize("build", BUILDERS)
def test_calls_can_be_pickled(build):
    """Another process can send them."""
    call = build()
    twin = pickle.loads(pickle.dumps(call))

    assert twin == call
    assert fingerprint(twin, "me") == fingerprint(call, "me")


def test_a_fingerprint_covers_every_argument():
    """Endpoint, fields, media content and account."""
    calls = [
        *(search_call(), search_call(prompt="x"), search_call(video_no="x")),
        *(
            search_call(unique_id="x"),
            clips.search(PNG + b"x", prompt="a red shirt", video_no="VI1"),
        ),
        *(embed_call(), embed_call("x"), embeddings.video("re_1", model="x")),
        *(caption_call(), caption_call(thinking=True), caption_call(callback="https://x/y")),
        *(caption_call(user_prompt="x"), upload_file(), upload_file(callback="https://x/y")),
        caption_call(persons=[captions.Person("Ann", url="https://x/a.png")]),
        *(videos.upload_url("https://x/a.mp4"), videos.upload_url("https://x/b.mp4")),
    ]

    assert len({fingerprint(call, "me") for call in calls}) == len(calls)
    assert fingerprint(calls[0], "me") != fingerprint(calls[0], "you")


def test_a_fingerprint_does_not_cover_file_names(tmp_path):
    """The same picture under another name is the same call."""
    (tmp_path / "other.png").write_bytes(PNG)
    sources = [PNG, io.BytesIO(PNG), tmp_path / "other.png"]
    asked = {"prompt": "x", "video_no": "VI1"}

    assert len({fingerprint(clips.search(one, **asked), "me") for one in sources}) == 1


@pytest.mark.parametrize("build", [upload_file, lambda: caption_call(callback=None)])
def test_with_callback_fills_in_the_url(build):
    """The receiver issues it before sending; the first call is unchanged."""
    call = build()
    filled = call.with_callback("https://me/cb?t=1")

    assert (call.needs_callback, filled.needs_callback) == (True, False)
    assert b'"callback":"https://me/cb?t=1"' in request_json(filled).encode()
    assert b"callback" not in request_json(call).encode()
    assert evolve(filled, body=call.body, needs_callback=True) == call


def request_json(call) -> Json:
    """The JSON document of a submission, wherever it is."""
    return call.body if isinstance(call.body, Json) else call.body.parts[0].content


def test_a_body_of_fields_takes_the_url_as_a_field():
    """So does a form without a JSON part, whose other fields stay."""
    fields, form = videos.upload_url("https://x/a.mp4"), videos.upload(b"film")
    url = "https://me/cb"
    filled = [one.with_callback(url) for one in (fields, form, upload_file())]

    assert filled[0].body == Fields((*fields.body.fields, ("callback", url)))
    assert filled[1].body == Form((*form.body.parts, Part("callback", url)))
    assert filled[2].body.parts[1:] == upload_file().body.parts[1:]
    assert not any(one.welcomes_callback or one.needs_callback for one in filled)


def test_a_fingerprint_is_the_same_in_every_version():
    """A ledger finds the calls that an earlier version paid for."""
    assert fingerprint(embed_call(), "me") == "b2ab08e128b956dd2a6bf78fdd0948f6ab21a6ac"
    assert fingerprint(upload_file(), "me") == "d3a499a5bba33d793f79ad28f7c91646d9a9d756"


def test_a_transfer_is_expected_to_run_at_a_megabit_a_second():
    """An upload of 125,000 bytes has one second more; a call without an upload has none."""
    assert estimate_transfer_time(125_000) == 1.0
    assert videos.upload(bytes(250_000)).allowance == 2.0
    assert embed_call().allowance == 0.0


@pytest.mark.parametrize("url", ["https://x/a", "http://x:1/", "https://[::1]:443/a?b=c"])
def test_a_full_url_is_returned_as_it_is(url):
    """Port and query included."""
    assert check_url("url", url) == url


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("https://x:0/a", "a full http or https URL"),
        ("https://:80/a", "a full http or https URL"),
        ("//x/a", "a full http or https URL"),
        ("https://x/\u200b", "a full http or https URL of printable characters"),
    ],
)
def test_a_url_without_a_usable_host_and_port_is_refused(url, rule):
    """The message names the argument and the value."""
    with pytest.raises(ValueError, match=re.escape(f"url must be {rule}, not {url!r}")):
        check_url("url", url)


def test_documents_cannot_be_changed_through_a_call():
    """Neither by the code that built it nor by the code that holds it."""
    document = {"a": 1}
    body = Json(document)
    document["a"] = 2

    assert body.encode() == b'{"a":1}'
    with pytest.raises(TypeError):
        body.document["a"] = 3


def test_a_form_lists_its_media():
    """In the order in which they are sent."""
    media = upload_file().body.media

    assert [one.name for one in media] == ["video.mp4", "Ann.png"]
    assert upload_file().media == media
    assert Form((Part("a", "text"),)).media == caption_call().media == ()


def test_a_reply_is_read_in_every_spelling():
    """Numbers as text are numbers, and unknown fields in any order are accepted (fault case 45)."""
    clip = {"new": [], "score": "0.5", "end_time": 2, "start_time": "1.5"}

    (found,) = search_call().read(reply({**FOUND, "data": [clip], "more": {}}))
    assert found == clips.Clip(start_time=1.5, end_time=2.0, score=0.5)


@pytest.mark.parametrize("name", CLIP)
@pytest.mark.parametrize("value", [None, "soon", "nan", "1e999", True, [], {}, ...])
def test_a_missing_or_wrong_field_makes_the_reply_bad(name, value):
    """The error keeps the whole body."""
    clip = {n: v for n, v in {**CLIP, name: value}.items() if v is not ...}
    whole = reply({**FOUND, "data": [CLIP, clip]})

    with pytest.raises(BadReply, match=name) as caught:
        search_call().read(whole)
    assert (caught.value.body, caught.value.billed) == (whole.body, "maybe")
    assert caught.value.__cause__ is None
    assert "the reply has an unexpected form: " in caught.value.message


def test_a_bad_reply_gives_its_reason_in_three_hundred_characters():
    """A decoder may quote the whole reply."""

    def decode(data):
        raise ValueError("x" * 400)

    with pytest.raises(BadReply) as caught:
        evolve(search_call(), decode=decode).read(reply(FOUND))
    assert caught.value.message == "the reply has an unexpected form: " + "x" * 300


@pytest.mark.parametrize("value", [None, 7, b"bytes"])
def test_arguments_of_another_type_are_type_errors(value):
    """Callers may be untyped."""
    with pytest.raises(TypeError, match="prompt must be a str, not"):
        check_text("prompt", value)


@pytest.mark.parametrize("value", ["", "  ", "\n"])
def test_blank_text_is_refused(value):
    """Spaces are no prompt."""
    with pytest.raises(ValueError, match="prompt must not be empty"):
        check_text("prompt", value)


def test_text_that_utf8_cannot_encode_is_refused_when_the_call_is_built():
    """A lone surrogate has no bytes."""
    with pytest.raises(ValueError, match="prompt must be text that UTF-8 can encode"):
        search_call(prompt="\ud800")


def test_every_limit_applies_to_a_call(tmp_path):
    """A setting without a call would have no effect."""
    sendable = [
        calls.request("GET", "search", "/serve/api/v1/another"),
        *(search_call(), caption_call(), upload_file(), embed_call()),
        *(videos.upload_url("https://x/a.mp4"), videos.upload(b"film"), videos.list()),
        *(videos.metadata("VI1"), videos.delete(["VI1"])),
        *(assets.upload(b"film"), assets.metadata("re_1"), assets.delete("re_1")),
        assets.download("re_1", to=tmp_path / "film.mp4"),
        videos.download("VI1", to=tmp_path / "film.mp4"),
    ]

    assert {call.family for call in sendable} == {limit.family for limit in Limits().describe()}


EXTRA = {"mode": "fast", "level": 3, "is_new": True, "labels": ["a", "b"], "range": {"to": 9}}
TEXT = [
    *(("mode", "fast"), ("level", "3"), ("is_new", "true"), ("labels", "a"), ("labels", "b")),
    ("range", '{"to":9}'),
]


def test_extra_fields_go_where_the_arguments_go():
    """Into the JSON document, the JSON part of a form, its fields, a form's fields, or the query."""
    assert embeddings.video("re_1", extra=EXTRA).body.plain == {
        **embeddings.video("re_1").body.plain,
        **EXTRA,
    }
    upload = captions.upload_file(b"film", user_prompt="u", system_prompt="s", extra=EXTRA)
    assert upload.body.parts[0].content.plain.items() >= EXTRA.items()
    fields = [(part.name, part.content) for part in search_call(extra=EXTRA).body.parts]
    assert fields[-len(TEXT) :] == TEXT
    assert videos.upload_url("https://x/a.mp4", extra=EXTRA).body.fields[-len(TEXT) :] == tuple(
        TEXT
    )
    assert videos.metadata("VI1").with_extra(EXTRA).query[-len(TEXT) :] == tuple(TEXT)
    assert videos.delete(["VI1"]).with_extra(EXTRA).query[-len(TEXT) :] == tuple(TEXT)


def test_extra_fields_belong_to_the_identity_of_a_call():
    """Another field may ask something else."""
    plain, other = search_call(), search_call(extra={"mode": "fast"})

    assert fingerprint(plain, "a") == fingerprint(search_call(extra={}), "a")
    assert fingerprint(plain, "a") != fingerprint(other, "a")
    assert fingerprint(other, "a") != fingerprint(search_call(extra={"mode": "slow"}), "a")


@pytest.mark.parametrize("name", ["prompt", "video_no", "file", "callback"])
def test_extra_may_not_hold_a_field_that_the_call_sends(name):
    """Nor the callback, which the client fills in."""
    with pytest.raises(ValueError, match=f"extra must not hold '{name}', which clips.search sends"):
        search_call(extra={name: "x"})


@pytest.mark.parametrize("name", ["", "a b", 'a"', "a\r\nX: y", 7])
def test_extra_has_names_that_cannot_leave_their_place(name):
    """A form writes them into a header."""
    with pytest.raises(ValueError, match="extra must have names of letters"):
        search_call(extra={name: "x"})


def test_extra_is_json_and_does_not_change_later():
    """What cannot be sent is refused, and what the caller changes afterwards is not sent."""
    with pytest.raises(TypeError, match="extra must hold what JSON can express"):
        search_call(extra={"a": object()})

    labels = ["a"]
    call = embeddings.video("re_1", extra={"labels": labels})
    labels.append("b")
    assert call.body.plain["labels"] == ["a"]


@pytest.mark.parametrize(
    "call",
    [
        assets.upload(b"film", filename="a.mp4", extra=EXTRA),
        videos.upload(b"film", video_name="a.mp4", extra=EXTRA),
    ],
    ids=["asset", "video"],
)
def test_an_upload_sends_further_fields_as_parts(call):
    fields = [(part.name, part.content) for part in call.body.parts]
    assert fields[-len(TEXT) :] == list(TEXT)


@pytest.mark.parametrize("build", [assets.metadata, assets.delete])
def test_a_call_on_an_asset_sends_further_fields_in_its_query(build):
    assert build("re_1", extra=EXTRA).query == tuple(TEXT)


def test_calls_without_a_document_send_further_fields_in_their_query(tmp_path):
    calls = (
        videos.metadata("VI1", extra=EXTRA),
        videos.delete(["VI1"], extra=EXTRA),
        videos.download_blob("b", "c", to=tmp_path / "a", extra=EXTRA),
        assets.download("re_1", to=tmp_path / "a", extra=EXTRA),
    )
    assert all(call.query[-len(TEXT) :] == tuple(TEXT) for call in calls)


@pytest.mark.parametrize("name", ["persons", "thinking", "reasoning_effort", "qa"])
def test_a_field_that_a_caption_leaves_unset_is_refused_among_further_ones(name):
    with pytest.raises(
        ValueError, match=f"extra must not hold '{name}', which captions.upload sends"
    ):
        captions.upload("https://x/a.mp4", user_prompt="u", system_prompt="s", extra={name: "x"})


@pytest.mark.parametrize("name", ["tags", "camera_model", "folder_id"])
def test_an_option_that_an_upload_leaves_unset_is_refused_among_further_fields(name):
    with pytest.raises(ValueError, match=f"extra must not hold '{name}', which videos.upload_url"):
        videos.upload_url("https://x/a.mp4", extra={name: "x"})


def test_a_filter_that_a_list_leaves_unset_is_refused_among_further_fields():
    with pytest.raises(ValueError, match="extra must not hold 'tag'"):
        videos.list(extra={"tag": "x"})
