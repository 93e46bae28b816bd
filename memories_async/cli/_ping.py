"""Whether a host can be reached: a connection and TLS, never a request."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import time
from urllib.parse import urlsplit

from attrs import frozen

_PATIENCE = 5.0


@frozen(kw_only=True)
class Echo:
    """How it went."""

    ok: bool
    told: str
    seconds: float


async def ping(url: str, *, ca: str | None) -> Echo:
    """Connect to *url*'s host and, for https, shake hands; no byte of HTTP is sent."""
    begun = time.perf_counter()
    try:
        async with asyncio.timeout(_PATIENCE):
            told = await _connect(url, ca)
    except TimeoutError:
        return Echo(ok=False, told=f"no answer in {_PATIENCE:g} s", seconds=_PATIENCE)
    except ssl.SSLCertVerificationError as error:
        told = f"certificate not trusted: {error.verify_message}"
        return Echo(ok=False, told=told, seconds=time.perf_counter() - begun)
    except OSError as error:
        told = _reason(error)
        return Echo(ok=False, told=told, seconds=time.perf_counter() - begun)
    return Echo(ok=True, told=told, seconds=time.perf_counter() - begun)


def _reason(error: OSError) -> str:
    if isinstance(error, socket.gaierror):
        return "its name is not known"
    # asyncio puts its own words where the system's would be.
    return os.strerror(error.errno) if error.errno else "none of its addresses answers"


async def _connect(url: str, ca: str | None) -> str:
    parts = urlsplit(url)
    tls = ssl.create_default_context(cafile=ca) if parts.scheme == "https" else None
    port = parts.port or (443 if tls else 80)
    _, writer = await asyncio.open_connection(parts.hostname, port, ssl=tls)
    spoken: ssl.SSLObject | None = writer.get_extra_info("ssl_object")
    writer.close()
    return (spoken.version() or "TLS") if spoken is not None else "connected"
