"""Callbacks are read tolerantly, and nothing that was received is dropped."""

from __future__ import annotations

import json

import pytest
from callbacks import TASK, failure, success
from hypothesis import given
from hypothesis import strategies as st

from memories_async import BadReply, CaptionFailed, Tokens
from memories_async._protocol.wire_json import NotJson
from memories_async.receiver import _payload


def read(document):
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return _payload.read_delivery(body, at=1.0)


def caption(document):
    return _payload.read_caption(read(document), call="captions.upload")


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
        _payload.read_caption(delivery, call="captions.upload")
    assert json.loads(caught.value.body) == document


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"7", b"null", b"{", b"\xff", b'{"a": NaN}', b"[" * 100_000, b"9" * 9_000]
)
def test_a_body_that_is_no_json_object_raises_one_error(body) -> None:
    """Whether it is broken, deeply nested or a huge number."""
    with pytest.raises(NotJson):
        read(body)


@pytest.mark.parametrize("task_id", [None, 7, "", "x" * 1_001, "a\x00b", "a\nb", "\ud800", ["t"]])
def test_a_task_id_must_be_short_and_printable(task_id) -> None:
    """Any other is ignored; a body with no result either is not kept."""
    assert read(success(task_id=task_id)).task_id is None
    with pytest.raises(ValueError, match="neither"):
        read({"task_id": task_id, "status": 1})


def test_half_a_surrogate_pair_does_not_cost_the_caption() -> None:
    """The service may cut a caption in the middle of an emoji."""
    body = b'{"status": 0, "task_id": "t", "data": {"text": "smile \\ud83d"}}'

    assert caption(body).text == "smile \N{REPLACEMENT CHARACTER}"
    caption(body).text.encode()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
FIELDS = st.sampled_from(["status", "task_id", "data", "text", "token", "response", "msg"])


@given(st.binary() | st.dictionaries(FIELDS, JSON).map(lambda one: json.dumps(one).encode()))
def test_every_body_gives_a_caption_or_a_documented_error(body) -> None:
    """No input raises anything else."""
    try:
        delivery = _payload.read_delivery(body, at=0.0)
    except ValueError:
        return
    message = text = ""
    try:
        text = _payload.read_caption(delivery, call="c").text
    except (CaptionFailed, BadReply) as error:
        message = error.message
    assert message.isprintable()
    assert text.encode().decode() == text
