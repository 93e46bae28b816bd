"""Callbacks are read tolerantly, and nothing that was received is dropped."""

from __future__ import annotations

import gzip
import json
import zlib

import pytest
from callbacks import TASK, failure, success
from hypothesis import given
from hypothesis import strategies as st

from memories_async import BadReply, CaptionFailed, Tokens
from memories_async.receiver import CallbackDelivery, _payload


def read(document, content_type=""):
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return CallbackDelivery.read(body, content_type=content_type, at=1.0)


def caption(document, content_type=""):
    return read(document, content_type).read_caption(call="captions.upload")


def test_the_documented_sample_is_read() -> None:
    """Text, tokens and task are found where the page shows them."""
    answer = caption(success("Alice waves."))

    assert answer.text == "Alice waves."
    assert answer.tokens == Tokens(input=123, output=456, total=579)
    assert read(success()).task_id == TASK.task_id
    assert answer.extra == {}


@pytest.mark.parametrize(
    "data",
    [
        {"response": "A dog."},
        {"text": None, "response": "A dog."},
        {"text": "A dog.", "token": None},
        {"text": "A dog.", "token": {"input": 1}},
        {"text": "A dog.", "token": "many"},
    ],
)
def test_text_and_response_are_both_read_and_tokens_may_be_missing(data) -> None:
    """A caption needs nothing but its text."""
    answer = caption(success() | {"data": data})

    assert answer.text == "A dog."
    assert answer.tokens is None


def test_unknown_fields_are_kept() -> None:
    """Fields that the page does not name are in *extra*, from outside and inside `data`."""
    body = success(took=12)
    body["data"] |= {"language": "en", "response": "other", "text": "t"}

    assert caption(body).extra == {"took": 12, "language": "en", "response": "other"}


def test_an_unreadable_token_count_is_kept_in_extra() -> None:
    """It is treated as an unknown field."""
    answer = caption(success() | {"data": {"text": "t", "token": {"in": 1}}})

    assert answer.extra == {"token": {"in": 1}}


@pytest.mark.parametrize("status", [0, "0", 0.0])
def test_a_status_may_be_written_as_text(status) -> None:
    """Zero means success however it is written."""
    assert caption(success() | {"status": status}).text == "A man enters."


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({}, "no reason given"),
        ({"msg": "too dark"}, "too dark"),
        ({"data": {"message": "too long"}}, "too long"),
        ({"data": "too short"}, "too short"),
        ({"msg": "\x1b[2Jred\n"}, "\N{REPLACEMENT CHARACTER}[2Jred\N{REPLACEMENT CHARACTER}"),
        ({"status": "-1"}, "no reason given"),
        ({"msg": "", "message": 7, "error": "too dark"}, "too dark"),
        ({"data": {"response": "x" * 301}}, "x" * 300),
    ],
)
def test_a_failure_gives_the_reason_in_printable_characters(more, words) -> None:
    """Wherever the service puts it; no control character reaches a terminal."""
    with pytest.raises(CaptionFailed, match="captioning failed") as caught:
        caption(failure() | more)

    assert caught.value.message == f"captioning failed: {words}"
    assert caught.value.call == "captions.upload"


@pytest.mark.parametrize(
    "document",
    [
        {"task_id": "t"},
        {"task_id": "t", "status": 1},
        {"task_id": "t", "status": None},
        {"task_id": "t", "status": True},
        {"task_id": "t", "status": 1e300},
        {"task_id": "t", "status": 0, "data": None},
        {"task_id": "t", "status": 0, "data": {"text": 7}},
    ],
)
def test_an_unclear_callback_is_kept_and_reported(document) -> None:
    """The waiter gets its body."""
    delivery = read(document)

    assert not delivery.final
    with pytest.raises(BadReply) as caught:
        delivery.read_caption(call="captions.upload")
    assert json.loads(caught.value.body) == document


