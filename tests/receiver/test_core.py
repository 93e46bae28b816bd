"""The core: what is refused by the head alone, and what by the body."""

from __future__ import annotations

import asyncio

import pytest
from callbacks import head

from memories_async.receiver import _core, _tokens

SECRET = _tokens.new_secret()
ID = _tokens.new_id()
GOOD = f"/memories/{_tokens.token(ID, SECRET)}"


def admitted(path=GOOD, **more):
    answer = _core.admit(head(path, **more), SECRET)
    return int(answer.status) if isinstance(answer, _core.Answer) else answer


def test_a_good_token_lets_a_body_in() -> None:
    """Below any prefix, of any type, of any allowed length."""
    assert admitted() == ID
    assert admitted(GOOD.removeprefix("/memories")) == ID
    assert admitted(content_encoding="identity", content_type="text/plain") == ID
    assert admitted(content_length=str(_core.MAX_BODY)) == ID


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "post", "TRACE"])
def test_other_methods_learn_nothing_of_the_path(method) -> None:
    """The answer is the same for a good token and a bad one."""
    assert admitted(method=method) == admitted("/nothing", method=method) == 405


@pytest.mark.parametrize(
    "path",
    ["", "/", "*", f"{GOOD}/", f"{GOOD}x", f"{GOOD}/../x", GOOD[:-1]],
    ids=["empty", "root", "star", "slash", "longer", "dots", "shorter"],
)
def test_a_wrong_path_is_not_found(path) -> None:
    """Whatever is wrong with it, the answer is one."""
    assert _core.admit(_core.Head(method="POST", path=path, headers={}), SECRET) == _core.NOT_FOUND


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "identity, gzip", "GZIP"])
def test_compressed_bodies_are_refused(encoding) -> None:
    """A few bytes that unpack to gigabytes are not unpacked."""
    assert admitted(content_encoding=encoding) == 415


@pytest.mark.parametrize(
    ("length", "status"),
    [("262145", 413), ("9" * 18, 413), ("9" * 40, 400), ("-1", 400), ("ten", 400), ("\u0661", 400)],
)
def test_a_length_beyond_the_limit_is_refused_unread(length, status) -> None:
    """Nothing of a body that is too long, or of no honest length, is taken in."""
    assert admitted(content_length=length) == status


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"{", "", 400),
        (b"a=b", "application/x-www-form-urlencoded", 415),
        (b'{"status": 7}', "application/json", 400),
        (b"x" * (_core.MAX_BODY + 1), "application/json", 413),
    ],
)
def test_a_body_that_says_nothing_is_refused(body, kind, status) -> None:
    """JSON that names no task and no result, and what is no JSON."""
    headers = {"content_type": kind} if kind else {}
    answer = _core.read(head(GOOD, **headers), body, at=0.0)

    assert int(answer.status) == status


def test_json_counts_whatever_it_is_called() -> None:
    """The type is undocumented, so it does not decide."""
    body = b'{"status": 0, "task_id": "t", "data": {"text": "x"}}'

    assert _core.read(head(GOOD, content_type="text/plain"), body, at=5.0).at == 5.0


async def test_a_body_without_end_is_cut_off() -> None:
    """No more than the limit is ever held."""
    taken = 0

    async def endless():
        nonlocal taken
        while True:
            taken += 65_536
            yield b"x" * 65_536

    assert await _core.gathered(endless()) == _core.TOO_LARGE
    assert taken <= _core.MAX_BODY + 65_536


async def test_a_body_that_trickles_is_given_up(monkeypatch) -> None:
    """A body has its time, however busy it looks."""
    monkeypatch.setattr(_core, "BODY_SECONDS", 0.01)

    async def trickling():
        while True:
            yield b"x"
            await asyncio.sleep(0.002)

    assert await _core.gathered(trickling()) == _core.TOO_SLOW


def test_room_ends_and_comes_back() -> None:
    """Requests and bytes are both counted; what has left makes room."""
    room = _core.Room(requests=2, size=10)

    assert [room.take(4), room.take(4), room.take(1)] == [True, True, False]
    room.give_back(4)
    room.give_back(4)
    assert [room.take(8), room.take(4), room.take(2)] == [True, False, True]
