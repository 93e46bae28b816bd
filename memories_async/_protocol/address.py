"""Where something listens on this machine."""

from __future__ import annotations

from attrs import frozen


@frozen
class Address:
    """A host and a port."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """The address as a URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"