@pytest.mark.parametrize(
    "body", [b"[]", b"7", b"null", b"{", b"\xff", b"[" * 100_000, b"9" * 9_000, b"a=b", b"\0\1\2"]
)
def test_a_body_that_is_no_json_object_is_kept_and_reported(body) -> None:
    """Whether it is broken, deeply nested or something else; the waiter gets its bytes."""
    delivery = read(body, "text/plain; charset=nonsense")

    assert (delivery.task_id, delivery.final) == (None, False)
    with pytest.raises(BadReply) as caught:
        delivery.read_caption(call="captions.upload")
    assert caught.value.body == body


CAFE = {"status": 0, "task_id": "t1", "data": {"text": "Café “zwei” €"}}
TEXT = json.dumps(CAFE, ensure_ascii=False)


@pytest.mark.parametrize(
    ("charset", "content_type"),
    [
        ("utf-8", ""),
        ("utf-8", "application/json; charset=punycode"),
        ("utf-8", "application/json; charset=Punycode-"),
        ("utf-8-sig", "application/json"),
        ("utf-8-sig", "application/json; charset=iso-8859-1"),
        ("cp1252", 'application/json; charset="Windows-1252"'),
        ("cp1252", "application/json"),
        ("cp1252", "application/json; charset=utf-8"),
        ("iso-8859-15", "text/plain;Charset = ISO-8859-15 ; x=y"),
        ("utf-16", ""),
        ("utf-16-le", "application/json; charset=utf-8"),
        ("utf-32", ""),
        ("shift_jis", "application/json; charset=Shift_JIS"),
    ],
)
def test_a_caption_is_read_in_its_charset(charset, content_type) -> None:
    """By its mark, else as it was declared, else as it most likely is."""
    text = (
        TEXT
        if charset[:3] in {"utf", "cp1"}
        else TEXT.replace("“zwei” €", "eins").replace("é", "e")
    )
    expected = json.loads(text)["data"]["text"]

    assert caption(text.encode(charset), content_type).text == expected


def test_a_declared_charset_is_used() -> None:
    """The same byte is another character in another charset."""
    body = TEXT.replace("“zwei” €", "¤").encode("iso-8859-1")

    assert caption(body, "application/json;charset=ISO-8859-1").text == "Café ¤"
    assert caption(body, "application/json;charset=ISO-8859-15").text == "Café €"


def test_one_wrong_byte_costs_one_character() -> None:
    """The other characters beyond ASCII are still read as UTF-8."""
    body = TEXT.encode().replace(b"zwei", b"zw\xffei")

    assert caption(body).text == "Café “zw\N{REPLACEMENT CHARACTER}ei” €"


@pytest.mark.parametrize(
    "body",
    [
        b'{"status": 0, "task_id": "t1", "data": {"text": "A dog.", "score": NaN}}',
        b'{"status": 0, "took": -Infinity, "task_id": "t1", "data": {"text": "A dog."}}',
        b'{"status": 0, "took": 1e999, "task_id": "t1", "data": {"text": "A dog."}}',
        b'{"status": 0, "task_id": "t1", "data": {"text": "A dog.", "token": {"input": NaN}}}',
        b'\n {"status": 0, "task_id": "t1", "data": {"text": "A dog."}}\r\n\0\0',
        b'[{"status": 0, "task_id": "t1", "data": {"text": "A dog."}}]',
        json.dumps('{"status": 0, "task_id": "t1", "data": {"text": "A dog."}}').encode(),
    ],
)
def test_what_json_writers_get_wrong_costs_no_caption(body) -> None:
    """NaN and infinity, blanks and NULs around, a list of one, JSON within JSON."""
    answer = caption(body)

    assert (read(body).task_id, read(body).final, answer.text) == ("t1", True, "A dog.")
    assert answer.to_json()


def test_line_breaks_within_a_text_are_kept() -> None:
    """JSON wants them escaped; not every writer does that."""
    body = b'{"status": 0, "task_id": "t1", "data": {"text": "one\ntwo\tthree"}}'

    assert caption(body).text == "one\ntwo\tthree"


