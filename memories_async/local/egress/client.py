"""Outgoing requests of the service: it fetches what a request names and posts results.

Every connection goes to an address that the policy allows, redirects are not followed, sizes and
times are bounded, and no headers but these are sent.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable

import aiohttp
from aiohttp.abc import ResolveResult
from attrs import define, field

from memories_async.local.egress.policy import EgressPolicy, Unreachable

__all__ = ["EgressClient"]

_CHUNK = 64 * 1024
_AGENT = {"User-Agent": "memories_async-local", "Accept-Encoding": "identity"}


class _Resolver(aiohttp.ThreadedResolver):
    """Looks a name up once, and refuses it where the policy forbids one of its addresses."""

    def __init__(self, policy: EgressPolicy) -> None:
        super().__init__()
        self._policy = policy

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await super().resolve(host, port, family)
        if not all(self._policy.allows(one["host"], port) for one in found):
            raise OSError(f"{host} has an address that is out of reach")
        return found


@define(eq=False)
class EgressClient:
    """HTTP client for allowed hosts; its session opens with the first request."""

    policy: EgressPolicy
    timeout: float
    _session: aiohttp.ClientSession | None = field(init=False, default=None)

    async def close(self) -> None:
        """Close the session, if there is one."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def fetch(self, url: str, *, largest: int) -> bytes:
        """Fetch at most *largest* bytes from *url*; raises `Unreachable`."""
        content = bytearray()

        async def append(chunk: bytes) -> None:
            content.extend(chunk)

        await self.fetch_into(url, append, largest=largest)
        return bytes(content)

    async def fetch_into(
        self, url: str, write: Callable[[bytes], Awaitable[None]], *, largest: int
    ) -> None:
        """Pass at most *largest* bytes from *url* to *write* in chunks; raises `Unreachable`."""
        target, size = self.policy.check(url), 0
        try:
            async with self._get_session().get(target, allow_redirects=False) as response:
                if response.status != 200:  # noqa: PLR2004  # plain HTTP
                    raise Unreachable(f"{target.host} answered {response.status}")
                async for chunk in response.content.iter_chunked(_CHUNK):
                    size += len(chunk)
                    if size > largest:
                        raise Unreachable(
                            f"the answer of {target.host} is larger than {largest} bytes"
                        )
                    await write(chunk)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unreachable(_describe(error)) from None

    async def post(self, url: str, body: bytes) -> int:
        """Post JSON to *url* and return the status of the reply; raises `Unreachable`."""
        target = self.policy.check(url)
        headers = {"Content-Type": "application/json"}
        try:
            async with self._get_session().post(
                target, data=body, headers=headers, allow_redirects=False
            ) as response:
                return response.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unreachable(_describe(error)) from None

    def _get_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            resolver = _Resolver(self.policy)
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


def _describe(error: Exception) -> str:
    """Describe a failure without aiohttp's exception, which holds request headers."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"no connection: {error.strerror or error.os_error}"
    return f"the connection failed: {type(error).__name__}"
