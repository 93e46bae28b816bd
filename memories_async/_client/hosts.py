"""Where the service is: three base URLs, checked so that no key goes where it should not."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

from attrs import field, frozen

from memories_async._protocol.network import is_loopback
from memories_async._protocol.reply import Host


def parsed_url(url: str, *, what: str) -> SplitResult:
    """Read a base URL; raise `ValueError` where it would lead elsewhere than it seems to."""
    if "@" in url:
        raise ValueError(f"{what} must not carry a user name or password")
    try:
        parts = urlsplit(url)
        name = parts.hostname if parts.port != 0 else None
    except ValueError:  # brackets that do not match, a port that is none
        parts, name = urlsplit(""), None
    # A URL with blanks, a query or a fragment would lead somewhere else than it seems to.
    if parts.scheme not in {"http", "https"} or not name or re.search(r"[\s?#]", url):
        raise ValueError(f"{what} must be a full http or https URL without a query, not {url!r}")
    return parts


def in_the_clear(parts: SplitResult) -> bool:
    """Whether others could read on the way what is sent there."""
    return parts.scheme == "http" and not is_loopback(parts.hostname or "")


def _base_url(url: str) -> str:
    """Check a base URL and leave off the API path that older settings carry."""
    if in_the_clear(parsed_url(url, what="a host")):
        raise ValueError(f"{url!r} would send your API key in the clear: use https")
    return re.sub(r"/serve/api/v[12]$", "", url.rstrip("/"))


@frozen(kw_only=True)
class Hosts:
    """The base URLs of the service's three APIs: https, or plain http on this machine only."""

    search: str = field(default="https://api.memories.ai", converter=_base_url)
    captions: str = field(default="https://security.memories.ai", converter=_base_url)
    embeddings: str = field(default="https://mavi-backend.memories.ai", converter=_base_url)

    @classmethod
    def at(cls, url: str) -> Hosts:
        """Put all three on one server, as the embedded service does."""
        return cls(search=url, captions=url, embeddings=url)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Hosts:
        """Read `MEMORIES_V1_BASE_URL`, `MEMORIES_CAPTION_BASE_URL` and `MEMORIES_V2_BASE_URL`."""
        given = {name: environment.get(variable) for name, variable in _HOST_VARIABLES.items()}
        return cls(**{name: url for name, url in given.items() if url})

    def of(self, host: Host) -> str:
        """Look up the base URL of a host."""
        url = getattr(self, host.value)
        assert isinstance(url, str)
        return url


_HOST_VARIABLES = {
    "search": "MEMORIES_V1_BASE_URL",
    "captions": "MEMORIES_CAPTION_BASE_URL",
    "embeddings": "MEMORIES_V2_BASE_URL",
}