@pytest.mark.parametrize(
    "document",
    [
        {"code": 0, "msg": "success"},
        {"code": "0000"},
        {"code": 200, "message": "SUCCESS"},
        {"status": "SUCCESS"},
        {"status": " succeeded"},
        {"status": None, "code": 0},
        {"success": True, "failed": False},
    ],
)
def test_a_success_may_be_said_by_other_fields(document) -> None:
    """`code` or `success` instead of `status`, as other pages of the service have it."""
    body = document | {"task_id": "t1", "data": {"text": "A dog."}}

    assert read(body).final
    assert caption(body).text == "A dog."


@pytest.mark.parametrize(
    "document", [{"code": -1}, {"status": "FAILED"}, {"success": False}, {"failed": True}]
)
def test_a_failure_may_be_said_by_other_fields(document) -> None:
    """Each of them ends the wait."""
    body = document | {"taskId": "t1", "msg": "too dark"}

    assert (read(body).final, read(body).task_id) == (True, "t1")
    with pytest.raises(CaptionFailed, match="captioning failed: too dark"):
        caption(body)


def test_an_empty_text_gives_way_to_a_response() -> None:
    """The caption is the field that holds text."""
    data = {"text": "", "response": "A dog."}

    assert caption(success() | {"data": data}).text == "A dog."
    assert not caption(success() | {"data": {"text": ""}}).text


@pytest.mark.parametrize(
    ("document", "final"),
    [
        ({"videoNo": "VI1", "status": "PARSE"}, True),
        ({"videoNo": "VI1", "status": "UNPARSE"}, False),
        ({"videoNo": "VI1", "status": "FAIL"}, True),
        ({"videoNo": "VI1", "status": "parse"}, True),
        ({"video_no": "VI1", "status": "PARSE"}, True),
        ({"videoNo": "VI1", "videoStatus": "PARSE"}, True),
        ({"code": "0000", "data": {"videoNo": "VI1", "videoStatus": "PARSE"}}, True),
        ({"code": "0000", "data": {"videoNo": "VI1", "videoStatus": "UNPARSE"}}, False),
        ({"videoNo": "VI1", "status": ["PARSE"]}, False),
    ],
)
def test_an_uploads_callback_is_read_in_every_form(document, final) -> None:
    """The forms that the service's samples and its users' programs have."""
    delivery = read(document)

    assert (delivery.task_id, delivery.final) == ("VI1", final)


def test_a_captions_callback_may_name_its_video() -> None:
    """The task's id counts, wherever it is."""
    data = {"text": "A dog.", "videoNo": "VI1"}

    assert read({"status": 0, "data": data, "videoNo": "VI1"}).task_id is None
    assert read({"status": 0, "data": data | {"task_id": "t1"}}).task_id == "t1"


GZIP = gzip.compress(TEXT.encode())


@pytest.mark.parametrize(
    ("body", "encoding", "content"),
    [
        (GZIP, "gzip", TEXT.encode()),
        (GZIP, "identity, GZIP", TEXT.encode()),
        (gzip.compress(GZIP), "gzip, gzip", TEXT.encode()),
        (zlib.compress(TEXT.encode()), "deflate", TEXT.encode()),
        (zlib.compress(TEXT.encode())[2:-4], "deflate", TEXT.encode()),
        (TEXT.encode(), "gzip", TEXT.encode()),
        (GZIP, "br", GZIP),
        (GZIP[:-9], "gzip", GZIP[:-9]),
        (gzip.compress(b"x" * 1_000), "x-gzip", b"x" * 1_000),
        (gzip.compress(b"x" * 1_001), "gzip", gzip.compress(b"x" * 1_001)),
        (gzip.compress(b"x" * 9_000), "gzip", gzip.compress(b"x" * 9_000)),
    ],
    ids=["gzip", "list", "twice", "zlib", "raw", "not", "br", "cut", "limit", "more", "bomb"],
)
def test_a_compressed_body_is_decompressed_up_to_the_limit(body, encoding, content) -> None:
    """What is not compressed, or grows beyond the limit, stays as it came."""
    assert _payload.decompress(body, encoding, limit=1_000) == content


