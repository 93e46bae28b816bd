"""Faults of HTTP and bodies (cases 23-47) on the wire, each with the server's own count."""

from __future__ import annotations

import gzip
import json
import pickle
import tracemalloc
import zlib

import pytest
from attrs import evolve
from callers import HASTY, Unlimited
from samples import ACCEPTED, EMBEDDED, FOUND, KEY, LIMITED, caption_call, embed_call, search_call
from servers import answer, http, raw, serving

from memories_async import clips
from memories_async.errors import (
    AuthenticationFailed,
    BadReply,
    InsufficientCredits,
    InvalidRequest,
    OutcomeUnknown,
    PermissionDenied,
    RateLimited,
    Refused,
)


@pytest.mark.parametrize(
    "limit",
    [
        answer(LIMITED),
        answer({"code": 429}, 429, Retry_After_Ms="10"),
        answer(b"slow down", 429, Retry_After="0"),
    ],
    ids=["code", "status", "text"],
)
async def test_a_call_waits_and_repeats_after_a_rate_limit(connect, limit):
    """Cases 23 and 24: each refused request counts, none is billed, and one answer comes."""
    limiter = Unlimited()
    async with serving(limit, limit, limit, answer(FOUND)) as server:
        caller = connect(server.url, policy=evolve(HASTY, attempts=1), limiter=limiter)
        assert await caller.send(search_call())

        assert server.requests == 4
    assert len(limiter.pauses) == 3


async def test_a_retry_after_above_the_cap_ends_the_call(connect):
    """Case 23: the client neither waits a day nor repeats sooner, and the error states the time."""
    async with serving(answer(LIMITED, Retry_After="86400")) as server:
        caller = connect(server.url, limiter=Unlimited())
        error = await caller.fails(search_call(), RateLimited)

        assert server.requests == 1
    assert (error.retry_after, error.billed) == (86400.0, "no")


@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [
        (answer({"code": "0401", "msg": "no"}), AuthenticationFailed),
        (answer({"code": 401}, 401), AuthenticationFailed),
        (answer({"code": 403}, 403), PermissionDenied),
        (answer({"code": "9009"}), PermissionDenied),
        (answer({"code": "0402"}), InsufficientCredits),
        (answer({"code": -1, "msg": "insufficient points"}), InsufficientCredits),
        (answer({"code": 402}, 402), InsufficientCredits),
        (answer({"code": "0003"}), InvalidRequest),
        (answer(b"<html>", 404), InvalidRequest),
        (answer({"code": 422}, 422), InvalidRequest),
        (answer({"code": -1, "msg": "cannot read the video", "failed": True}), Refused),
    ],
)
@pytest.mark.parametrize("call", [search_call(), caption_call()], ids=lambda call: call.name)
async def test_a_refusal_is_final_and_free(connect, behaviour, kind, call):
    """Cases 25-27 and 32: one request is sent, and it is not billed."""
    async with serving(behaviour) as server:
        error = await connect(server.url).fails(call, kind)

        assert server.requests == 1
    assert (error.billed, error.attempts) == ("no", 1)


@pytest.mark.parametrize("status", [408, 425, 500, 502, 503, 504])
async def test_a_server_error_is_not_repeated(connect, status):
    """Cases 29-31: the outcome is unknown, also with an HTML page and a Retry-After."""
    async with serving(answer(b"<html>oops</html>", status, Retry_After="0")) as server:
        error = await connect(server.url).fails(embed_call(), OutcomeUnknown)

        assert server.requests == 1
    assert (error.status, error.billed) == (status, "maybe")


