"""The service without HTTP: what the head alone rules out, what the body does, and the caps."""

from __future__ import annotations

import asyncio

import pytest
from callbacks import head

from memories_async.receiver import MemoryStore, _callback_service, _callback_urls
from memories_async.receiver._callback_service import MAX_BODY, CallbackService, RequestRejected

SECRET = _callback_urls.draw_secret()
ID = _callback_urls.draw_submission_id()
GOOD = f"/memories/{_callback_urls.write_token(ID, SECRET)}"


async def authorize(path=GOOD, **more) -> bytes | int:
    """Return the submission's id, or the status with which the head is rejected."""
    service = CallbackService(MemoryStore(), None, 1_000.0, SECRET)
    try:
        return await service.authorize(head(path, **more))
    except RequestRejected as rejected:
        return int(rejected.answer.status)


async def test_a_good_token_admits_a_body() -> None:
    """Below any prefix, of any content type, of any allowed length."""
    assert await authorize() == ID
    assert await authorize(GOOD.removeprefix("/memories")) == ID
    assert await authorize(f"{GOOD}/") == await authorize(f"{GOOD}//") == ID
    assert await authorize(content_encoding="gzip", content_type="text/plain") == ID
    assert await authorize(content_length=str(MAX_BODY)) == ID


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "post", "TRACE"])
async def test_other_methods_reveal_nothing_about_the_path(method) -> None:
    """The answer to a good token and to a bad one is the same."""
    assert await authorize(method=method) == await authorize("/nothing", method=method) == 405


@pytest.mark.parametrize(
    "path",
    ["", "/", "*", f"{GOOD}x", f"{GOOD}/../x", GOOD[:-1]],
    ids=["empty", "root", "star", "longer", "dots", "shorter"],
)
async def test_a_wrong_path_is_not_found(path) -> None:
    """Whatever is wrong with it, the answer is 404."""
    assert await authorize(path) == 404


@pytest.mark.parametrize(
    ("length", "status"),
    [("262145", 413), ("9" * 18, 413), ("9" * 40, 400), ("-1", 400), ("ten", 400), ("\u0661", 400)],
)
async def test_a_length_beyond_the_limit_is_refused_unread(length, status) -> None:
    """A body that is too long, or whose length is no number, is not read."""
    assert await authorize(content_length=length) == status


@pytest.mark.parametrize(
    ("body", "status"), [(b"", 400), (b" \r\n", 400), (b"x" * (MAX_BODY + 1), 413)]
)
async def test_a_body_that_cannot_be_stored_is_logged_without_its_token(
    body, status, caplog
) -> None:
    """A body that is empty and a body that is too long are both refused."""
    service = CallbackService(MemoryStore(), None, 1_000.0, SECRET)

    answer = await _callback_service.handle(lambda: service, head(GOOD), body)

    assert int(answer.status) == status
    (record,) = caplog.records
    assert f"answered {status} and not stored: its body" in record.getMessage()
    assert GOOD.rpartition("/")[2] not in caplog.text


async def test_a_sender_that_breaks_off_is_logged(caplog) -> None:
    """The server gets the exception, the owner a warning."""

    async def broken():
        yield b"{"
        raise ConnectionResetError

    service = CallbackService(MemoryStore(), None, 1_000.0, SECRET)
    with pytest.raises(ConnectionResetError):
        await _callback_service.handle(lambda: service, head(GOOD), broken())
    assert "its sender broke off" in caplog.text


async def test_an_endless_body_is_cut_off() -> None:
    """Never more than the limit is held in memory."""
    taken = 0

    async def endless():
        nonlocal taken
        while True:
            taken += 65_536
            yield b"x" * 65_536

    assert MAX_BODY < len(await _callback_service.read_body(endless())) <= MAX_BODY + 65_536
    assert taken <= MAX_BODY + 65_536


async def test_a_body_that_trickles_times_out(monkeypatch) -> None:
    """The timeout is for the whole body, however often a byte arrives."""
    monkeypatch.setattr(_callback_service, "BODY_SECONDS", 0.01)

    async def trickling():
        while True:
            yield b"x"
            await asyncio.sleep(0.002)

    with pytest.raises(RequestRejected) as caught:
        await _callback_service.read_body(trickling())
    assert int(caught.value.answer.status) == 408


def test_the_admission_limiter_counts_requests_and_bytes() -> None:
    """Beyond either the request is rejected; a request that ends makes room."""
    limiter = _callback_service.AdmissionLimiter(requests=2, size=10)

    with limiter.admit(4):
        with pytest.raises(RequestRejected), limiter.admit(7):
            pass
        with limiter.admit(4), pytest.raises(RequestRejected), limiter.admit(1):
            pass
    with limiter.admit(10):
        pass
    assert (limiter.requests, limiter.size) == (2, 10)
