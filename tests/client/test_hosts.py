"""Base URLs: checked, so that no key goes where it should not."""

from __future__ import annotations

import pytest

from memories_async import Hosts
from memories_async._protocol.reply import Host


def test_the_defaults_are_the_services_three_hosts():
    """As the three pages name them."""
    hosts = Hosts()

    assert [hosts.of(host) for host in Host] == [
        "https://api.memories.ai",
        "https://security.memories.ai",
        "https://mavi-backend.memories.ai",
    ]


def test_all_three_can_be_put_on_one_server():
    """As the embedded service does it."""
    assert {Hosts.at("http://127.0.0.1:8080/").of(host) for host in Host} == {
        "http://127.0.0.1:8080"
    }


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://x.example/", "https://x.example"),
        ("https://x.example/serve/api/v1", "https://x.example"),
        ("https://x.example/serve/api/v2/", "https://x.example"),
        ("https://x.example/gateway/", "https://x.example/gateway"),
        ("http://localhost:1", "http://localhost:1"),
        ("http://[::1]:1", "http://[::1]:1"),
        ("http://127.9.9.9", "http://127.9.9.9"),
    ],
)
def test_older_spellings_mean_the_same_host(given, kept):
    """The command line tool's setting carries the API path."""
    assert Hosts(search=given).search == kept


@pytest.mark.parametrize(
    "url",
    [
        *("", "x.example", "ftp://x.example", "https://", "https:///path", "//x.example"),
        *("https://x.example?a=1", "https://x.example#part", "https://x.example:99999"),
        *("https://x.example:port", "https://[x.example", "https://x.exa\nmple", " https://x"),
    ],
)
def test_what_is_no_base_url_is_refused(url):
    """When the client is set up, not when a call fails."""
    with pytest.raises(ValueError, match="host must be a full http or https URL"):
        Hosts(embeddings=url)


URLS = ["http://api.memories.ai", "http://10.0.0.1", "http://localhost.evil.example"]
URLS += ["http://127.0.0.1.evil.example", "http://0.0.0.0", "http://2130706433"]


@pytest.mark.parametrize("url", URLS)
def test_a_key_never_travels_in_the_clear(url):
    """Plain http is for this machine only."""
    with pytest.raises(ValueError, match="in the clear: use https"):
        Hosts(captions=url)


@pytest.mark.parametrize("url", ["https://me:word@x.example", "http://me:word@x", "https://@x"])
def test_a_password_in_a_url_is_refused_and_not_repeated(url):
    """It would end up in every message."""
    with pytest.raises(ValueError, match="user name or password") as caught:
        Hosts(search=url)

    assert "word" not in str(caught.value).replace("password", "")


@pytest.mark.parametrize("text", ["1", " 1 "])
def test_plain_http_to_another_machine_is_allowed_by_a_variable(text, monkeypatch):
    """For an embedded service in a network of containers."""
    monkeypatch.setenv("MEMORIES_ALLOW_HTTP", text)

    assert Hosts.at("http://memories:8080").search == "http://memories:8080"


@pytest.mark.parametrize("text", ["", "0", "no", "true"])
def test_anything_but_1_allows_no_plain_http(text, monkeypatch):
    """The message names the variable."""
    monkeypatch.setenv("MEMORIES_ALLOW_HTTP", text)
    with pytest.raises(ValueError, match="MEMORIES_ALLOW_HTTP=1"):
        Hosts.at("http://memories:8080")
