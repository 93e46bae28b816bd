"""What a reply means, in all three envelopes of the service (fault cases 24-47)."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import reply, search_call

from memories_async import Policy
from memories_async._protocol.reply import Host, Reply, unwrap
from memories_async.errors import (
    AuthenticationFailed,
    BadReply,
    Conflict,
    InsufficientCredits,
    InvalidRequest,
    MemoriesError,
    OutcomeUnknown,
    PermissionDenied,
    RateLimited,
    Refused,
)

HOSTS = [*Host]
ARABIC_429 = "\u0664\u0662\u0669"
V1, CAPTIONS, V2 = Host.SEARCH, Host.CAPTIONS, Host.EMBEDDINGS


def verdict(document, status=200, host=V1, *, is_free=False, **headers):
    """The error that a reply means."""
    with pytest.raises(MemoriesError) as caught:
        unwrap(reply(document, status, **headers), host, is_free=is_free)
    return caught.value


def judged(whole, host):
    """The error that a reply means, or None for a success."""
    try:
        unwrap(whole, host)
    except MemoriesError as error:
        return error
    return None


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("code", ["0000", "0", "200", 0, 200, 0.0])
@pytest.mark.parametrize("flags", [{}, {"success": True, "failed": False}])
def test_every_form_of_success_is_read(host, code, flags):
    """Text or number, with or without the flags of the newer pages."""
    assert unwrap(reply({"code": code, "data": [1], **flags}), host) == [1]


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize(
    ("code", "kind"),
    [
        *(("0001", InvalidRequest), ("0003", InvalidRequest), ("0401", AuthenticationFailed)),
        *(("0402", InsufficientCredits), ("0403", PermissionDenied), ("0409", Conflict)),
        *(("0429", RateLimited), (429, RateLimited), (401, AuthenticationFailed)),
        *((9009, PermissionDenied), ("9009", PermissionDenied), (400, InvalidRequest)),
        *((402, InsufficientCredits), (403, PermissionDenied), (409, Conflict)),
        *(("0404", InvalidRequest), (405, InvalidRequest), ("0410", InvalidRequest)),
        *((413, InvalidRequest), ("0415", InvalidRequest), (422, InvalidRequest)),
        *((-1, Refused), ("-1", Refused), ("7777", Refused), ("", Refused), ("²", Refused)),
    ],
)
def test_a_documented_code_inside_http_200_is_a_refusal(host, code, kind):
    """Nothing was billed, and only a rate limit passes."""
    error = verdict({"code": code, "msg": "because"}, host=host)

    assert type(error) is kind
    assert (error.message, error.code, error.status) == ("because", str(code), 200)
    assert (error.billed, error.transient) == ("no", kind is RateLimited)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((400, InvalidRequest), (401, AuthenticationFailed), (402, InsufficientCredits)),
        *((403, PermissionDenied), (404, InvalidRequest), (405, InvalidRequest)),
        *((407, InvalidRequest), (409, Conflict), (410, InvalidRequest), (413, InvalidRequest)),
        *((415, InvalidRequest), (418, InvalidRequest), (422, InvalidRequest)),
        (429, RateLimited),
    ],
)
@pytest.mark.parametrize("body", [b"", b"<html>no</html>", b"[]", b'{"code": "0000"}'])
@pytest.mark.parametrize("host", HOSTS)
def test_a_4xx_status_is_a_refusal_whatever_its_body(host, body, status, kind):
    """Also if the body claims success."""
    error = verdict(body, status, host)

    assert (type(error), error.status, error.billed) == (kind, status, "no")
    assert error.transient == (kind is RateLimited)


@pytest.mark.parametrize("status", [408, 425, 460, 499, 500, 501, 502, 503, 504, 520, 599])
@pytest.mark.parametrize("body", [b"", b"<html>", b'{"code": "0000"}', b'{"code": "0001"}'])
@pytest.mark.parametrize("host", HOSTS)
def test_an_undecided_status_is_an_unknown_outcome(host, body, status):
    """The work may be done and billed (fault cases 29-31)."""
    error = verdict(body, status, host, retry_after="7")

    assert type(error) is OutcomeUnknown
    assert (error.billed, error.status, error.retry_after) == ("maybe", status, 7.0)


@pytest.mark.parametrize("code", [500, "500", "0500", 503, "0504", "0408", 425, "499"])
def test_an_undecided_code_inside_http_200_is_an_unknown_outcome(code):
    """The code means the same as the status."""
    error = verdict({"code": code, "msg": "internal"}, host=V2)

    assert type(error) is OutcomeUnknown
    assert error.code == str(code)


def test_v1_decides_by_code_and_v2_by_status():
    """The same sentence is a rate limit on one host and a bad parameter on the other."""
    words = {"msg": "Request has exceeded the limit."}

    assert type(verdict({"code": "0429", **words}, 400, V1)) is RateLimited
    assert type(verdict({"code": "0429", **words}, 400, CAPTIONS)) is RateLimited
    assert type(verdict({"code": 400, **words}, 400, V2)) is InvalidRequest
    assert type(verdict({"code": "0429", **words}, 400, V2)) is InvalidRequest


@pytest.mark.parametrize("host", HOSTS)
def test_http_429_is_a_rate_limit_whatever_the_code(host):
    """The status has no other meaning."""
    error = verdict({"code": "0001", "msg": "slow down"}, 429, host, retry_after="3")

    assert type(error) is RateLimited
    assert (error.retry_after, error.transient) == (3.0, True)


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("Request has exceeded the limit.", RateLimited),
        ("Rate limit exceeded", RateLimited),
        ("insufficient points", InsufficientCredits),
        ("Your account has not enough credits", InsufficientCredits),
        ("Insufficient balance, please recharge", InsufficientCredits),
        ("something else", Refused),
    ],
)
def test_code_minus_one_is_read_by_its_words(words, kind):
    """The caption host has no other code (fault cases 24 and 26)."""
    assert type(verdict({"code": -1, "msg": words}, host=CAPTIONS)) is kind


TROUBLE = [
    *("Network abnormal, please try again later", "network error", "System busy"),
    *("Service is busy, try later", "Internal Server Error", "unknown exception"),
    *("the request timed out", "temporarily unavailable", "网络异常"),
]


@pytest.mark.parametrize("words", TROUBLE)
@pytest.mark.parametrize("code", ["0001", "0409", "0401", -1, "7777"])
def test_words_of_trouble_leave_a_billed_call_unknown(code, words):
    """Something failed inside the service, perhaps after the work: nothing is sent again."""
    error = verdict({"code": code, "msg": words, "success": False})

    assert (type(error), error.billed) == (OutcomeUnknown, "maybe")
    assert Policy().wait_after(error, search_call(), 1) is None


@pytest.mark.parametrize("words", TROUBLE)
@pytest.mark.parametrize(("status", "code"), [(200, "0001"), (200, "0409"), (200, -1), (400, 400)])
def test_words_of_trouble_repeat_a_free_call(status, code, words):
    """Asking again costs nothing; and what is busy was not done before."""
    error = verdict({"code": code, "msg": words}, status, is_free=True)

    assert isinstance(error, Refused)
    assert not isinstance(error, Conflict)
    assert (error.transient, error.billed) == (True, "no")


def test_words_of_trouble_lower_a_refusal_by_status_too():
    """v2 decides by the status; its words may still say that the service failed."""
    error = verdict({"code": 400, "msg": "Internal error"}, 400, V2)

    assert (type(error), error.billed) == (OutcomeUnknown, "maybe")


@pytest.mark.parametrize("code", [ARABIC_429, "²", "00429", "4.29", "+429"])
def test_a_code_in_other_digits_is_no_documented_code(code):
    """What is only like 429 does not cause a repeat."""
    error = verdict({"code": code, "msg": "because"})

    assert (type(error), error.transient) == (Refused, False)


@pytest.mark.parametrize(
    "words",
    [
        *("Video duration exceeded the limit of 300 seconds", "persons exceeded the limit of 5"),
        *("The file size has exceeded the limit: 20 MB", "user_prompt: no 'rate limit' please"),
        "not enough frames: the balance of the picture is off",
    ],
)
def test_words_that_only_resemble_a_documented_sentence_mean_nothing(words):
    """The whole sentence must be the documented one."""
    error = verdict({"code": -1, "msg": words}, host=CAPTIONS)

    assert (type(error), error.transient, error.billed) == (Refused, False, "no")


@pytest.mark.parametrize(
    ("document", "is_inferred"), [({"code": -1}, True), ({"code": "0429"}, False)]
)
def test_a_rate_limit_known_by_its_words_is_repeated_once(document, is_inferred):
    """A documented code is repeated as long as the deadline allows."""
    error = verdict({**document, "msg": "Request has exceeded the limit."}, host=CAPTIONS)

    waits = [Policy().wait_after(error, search_call(), attempt) for attempt in (1, 2)]
    assert error.is_inferred == is_inferred
    assert [wait is None for wait in waits] == [False, is_inferred]


@pytest.mark.parametrize(
    "document",
    [
        {"success": True, "data": {"id": "1"}},
        {"code": None, "failed": False, "data": {"id": "1"}},
        {"data": {"id": "1"}},
        {"code": "0000", "success": "true", "failed": "false", "data": {"id": "1"}},
    ],
)
def test_a_success_needs_no_code_beside_its_flag_or_data(document):
    """Recorded answers have no code."""
    assert unwrap(reply(document), V2) == {"id": "1"}


@pytest.mark.parametrize(
    "body",
    [
        b"\xef\xbb\xbf" + b'{"code": "0000", "data": [1]}',
        '{"code": "0000", "data": [1]}'.encode("utf-16"),
        b'{"code": "0000", "data": [1], "cost": NaN, "most": Infinity}',
        b'{"code": "0000", "data": [1], "msg": "two\nlines"}',
        b'{"code": "0000", "data": [1], "msg": "\xe9t\xe9"}',
        b'{"code": "0000", "data": [1], "msg": "\\ud800"}',
        b'{"code": "0000", "data": [1]}\x00\r\n',
    ],
    ids=["mark", "utf-16", "nan", "control", "latin-1", "surrogate", "nul"],
)
def test_a_success_that_departs_only_in_its_form_is_read(body):
    """It was paid."""
    assert unwrap(reply(body), V1) == [1]


def test_a_declared_charset_is_used():
    """Text in another charset is read as it was written."""
    body = '{"code": "0000", "data": {"text": "été"}}'.encode("latin-1")
    given = reply(body, content_type="application/json; charset=ISO-8859-1")

    assert unwrap(given, V1) == {"text": "été"}


def test_errors_keep_the_headers_and_a_bounded_body():
    """A support ticket needs a request id and the service's words."""
    given = reply(b'{"msg": "no", "x": "' + b"x" * 100_000, 400, x_request_id="r-1")
    with pytest.raises(Refused) as caught:
        unwrap(given, V1)

    assert caught.value.headers["x-request-id"] == "r-1"
    assert caught.value.body == given.body[:65536]
    assert pickle.loads(pickle.dumps(caught.value)).headers == caught.value.headers