@pytest.mark.parametrize("task_id", ["t", "x" * 1_000, "\u00fc 1"])
def test_a_task_id_may_have_any_printable_characters(task_id) -> None:
    """Up to a thousand of them."""
    assert read(success(task_id=task_id)).task_id == task_id


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
def test_a_body_may_be_exactly_as_long_as_the_limit(pack) -> None:
    """One byte more is not decompressed."""
    exact, longer = pack(b"x" * 1_000), pack(b"x" * 1_001)

    assert _payload.decompress(exact, "x-gzip", limit=1_000) == b"x" * 1_000
    assert _payload.decompress(longer, "x-gzip", limit=1_000) == longer


def test_a_task_id_is_read_in_either_spelling_and_place() -> None:
    """The outer one counts, and an unusable one does not."""
    assert read({"status": 0, "data": {"taskId": "t1", "text": "x"}}).task_id == "t1"
    assert read({"task_id": "out", "data": {"task_id": "in"}}).task_id == "out"
    assert read({"task_id": "a\ufffd", "data": {"task_id": "in"}}).task_id == "in"


@pytest.mark.parametrize("document", [[{"status": 0}, {"status": 0}], [], ["x"], [[{"a": 1}]]])
def test_only_a_list_of_one_object_stands_for_the_object(document) -> None:
    """Of several it cannot be told which counts."""
    assert _payload.parse(json.dumps(document).encode()) is None


def test_the_first_status_that_can_be_read_decides() -> None:
    """`status` before `code` before the flags; an unknown number leaves it open."""
    data = {"data": {"text": "A dog."}}

    assert read({"status": -1, "code": 0} | data).final
    with pytest.raises(CaptionFailed, match="captioning failed: A dog"):
        caption({"status": -1, "code": 0} | data)
    assert caption({"status": "odd", "code": 200} | data).text == "A dog."
    for unclear in ({"status": 1}, {"code": 201}, {"status": 100, "success": True}, {}):
        assert not read(unclear | data).final
    assert caption({"success": True} | data).text == "A dog."
    assert not read({"failed": False} | data).final


def test_a_failure_keeps_its_code_and_its_body() -> None:
    """The reason is cut at three hundred characters, and `data` may be it."""
    with pytest.raises(CaptionFailed) as caught:
        caption({"status": -1, "data": "x" * 400})

    assert caught.value.message == "captioning failed: " + "x" * 300
    assert (caught.value.code, json.loads(caught.value.body)["status"]) == ("-1", -1)


def test_a_bad_reply_says_that_waiting_again_may_help() -> None:
    """It names the call."""
    with pytest.raises(BadReply, match="waiting again returns it") as caught:
        caption(b"[]")

    assert caught.value.call == "captions.upload"


@pytest.mark.parametrize("task_id", [None, 7, "", "x" * 1_001, "a\x00b", "a\nb", "\ud800", ["t"]])
def test_a_task_id_must_be_short_and_printable(task_id) -> None:
    """Any other task id is ignored: the token identifies the task."""
    assert read(success(task_id=task_id)).task_id is None


def test_half_a_surrogate_pair_does_not_cost_the_caption() -> None:
    """The service may cut a caption in the middle of an emoji."""
    body = b'{"status": 0, "task_id": "t", "data": {"text": "smile \\ud83d"}}'

    utf16 = body.decode().encode("utf-16")

    assert caption(body).text == caption(utf16).text == "smile \N{REPLACEMENT CHARACTER}"
    caption(body).text.encode()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
FIELDS = st.sampled_from(
    ["status", "code", "success", "task_id", "data", "text", "token", "response", "msg"]
)


@given(
    st.binary() | st.dictionaries(FIELDS, JSON).map(lambda one: json.dumps(one).encode()),
    st.sampled_from(["", "application/json", "text/plain; charset=utf-16", "x; charset=latin-1"]),
)
def test_every_body_gives_a_caption_or_a_documented_error(body, content_type) -> None:
    """No input raises anything else."""
    delivery = CallbackDelivery.read(body, content_type=content_type, at=0.0)
    message = text = ""
    try:
        text = delivery.read_caption(call="c").text
    except (CaptionFailed, BadReply) as error:
        message = error.message
    assert message.isprintable()
    assert text.encode().decode() == text
