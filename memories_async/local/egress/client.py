"""The service's own requests: fetching what a caption names, posting its result.

Every connection goes to an address that the guard has seen, redirects are not followed, sizes and
times are bounded, and no header but our own goes out.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable

import aiohttp
from aiohttp.abc import ResolveResult
from attrs import define, field

from memories_async.local.egress.policy import Guard, Unreachable

__all__ = ["Outgoing"]

_CHUNK = 64 * 1024
_AGENT = {"User-Agent": "memories_async-local", "Accept-Encoding": "identity"}


class _Resolver(aiohttp.ThreadedResolver):
    """Looks a name up once, and hands on only addresses that the guard allows."""

    def __init__(self, guard: Guard) -> None:
        super().__init__()
        self._guard = guard

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await super().resolve(host, port, family)
        if not all(self._guard.allows(one["host"], port) for one in found):
            raise OSError(f"{host} leads to an address that is out of reach")
        return found


@define(eq=False)
class Outgoing:
    """A guarded client; its session opens with the first request."""

    guard: Guard
    timeout: float
    _session: aiohttp.ClientSession | None = field(init=False, default=None)

    async def close(self) -> None:
        """Close what was opened."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def fetch(self, url: str, *, largest: int) -> bytes:
        """Get at most *largest* bytes from *url*; raises `Unreachable`."""
        content = bytearray()

        async def keep(chunk: bytes) -> None:
            content.extend(chunk)

        await self.fetch_into(url, keep, largest=largest)
        return bytes(content)

    async def fetch_into(
        self, url: str, keep: Callable[[bytes], Awaitable[None]], *, largest: int
    ) -> None:
        """Get at most *largest* bytes from *url*, piece by piece; raises `Unreachable`."""
        target, size = self.guard.checked(url), 0
        try:
            async with self._open().get(target, allow_redirects=False) as response:
                if response.status != 200:  # noqa: PLR2004  # plain HTTP
                    raise Unreachable(f"{target.host} answered {response.status}")
                async for chunk in response.content.iter_chunked(_CHUNK):
                    size += len(chunk)
                    if size > largest:
                        raise Unreachable(
                            f"what {target.host} sends is larger than {largest} bytes"
                        )
                    await keep(chunk)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unreachable(_plain(error)) from None

    async def post(self, url: str, body: bytes) -> int:
        """Post JSON to *url* and return the answer's status; raises `Unreachable`."""
        target = self.guard.checked(url)
        headers = {"Content-Type": "application/json"}
        try:
            async with self._open().post(
                target, data=body, headers=headers, allow_redirects=False
            ) as response:
                return response.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unreachable(_plain(error)) from None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            resolver = _Resolver(self.guard)
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    resolver=resolver, use_dns_cache=False, force_close=True
                ),
                timeout=aiohttp.ClientTimeout(total=self.timeout),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                headers=_AGENT,
                trust_env=False,
            )
        return self._session


def _plain(error: Exception) -> str:
    """Name a failure without aiohttp's exception, which holds request headers."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"no connection: {error.strerror or error.os_error}"
    return f"the connection failed: {type(error).__name__}"