@pytest.mark.parametrize(
    ("call", "document"),
    [
        (caption_call(), {**ACCEPTED, "data": None}),
        (caption_call(), {**ACCEPTED, "data": {}}),
        (search_call(), {**FOUND, "success": False}),
        (search_call(), {"code": "0001", "success": True}),
        (search_call(), b"<html>Please log in</html>"),
        (search_call(), b'{"code": "0000", "da'),
        (search_call(), b"[" * 100_000),
        (search_call(), b'{"code": NaN}'),
        (embed_call(), {**EMBEDDED, "data": {"embedding": []}}),
        (embed_call(), {**EMBEDDED, "data": {"embedding": [0.5, "... (continues)"]}}),
        (embed_call(), b'{"code": 200, "data": {"embedding": [1e999]}}'),
    ],
)
async def test_an_unreadable_success_is_kept_and_not_repeated(connect, call, document):
    """Cases 33-37, 43 and 44: it may be billed, so the error holds its bytes; one request is sent."""
    async with serving(answer(document)) as server:
        caller = connect(server.url, policy=evolve(HASTY, resend_unknown=True))
        error = await caller.fails(call, BadReply)

        assert server.requests == 1
    assert (error.billed, error.status) == ("maybe", 200)
    assert isinstance(document, dict) or error.body == document


@pytest.mark.parametrize("status", [201, 202, 204, 206, 304])
async def test_an_unexpected_status_is_an_unknown_outcome(connect, status):
    """Case 47."""
    async with serving(answer(b"", status)) as server:
        error = await connect(server.url).fails(search_call(), OutcomeUnknown)

        assert server.requests == 1
    assert error.status == status


async def test_a_refusal_during_an_upload_is_read(connect):
    """Case 28: status 413 while most of the body is unsent is a refusal, not a connection error."""

    async def refuse(exchange):
        await exchange.reader.readexactly(64 * 1024)
        await exchange.write(http(b'{"code": 413, "msg": "too large"}', 413))
        await exchange.reader.read()

    picture = b"\x89PNG\r\n\x1a\n" + bytes(15 * 1024 * 1024)
    async with serving(refuse) as server:
        call = clips.search(picture, prompt="x", video_no="VI1")
        error = await connect(server.url).fails(call, InvalidRequest)

        assert server.requests == 1
    assert (error.status, error.message, error.billed) == (413, "too large", "no")


async def test_a_rate_limit_known_by_its_words_is_repeated_once(connect):
    """Case 24: words may be wrong about a billed call, so they are believed once."""
    limit = answer({"code": -1, "msg": "Rate limit exceeded"})
    async with serving(limit, limit, limit, answer(FOUND)) as server:
        error = await connect(server.url, limiter=Unlimited()).fails(search_call(), RateLimited)

        assert server.requests == 2
    assert error.billed == "no"


