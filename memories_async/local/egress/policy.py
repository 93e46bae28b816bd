"""Egress policy: which hosts the service may connect to when a request names them. Pure.

A caption request names up to seven URLs (the video, five pictures, the callback). Whoever can send
one must not be able to make this process connect to other machines of a private network (SSRF).
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Literal, get_args

from attrs import define
from yarl import URL

from memories_async._protocol.network import is_loopback

__all__ = ["AllowedHosts", "EgressPolicy", "Unreachable"]

AllowedHosts = Literal["off", "loopback", "anywhere"]
"""No host; this machine only; this machine and public addresses."""

_LOOPBACK_NAME = re.compile(r"(.+\.)?localhost\.?", re.IGNORECASE)
# 127.1, 0x7f.1, 2130706433, 017700000001: spellings of an address that the C library accepts.
_NUMERIC = re.compile(r"(0x[0-9a-f]*|[0-9]+)(\.(0x[0-9a-f]*|[0-9]+)){0,3}\.?", re.IGNORECASE)
# Holds an IPv4 address, and counts as global.
_NAT64 = IPv6Network("64:ff9b::/96")


class Unreachable(Exception):
    """A URL that cannot be used or did not answer as needed; `str()` is one sentence."""

    def __init__(self, reason: str, *, is_forbidden: bool = False) -> None:
        """Set the *reason*; *is_forbidden* where other `AllowedHosts` would allow the URL."""
        super().__init__(reason)
        self.is_forbidden = is_forbidden


@define(eq=False)
class EgressPolicy:
    """Decides on a URL before its name is looked up, and on each address after that."""

    allowed_hosts: AllowedHosts
    own_port: int | None = None

    def __attrs_post_init__(self) -> None:
        """Raise `ValueError` for a misspelt setting, which would forbid everything."""
        if self.allowed_hosts not in get_args(AllowedHosts):
            raise ValueError(
                f"{self.allowed_hosts!r} is none of {', '.join(get_args(AllowedHosts))}"
            )

    def check(self, url: str) -> URL:
        """Parse *url*; raise `Unreachable` where it must not be used."""
        parsed = _parse(url)
        host = parsed.host or ""
        literal = _parse_ip(host)
        if literal is None and _NUMERIC.fullmatch(host):
            raise Unreachable(f"{host} is a number, not the name of a host")
        local = is_loopback(host) or bool(_LOOPBACK_NAME.fullmatch(host))
        if local and parsed.port == self.own_port:
            raise Unreachable("the service does not connect to itself")
        # With "loopback", other names are refused without a look-up, which would be traffic.
        by_name = self.allowed_hosts == "anywhere" or (self.allowed_hosts == "loopback" and local)
        if not (self.allows(host, parsed.port or 0) if literal else by_name):
            what = {"off": "no host", "loopback": "loopback only", "anywhere": "public hosts only"}
            raise Unreachable(
                f"{host} is out of reach: this service connects to {what[self.allowed_hosts]}",
                is_forbidden=True,
            )
        return parsed

    def allows(self, address: str, port: int) -> bool:
        """Whether the service may connect to *port* of the numeric *address*."""
        ip = _parse_ip(address)
        if ip is None or (isinstance(ip, IPv6Address) and _has_ipv4(ip)):
            return False
        if ip.is_loopback:
            return self.allowed_hosts != "off" and port != self.own_port
        return self.allowed_hosts == "anywhere" and ip.is_global and not ip.is_multicast


def _parse(url: str) -> URL:
    try:
        parsed = URL(url)
    except ValueError:
        raise Unreachable("the URL cannot be read") from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise Unreachable("the URL must start with http:// or https:// and name a host")
    if parsed.raw_user is not None or parsed.raw_password is not None:
        raise Unreachable("the URL must not carry a user name or a password")
    return parsed


def _parse_ip(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _has_ipv4(ip: IPv6Address) -> bool:
    """Whether the address holds an IPv4 address, which the other checks would not see."""
    hidden = ip.ipv4_mapped or ip.sixtofour or ip.teredo
    return hidden is not None or ip in _NAT64
