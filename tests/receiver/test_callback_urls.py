"""Tokens cannot be made or altered without the secret."""

from __future__ import annotations

import pytest

from memories_async.receiver import _callback_urls

SECRET = b"a secret of the store's own making"


def test_a_token_carries_its_submissions_id() -> None:
    """The id that was written is read."""
    id_ = _callback_urls.draw_submission_id()

    assert _callback_urls.read_token(_callback_urls.write_token(id_, SECRET), SECRET) == id_


def test_a_token_is_a_path_segment() -> None:
    """It needs no escaping, and holds 128 random bits and as many of the keyed hash."""
    token = _callback_urls.write_token(_callback_urls.draw_submission_id(), SECRET)

    assert len(token) == 43
    assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def test_a_token_with_any_other_character_is_refused() -> None:
    """Not even the padding bits can be altered."""
    token = _callback_urls.write_token(_callback_urls.draw_submission_id(), SECRET)

    for at in range(43):
        for letter in set("ABCDwxyz0189-_+/=") - {token[at]}:
            assert _callback_urls.read_token(token[:at] + letter + token[at + 1 :], SECRET) is None


@pytest.mark.parametrize(
    "text", ["", "x", "A" * 43, "A" * 44, "é" * 43, "+" * 43, "!" * 43, "A" * 42 + "="]
)
def test_text_that_is_no_token_is_refused(text) -> None:
    """Any length and any characters."""
    assert _callback_urls.read_token(text, SECRET) is None


def test_the_token_of_another_secret_is_refused() -> None:
    """A token is good only with the secret it was written with."""
    assert (
        _callback_urls.read_token(
            _callback_urls.write_token(_callback_urls.draw_submission_id(), SECRET),
            _callback_urls.draw_secret(),
        )
        is None
    )


def test_a_short_secret_is_refused() -> None:
    """It could be guessed."""
    assert _callback_urls.derive_key("sixteen letters!") == b"sixteen letters!"
    assert _callback_urls.write_token(b"i" * 16, _callback_urls.derive_key("long" * 100))
    with pytest.raises(ValueError, match="at least 16 bytes"):
        _callback_urls.derive_key(b"too short")
