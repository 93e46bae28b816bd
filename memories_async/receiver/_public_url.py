"""The URL at which the service reaches a receiver; a port 0 in it becomes the port that is served."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from urllib.parse import SplitResult, urlsplit

from attrs import define, field

from memories_async._protocol.call import check_url


def _checked(url: str) -> str:
    parts = urlsplit(url)
    # Port 0 is ours: no URL that is asked for has it.
    check_url(
        "public_url", parts._replace(netloc=_host(parts)).geturl() if parts.port == 0 else url
    )
    if "?" in url or "#" in url:
        raise ValueError("public_url must have no query and no fragment: the token is added to it")
    return url.rstrip("/")


def _host(parts: SplitResult) -> str:
    return parts.netloc.rpartition(":")[0]


@define(eq=False)
class PublicUrl:
    """A receiver's URL as it was given, and the ports that are served now."""

    given: str = field(converter=_checked)
    _ports: list[int] = field(factory=list[int], init=False)

    @property
    def is_reachable(self) -> bool:
        """Whether there is anything to call back: port 0 is nothing until it is served."""
        return bool(self._ports) or urlsplit(self.given).port != 0

    @contextmanager
    def served(self, port: int) -> Generator[None]:
        """Have port 0 stand for *port* while the context is open."""
        self._ports.append(port)
        try:
            yield
        finally:
            self._ports.remove(port)

    def now(self) -> str:
        """Return the URL with its port, or raise `ValueError` while port 0 is not served."""
        parts = urlsplit(self.given)
        if parts.port != 0:
            return self.given
        if not self._ports:
            raise ValueError(f"{self.given} names port 0: serve() first, which gives it a port")
        return parts._replace(netloc=f"{_host(parts)}:{self._ports[-1]}").geturl()