CONTRADICTIONS = [
    {"code": "0000", "success": "false"},
    {"code": "0000", "success": False},
    {"code": "0000", "failed": True},
    {"code": "0001", "success": True},
    {"code": "0429", "failed": False},
]
UNREADABLE = [
    *(b"", b"<html>login</html>", b'{"code": "00', b"[]", b'"0000"', b"null", b"\xff\xfe{}"),
    *({}, {"code": None}, {"code": True}, {"code": []}, {"code": 0.5}, {"data": [1]}),
    *({"success": False}, {"failed": True, "data": {"a": 1}}, {"data": {}}),
]


@pytest.mark.parametrize("document", [*CONTRADICTIONS, *UNREADABLE])
@pytest.mark.parametrize("host", HOSTS)
def test_an_unreadable_success_is_kept_as_a_bad_reply(host, document):
    """Yes and no at once, a captive page, a cut document (fault cases 33-37, 43)."""
    whole = reply(document)
    with pytest.raises(BadReply) as caught:
        unwrap(whole, host)

    error = caught.value
    assert (error.billed, error.status, error.body) == ("maybe", 200, whole.body)


@pytest.mark.parametrize("flags", [{"success": False}, {"failed": True}])
def test_flags_and_code_of_failure_are_a_refusal(flags):
    """They agree (fault case 32)."""
    assert type(verdict({"code": "0003", "msg": "no", **flags})) is InvalidRequest


