"""The engine refuses an unsafe address for its key when it is made."""

from __future__ import annotations

import pytest

from memories_async.local.engine.fixed import FixedEngine
from memories_async.local.engine.openai import OpenAIEngine

KEY = "local-secret-key"


@pytest.mark.parametrize(
    "url", ["ftp://host/v1", "localhost:8000", "http://", "", "https://host/v1?version=1"]
)
def test_invalid_base_url_is_refused(url):
    """When the engine is made, not when it is asked."""
    with pytest.raises(ValueError, match="base_url must be a full"):
        OpenAIEngine(base=FixedEngine(), base_url=url, model="tiny")


def test_password_in_the_base_url_is_refused():
    """It would be shown in every repr."""
    with pytest.raises(ValueError, match="user name or password") as caught:
        OpenAIEngine(base=FixedEngine(), base_url="https://me:secret@host/v1", model="tiny")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("host", ["models.example", "10.0.0.7", "localhost.example", "[fe80::1]"])
def test_key_over_plain_http_is_refused(host):
    """Unless `plain_http` allows it, or there is no key."""
    there = {"base": FixedEngine(), "base_url": f"http://{host}/v1", "model": "tiny"}

    with pytest.raises(ValueError, match="API key in the clear: use https") as caught:
        OpenAIEngine(api_key=KEY, **there)
    assert KEY not in str(caught.value)
    assert OpenAIEngine(**there).key is None
    assert OpenAIEngine(api_key=KEY, plain_http=True, **there).key is not None


@pytest.mark.parametrize(
    "url", ["http://localhost:1", "http://[::1]:1/v1", "https://models.example"]
)
def test_key_over_https_or_loopback_is_accepted(url):
    """Other users of the machine cannot read it there."""
    assert OpenAIEngine(base=FixedEngine(), base_url=url, model="tiny", api_key=KEY).key is not None


def test_key_that_is_no_header_value_is_refused():
    """The message does not repeat it."""
    with pytest.raises(ValueError, match="printable ASCII") as caught:
        OpenAIEngine(
            base=FixedEngine(), base_url="https://host", model="tiny", api_key="local\nsecret"
        )
    assert "secret" not in str(caught.value)
