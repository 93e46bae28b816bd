"""What a reply means: three envelopes, one verdict (contract 1.1 and 1.2; fault cases 24-47)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import reply

from memories_async._protocol.reply import Host, unwrap
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
V1, CAPTIONS, V2 = Host.SEARCH, Host.CAPTIONS, Host.EMBEDDINGS


def verdict(document, status=200, host=V1, **headers):
    """The error that a reply means."""
    with pytest.raises(MemoriesError) as caught:
        unwrap(reply(document, status, **headers), host)
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
def test_every_spelling_of_success_succeeds(host, code, flags):
    """Text or number, with the flags of the newer pages or without."""
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
        *((-1, Refused), ("-1", Refused), ("7777", Refused), ("", Refused), ("²", Refused)),
    ],
)
def test_a_code_inside_http_200_refuses(host, code, kind):
    """The table of the error pages; nothing was charged, and nothing passes but the rate."""
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
def test_a_4xx_status_refuses_whatever_its_body(host, body, status, kind):
    """Also where the body claims success: HTTP 400 and above never is one."""
    error = verdict(body, status, host)

    assert (type(error), error.status, error.billed) == (kind, status, "no")
    assert error.transient == (kind is RateLimited)


@pytest.mark.parametrize("status", [408, 425, 500, 501, 502, 503, 504, 520, 599])
@pytest.mark.parametrize("body", [b"", b"<html>", b'{"code": "0000"}', b'{"code": "0001"}'])
@pytest.mark.parametrize("host", HOSTS)
def test_a_broken_server_leaves_the_outcome_unknown(host, body, status):
    """The work may have been done and billed (fault cases 29-31)."""
    error = verdict(body, status, host, retry_after="7")

    assert type(error) is OutcomeUnknown
    assert (error.billed, error.status, error.retry_after) == ("maybe", status, 7.0)


@pytest.mark.parametrize("code", [500, "500", "0500", 503, "0504"])
def test_a_5xx_code_inside_http_200_is_a_broken_server_too(code):
    """It is the same server that says it."""
    error = verdict({"code": code, "msg": "internal"}, host=V2)

    assert type(error) is OutcomeUnknown
    assert error.code == str(code)


def test_v1_goes_by_code_and_v2_by_status():
    """The same sentence is a rate limit on one host and a bad parameter on the other."""
    words = {"msg": "Request has exceeded the limit."}

    assert type(verdict({"code": "0429", **words}, 400, V1)) is RateLimited
    assert type(verdict({"code": "0429", **words}, 400, CAPTIONS)) is RateLimited
    assert type(verdict({"code": 400, **words}, 400, V2)) is InvalidRequest
    assert type(verdict({"code": "0429", **words}, 400, V2)) is InvalidRequest


@pytest.mark.parametrize("host", HOSTS)
def test_http_429_is_a_rate_limit_whatever_the_code(host):
    """Nobody sends that status for anything else."""
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
def test_the_caption_hosts_minus_one_is_read_by_its_words(words, kind):
    """Its code says nothing else (fault cases 24 and 26)."""
    assert type(verdict({"code": -1, "msg": words}, host=CAPTIONS)) is kind


def test_a_bad_moment_in_the_clothes_of_a_bad_parameter_passes():
    """`0001` with these words is worth another attempt; plain `0001` is not."""
    moment = verdict({"code": "0001", "msg": "Network abnormal, please try again later"})

    assert (type(moment), moment.transient, moment.billed) == (InvalidRequest, True, "no")
    assert not verdict({"code": "0001", "msg": "prompt"}).transient


CONTRADICTIONS = [
    {"code": "0000", "success": False},
    {"code": "0000", "failed": True},
    {"code": "0001", "success": True},
    {"code": "0429", "failed": False},
]
UNREADABLE = [
    *(b"", b"<html>login</html>", b'{"code": "00', b"[]", b'"0000"', b"null", b"\xff\xfe{}"),
    *({}, {"code": None}, {"code": True}, {"code": []}, {"code": 0.5}, {"data": [1]}),
]


@pytest.mark.parametrize("document", [*CONTRADICTIONS, *UNREADABLE])
@pytest.mark.parametrize("host", HOSTS)
def test_an_unreadable_success_was_perhaps_paid_and_is_kept(host, document):
    """Yes and no at once, a captive page, a cut document (fault cases 33-37, 43)."""
    whole = reply(document)
    with pytest.raises(BadReply) as caught:
        unwrap(whole, host)

    error = caught.value
    assert (error.billed, error.status, error.body) == ("maybe", 200, whole.body)


@pytest.mark.parametrize("flags", [{"success": False}, {"failed": True}])
def test_flags_of_failure_agree_with_a_code_of_failure(flags):
    """Then it is a plain refusal (fault case 32)."""
    assert type(verdict({"code": "0003", "msg": "no", **flags})) is InvalidRequest


@pytest.mark.parametrize("status", [201, 202, 204, 206, 304])
def test_a_status_that_no_page_names_is_unknown_and_its_body_kept(status):
    """It may be a success that was paid (fault case 47)."""
    error = verdict({"code": "0000", "data": [1]}, status)

    assert (type(error), error.status, error.billed) == (OutcomeUnknown, status, "maybe")
    assert b"0000" in error.body


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_a_refusal_that_names_its_target(status):
    """Without the query, which may hold anything (fault case 46)."""
    error = verdict(b"", status, location="https://evil.example/x?token=1\r\n")

    assert (type(error), error.billed) == (Refused, "no")
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
    ],
)
def test_the_services_own_words_are_kept(document, status, words):
    """Wherever its three dialects put them."""
    assert verdict(document, status).message == words


def test_a_strangers_words_are_short_and_printable():
    """They may end up in a terminal or a log."""
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
def test_no_document_breaks_it(document, status, host):
    """An answer or an error of ours, and success only with HTTP 200, a good code and no denial."""
    error = judged(reply(document, status), host)

    if error is not None:
        assert error.status == status
    else:
        assert status == 200
        assert type(document["code"]) is not bool
        assert document["code"] in ("0000", "0", "200", 0, 200)
        assert document.get("failed") is not True
        assert document.get("success") is not False


@given(st.binary(), st.sampled_from([200, 400, 500]), st.sampled_from(HOSTS))
def test_no_bytes_break_it(body, status, host):
    """Whatever came, the process is alive and knows whether it may have paid."""
    assert verdict(body, status, host).billed == ("no" if status == 400 else "maybe")