@pytest.mark.parametrize("status", [201, 202, 204, 206, 304])
def test_an_undocumented_status_is_an_unknown_outcome(status):
    """Its body is kept, because it may be a paid success (fault case 47)."""
    error = verdict({"code": "0000", "data": [1]}, status)

    assert (type(error), error.status, error.billed) == (OutcomeUnknown, status, "maybe")
    assert b"0000" in error.body


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("is_free", [True, False])
def test_a_redirect_is_a_refusal_only_where_nothing_was_processed(status, is_free):
    """A 303 may follow the work, and so may 301 and 302; the target is named without its query."""
    error = verdict(b"", status, is_free=is_free, location="https://evil.example/x?token=1\r\n")

    is_certain = is_free or status in {307, 308}
    expected = (Refused, "no") if is_certain else (OutcomeUnknown, "maybe")
    assert (type(error), error.billed) == expected
    assert error.message == "the service redirects to https://evil.example/x; not followed"


@pytest.mark.parametrize(
    ("document", "status", "words"),
    [
        ({"code": 1, "msg": "first", "message": "second"}, 200, "first"),
        ({"code": 1, "msg": "", "message": "second"}, 200, "second"),
        ({"error": "Not Found", "path": "/x"}, 404, "Not Found"),
        ({"error": {"code": 1}}, 404, "Not Found"),
        (b"", 599, "no reason given"),
        ({"code": 1}, 200, "OK"),
        ({"detail": "Invalid token"}, 401, "Invalid token"),
        ("no such video", 404, "no such video"),
        (["no such video"], 404, "no such video"),
        (7, 404, "7"),
        (
            {"detail": [{"loc": ["body", "prompt"], "msg": "field required", "type": "missing"}]},
            422,
            "body.prompt: field required",
        ),
        ({"error": {"message": "quota", "code": 3}}, 403, "quota"),
        ({"title": "Bad", "detail": "no such video", "status": 404}, 404, "no such video"),
        ({"errors": {"file": ["too big"]}}, 400, "file: too big"),
        ({"errors": [{"message": "first"}, {"message": "second"}]}, 400, "first; second"),
        ({"fault": {"faultstring": "no quota", "detail": {"errorcode": "q"}}}, 403, "no quota"),
        ({"error": "invalid_token", "error_description": "expired"}, 401, "expired"),
        (b"<html><head><title>413 Too &amp; Large</title>", 413, "413 Too & Large"),
        (b"<Error><Code>A</Code><Message>Access Denied</Message></Error>", 403, "Access Denied"),
        (b"no healthy upstream\nmore", 404, "no healthy upstream"),
    ],
)
def test_the_reason_is_read_from_every_form(document, status, words):
    """The service's own, and those of gateways and frameworks before it."""
    assert verdict(document, status).message == words