@pytest.mark.parametrize(
    ("code", "words", "kind"),
    [
        ("0001", "Network abnormal, please try again later", OutcomeUnknown),
        ("0409", "Service is busy, try later", OutcomeUnknown),
        (-1, "Video duration exceeded the limit of 300 seconds", Refused),
        ("\u0664\u0662\u0669", "because", Refused),
    ],
)
async def test_words_never_cause_a_billed_call_to_be_sent_again(connect, code, words, kind):
    """The service may have done the work before it failed."""
    async with serving(answer({"code": code, "msg": words, "success": False})) as server:
        await connect(server.url).fails(search_call(), kind)

        assert server.requests == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_is_followed(connect, status):
    """Case 46: no other host and no other path receives the key or the body."""
    async with serving(answer(FOUND)) as other:
        target = f"http://127.0.0.1:{other.port}/elsewhere?secret=1"
        async with serving(answer(b"", status, Location=target)) as server:
            kind = Refused if status in {307, 308} else OutcomeUnknown
            error = await connect(server.url).fails(search_call(), kind)

            assert (server.requests, other.connections) == (1, 0)
    assert error.billed == ("no" if kind is Refused else "maybe")
    assert f"127.0.0.1:{other.port}/elsewhere;" in error.message


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
async def test_a_reply_above_the_size_limit_is_not_read_further(connect, encoding):
    """Case 42: a compressed reply of 200 MB is read up to 8 MB."""
    piece = gzip.compress(bytes(200_000_000), 1) if encoding == "gzip" else bytes(65_536)

    async def pour(exchange):
        await exchange.receive()
        await exchange.write(
            http(b"", 502, Content_Encoding=encoding).replace(b": 0", b": 9999999")
        )
        for _ in range(9_999_999 // len(piece)):
            await exchange.write(piece)

    async with serving(pour) as server:
        caller = connect(server.url, policy=evolve(HASTY, timeout=20.0))
        tracemalloc.start()
        error = await caller.fails(search_call(), OutcomeUnknown)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

        assert server.requests == 1
    assert "longer than 8,388,608 bytes" in error.message
    assert error.status == 502
    assert peak < 40_000_000


CUT = f"HTTP/1.1 200 OK\r\nX-Key: {KEY}\r\nContent-Length: 999\r\n\r\n{KEY}"


@pytest.mark.parametrize(
    ("echo", "kind"),
    [
        (answer(json.dumps({"code": "0401", "msg": KEY}).encode("utf-16")), AuthenticationFailed),
        (raw(CUT.encode()), OutcomeUnknown),
    ],
    ids=["utf-16", "cut"],
)
async def test_a_key_that_is_echoed_stays_out_of_the_error(connect, echo, kind):
    """Also where the reply is in another charset or broke off."""
    async with serving(echo) as server:
        error = await connect(server.url).fails(search_call(), kind)

    assert KEY.encode() not in pickle.dumps(error)
    assert KEY not in str(error)


async def test_a_header_in_another_charset_loses_no_answer(connect):
    """It is kept with a replacement character."""
    reply = http(json.dumps(FOUND).encode(), 200)
    head, _, body = reply.partition(b"\r\n\r\n")
    async with serving(raw(head + b"\r\nX-Name: caf\xe9\r\n\r\n" + body)) as server:
        assert await connect(server.url).send(search_call())


def deflate_bare(body):
    """Deflate without the head of zlib, as some servers send it."""
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(body) + packer.flush()


@pytest.mark.parametrize(
    ("encoding", "compress"),
    [("gzip", gzip.compress), ("deflate", zlib.compress), ("Deflate", deflate_bare)],
)
async def test_a_compressed_answer_is_read(connect, encoding, compress):
    """By each form that is asked for."""
    body = compress(json.dumps(FOUND).encode())
    async with serving(raw(http(body, Content_Encoding=encoding))) as server:
        assert len(await connect(server.url).send(search_call())) == 1


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "identity", "gzip, gzip"])
async def test_an_answer_wrongly_marked_as_compressed_is_read(connect, encoding):
    """It may be paid, and its bytes are there."""
    body = json.dumps(FOUND).encode()
    async with serving(raw(http(body, Content_Encoding=encoding))) as server:
        assert len(await connect(server.url).send(search_call())) == 1


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br"])
@pytest.mark.parametrize(
    "body", [b"xxxx", gzip.compress(bytes(99), mtime=0)[:-9], b"\x0b\x02\x80{}\x03"]
)
async def test_an_answer_that_cannot_be_decompressed_is_kept(connect, encoding, body):
    """Its error holds the bytes as they came; one request is sent."""
    async with serving(raw(http(body, Content_Encoding=encoding))) as server:
        caller = connect(server.url, policy=evolve(HASTY, resend_unknown=True))
        error = await caller.fails(search_call(), BadReply)

        assert server.requests == 1
    assert (error.billed, error.body) == ("maybe", body)


async def test_a_short_answer_that_grows_without_bound_is_kept_compressed(connect):
    """Case 42: 200 MB that were compressed to one."""
    body = gzip.compress(bytes(200_000_000), 9)
    async with serving(raw(http(body, Content_Encoding="gzip"))) as server:
        tracemalloc.start()
        error = await connect(server.url).fails(search_call(), OutcomeUnknown)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert "longer than 8,388,608 bytes" in error.message
    assert error.body == body
    assert peak < 40_000_000


async def test_an_answer_with_many_headers_is_read(connect):
    """aiohttp's own limit is 128."""
    many = {f"X_{number}": "y" for number in range(900)}
    async with serving(raw(http(json.dumps(FOUND).encode(), **many))) as server:
        assert len(await connect(server.url).send(search_call())) == 1
