"""Why a request brought no reply, in words that say what to do and give nothing away. Pure.

aiohttp's exceptions hold the request headers, and with them the API key: they end here.
"""

from __future__ import annotations

from urllib.parse import urlsplit

import aiohttp

from memories_async.errors import MemoriesError, NotSent, OutcomeUnknown


def build_error(error: Exception, *, url: str, sent: bool, seconds: float) -> MemoriesError:
    """Turn what aiohttp raised into `NotSent` or `OutcomeUnknown`; *sent* alone decides which."""
    host = urlsplit(url).netloc
    if sent:
        return OutcomeUnknown(_lost(error, host, seconds), transient=True)
    reason, transient = _unsent(error, host, seconds)
    return NotSent(reason, transient=transient)


def _lost(error: Exception, host: str, seconds: float) -> str:
    if isinstance(error, TimeoutError):
        return f"{host} gave no complete answer in time ({seconds:.1f} s)"
    if isinstance(error, aiohttp.ServerDisconnectedError | ConnectionError):
        return f"{host} closed the connection before its answer was complete"
    if isinstance(error, aiohttp.ClientPayloadError):
        return f"the answer of {host} broke off"
    if isinstance(error, aiohttp.ClientResponseError):
        return f"the answer of {host} is not HTTP"
    return f"the connection to {host} failed before the answer ({type(error).__name__})"


def _unsent(error: Exception, host: str, seconds: float) -> tuple[str, bool]:
    """Say why nothing left, and whether trying again may help."""
    if isinstance(error, TimeoutError):
        return f"{host} could not be reached within {seconds:.1f} s", True
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        why = getattr(error.certificate_error, "verify_message", "") or "not valid"
        return f"the certificate of {host} is not trusted: {why}", False
    if isinstance(error, aiohttp.ClientSSLError):
        return f"{host} does not speak TLS as required", False
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return f"the name of {host} could not be resolved", True
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return f"the proxy refused the way to {host} (status {error.status})", False
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return "the proxy could not be reached", True
    if isinstance(error, OSError):
        return f"{host} could not be reached: {error.strerror or type(error).__name__}", True
    return f"the request to {host} could not be begun ({type(error).__name__})", False
