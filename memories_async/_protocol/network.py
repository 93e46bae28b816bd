"""Addresses on this machine. Pure."""

from __future__ import annotations

import ipaddress

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
