"""Where the service may connect to on a caller's word: the guard against forged requests. Pure.

A caption request names up to seven addresses (the video, five pictures, the callback). Whoever can
send one must not be able to make this process talk to the inside of a network.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Literal, get_args

from attrs import define
from yarl import URL

__all__ = ["Guard", "Reach", "Unreachable"]

Reach = Literal["off", "loopback", "anywhere"]

_LOOPBACK_NAME = re.compile(r"(.+\.)?localhost\.?", re.IGNORECASE)
# 127.1, 0x7f.1, 2130706433, 017700000001: what a C library takes for an address.
_NUMERIC = re.compile(r"(0x[0-9a-f]*|[0-9]+)(\.(0x[0-9a-f]*|[0-9]+)){0,3}\.?", re.IGNORECASE)
# Carries an IPv4 address inside, and is global by itself.
_NAT64 = IPv6Network("64:ff9b::/96")


class Unreachable(Exception):
    """The guard, or the other side, said no; `str()` is one plain sentence."""

    def __init__(self, reason: str, *, forbidden: bool = False) -> None:
        """Tell *reason*; *forbidden* when another `reach` would allow it."""
        super().__init__(reason)
        self.forbidden = forbidden


@define(eq=False)
class Guard:
    """Decides about a URL before its name is looked up, and about each address after."""

    reach: Reach
    own_port: int | None = None

    def __attrs_post_init__(self) -> None:
        """Refuse a setting that is misspelt: it would forbid what was to be allowed."""
        if self.reach not in get_args(Reach):
            raise ValueError(f"{self.reach!r} is none of {', '.join(get_args(Reach))}")

    def checked(self, url: str) -> URL:
        """Return *url* ready to use, or raise `Unreachable`."""
        parsed = _parse(url)
        host = parsed.host or ""
        literal = _literal(host)
        if literal is None and _NUMERIC.fullmatch(host):
            raise Unreachable(f"{host} is a number, not the name of a host")
        local = literal.is_loopback if literal else bool(_LOOPBACK_NAME.fullmatch(host))
        if local and parsed.port == self.own_port:
            raise Unreachable("the service does not talk to itself")
        # Under "loopback", a name outside is refused unasked: looking it up is traffic already.
        by_name = self.reach == "anywhere" or (self.reach == "loopback" and local)
        if not (self.allows(host, parsed.port or 0) if literal else by_name):
            raise Unreachable(self._refusal(host), forbidden=True)
        return parsed

    def allows(self, address: str, port: int) -> bool:
        """Whether a connection to *port* of the numeric *address* may be made."""
        ip = _literal(address)
        if ip is None or (isinstance(ip, IPv6Address) and _in_disguise(ip)):
            return False
        if ip.is_loopback:
            return self.reach != "off" and port != self.own_port
        return self.reach == "anywhere" and ip.is_global and not ip.is_multicast

    def _refusal(self, host: str) -> str:
        what = {"off": "no host", "loopback": "loopback only", "anywhere": "public hosts only"}
        return f"{host} is out of reach: this service connects to {what[self.reach]}"


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


def _literal(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _in_disguise(ip: IPv6Address) -> bool:
    """Whether an IPv4 address hides in it, which the other checks would not see."""
    hidden = ip.ipv4_mapped or ip.sixtofour or ip.teredo
    return hidden is not None or ip in _NAT64
