"""Addresses in messages: no part that may be secret is shown."""

from __future__ import annotations

import pytest

from memories_async import Receiver, captions, videos
from memories_async._protocol.network import hide_credentials

SHOWN = {
    "https://h.example/a": "https://h.example/a",
    "https://h.example:8443/@me/a": "https://h.example:8443/@me/a",
    "https://h.example/a?signature=hush#x": "https://h.example/a",
    "https://me:hush@h.example:1/a?b=hush": "https://***@h.example:1/a",
    "//me:hush@h.example/a": "//***@h.example/a",
    "ftp://hush@[::1]:21/a": "ftp://***@[::1]:21/a",
    "http://me:hush/hush@h.example/a": "***@h.example/a",
    "me:hush@h.example/a": "***@h.example/a",
    "/a/b?token=hush": "/a/b",
}


@pytest.mark.parametrize(("url", "shown"), SHOWN.items(), ids=[*map(str, range(len(SHOWN)))])
def test_a_url_is_shown_without_its_secrets(url, shown):
    """Where a password cannot be told from the rest, all before the last @ is hidden."""
    assert hide_credentials(url) == shown


@pytest.mark.parametrize(
    "url",
    [
        "ftp://me:hush@h.example/a",
        "me:hush@h.example",
        "http://me:hush@/?hush",
        "https://a/?\nhush",
    ],
    ids=["ftp", "no scheme", "no host", "line break"],
)
@pytest.mark.parametrize("build", [videos.upload_url, captions.upload, Receiver])
def test_a_wrong_url_is_refused_without_its_password(build, url):
    """The error says what is wrong, and leaves out what nobody else may read."""
    prompts = {"user_prompt": "a", "system_prompt": "b"} if build is captions.upload else {}
    with pytest.raises(ValueError, match="url must be a") as caught:
        build(url, **prompts)
    assert "hush" not in str(caught.value)


def test_a_receiver_is_shown_without_its_password():
    """Its URL may hold one, for a proxy in front of it."""
    receiver = Receiver("https://me:hush@h.example/callbacks")

    assert repr(receiver) == "Receiver('https://***@h.example/callbacks')"
