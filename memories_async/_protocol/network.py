"""Addresses of servers, and base URLs. Pure."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

from attrs import frozen


@frozen
class Address:
    """A host and a port that a server listens on."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """The address as an http URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"


def is_loopback(host: str) -> bool:
    """Tell whether *host* is a name or address of this machine's loopback interface."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def split_base_url(url: str, *, what: str) -> SplitResult:
    """Split a base URL; raise `ValueError`, naming it *what*, unless it is one and nothing more."""
    if "@" in url:
        raise ValueError(f"{what} must not carry a user name or password")
    try:
        parts = urlsplit(url)
        host = parts.hostname if parts.port != 0 else None
    except ValueError:  # brackets that do not match, a port that is none
        parts, host = urlsplit(""), None
    # A URL with blanks, a query or a fragment leads somewhere else than it seems to.
    if parts.scheme not in {"http", "https"} or not host or re.search(r"[\s?#]", url):
        raise ValueError(f"{what} must be a full http or https URL without a query, not {url!r}")
    return parts


_AUTHORITY = re.compile(
    r"(?P<scheme>(?:[\w+.-]+:)?//)(?:(?P<user>[^/?#]*)@)?(?:\[[^]]*\]|[^/?#:@]*)(?::\d*)?(?=[/?#]|$)"
)


def hide_credentials(url: str) -> str:
    """Write *url* for a message: no user, no password, no query, which may be a signature."""
    found = _AUTHORITY.match(url)
    if found is None:  # nobody can say where the password ends
        url = f"***@{url.rpartition('@')[2]}" if "@" in url else url
    elif found["user"] is not None:
        url = f"{found['scheme']}***{url[found.end('user') :]}"
    return re.split("[?#]", url)[0]


def is_cleartext(parts: SplitResult) -> bool:
    """Tell whether others on the network could read what is sent to a base URL."""
    return parts.scheme == "http" and not is_loopback(parts.hostname or "")