def test_a_binary_answer_is_the_number_of_its_bytes():
    """They were written to a file, and are read by nobody else."""
    assert unwrap(Reply(status=200, body=b"", saved=7), V1) == 7


def test_messages_and_codes_are_short_and_printable():
    """They may be written to a terminal or a log."""
    error = verdict({"code": "1\x1b[31m" + "9" * 99, "msg": "a\x1b[2Jb\n" + "x" * 999})

    assert error.message.startswith("a\N{REPLACEMENT CHARACTER}[2Jb\N{REPLACEMENT CHARACTER}x")
    assert len(error.message) == 300
    assert error.code.isprintable()
    assert len(error.code) == 20


json_values = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just([])


@given(
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(
            ("code", "msg", "message", "error", "success", "failed"), json_values
        ),
    ),
    st.sampled_from([200, 204, 302, 400, 404, 429, 500, 503, 999]),
    st.sampled_from(HOSTS),
)
def test_any_document_is_an_answer_or_an_error(document, status, host):
    """A success needs HTTP 200, no other code than a success, and no flag of failure."""
    error = judged(reply(document, status), host)

    if error is not None:
        assert error.status == status
    else:
        assert status == 200
        assert type(document.get("code")) is not bool
        assert document.get("code") in ("0000", "0", "200", 0, 200, None)
        assert document.get("failed") is not True
        assert document.get("success") is not False


@given(st.binary(), st.sampled_from([200, 400, 500]), st.sampled_from(HOSTS))
def test_any_body_is_an_answer_or_an_error(body, status, host):
    """The error says whether the call may be billed."""
    assert verdict(body, status, host).billed == ("no" if status == 400 else "maybe")
