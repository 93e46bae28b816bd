"""Turns aiohttp's exceptions into errors that say what failed and whether it may be billed. Pure.

aiohttp's exceptions hold the request's headers, and with them the API key, so none of them leaves
this package.
"""

from __future__ import annotations

from urllib.parse import urlsplit

import aiohttp

from memories_async.errors import MemoriesError, NotSent, OutcomeUnknown


def build_error(error: Exception, *, url: str, sent: bool, seconds: float) -> MemoriesError:
    """Return the `NotSent` or `OutcomeUnknown` that *error* means; *sent* alone decides which."""
    host = urlsplit(url).netloc
    if sent:
        return OutcomeUnknown(_explain_lost_reply(error, host, seconds), transient=True)
    reason, transient = _explain_unsent(error, host, seconds)
    return NotSent(reason, transient=transient)


def _explain_lost_reply(error: Exception, host: str, seconds: float) -> str:
    if isinstance(error, TimeoutError):
        return f"{host} gave no complete answer in time ({seconds:.1f} s)"
    if isinstance(error, aiohttp.ServerDisconnectedError | ConnectionError):
        return f"{host} closed the connection before its answer was complete"
    if isinstance(error, aiohttp.ClientPayloadError):
        return f"the answer of {host} broke off"
    if isinstance(error, aiohttp.ClientResponseError):
        return f"the answer of {host} is not HTTP"
    return f"the connection to {host} failed before the answer ({type(error).__name__})"


def _explain_unsent(error: Exception, host: str, seconds: float) -> tuple[str, bool]:
    """Return why no byte was sent, and whether another attempt may help."""
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
        return f"the proxy refused to connect to {host} (status {error.status})", False
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return "the proxy could not be reached", True
    if isinstance(error, OSError):
        return f"{host} could not be reached: {error.strerror or type(error).__name__}", True
    return f"the request to {host} could not be started ({type(error).__name__})", False
