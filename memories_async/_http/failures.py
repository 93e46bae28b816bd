"""Turns aiohttp's exceptions into errors that say what failed and whether it may be billed. Pure.

aiohttp's exceptions hold the request's headers, and with them the API key, so none of them leaves
this package.
"""

from __future__ import annotations

import os
from urllib.parse import urlsplit

import aiohttp

from memories_async.errors import MemoriesError, NotSent, OutcomeUnknown

_Kinds = type[Exception] | tuple[type[Exception], ...]

_LOST: tuple[tuple[_Kinds, str], ...] = (
    (TimeoutError, "{host} gave no complete answer in time ({seconds:.1f} s)"),
    (
        (aiohttp.ServerDisconnectedError, ConnectionError),
        "{host} closed the connection before its answer was complete",
    ),
    (aiohttp.ClientPayloadError, "the answer of {host} broke off"),
    (aiohttp.ClientResponseError, "the answer of {host} is not HTTP"),
    (Exception, "the connection to {host} failed before the answer ({kind})"),
)
"""What is said of a request that was sent: of the first kind that the exception is."""
_UNSENT: tuple[tuple[_Kinds, str, bool], ...] = (
    (TimeoutError, "{host} could not be reached within {seconds:.1f} s", True),
    (
        aiohttp.ClientConnectorCertificateError,
        "the certificate of {host} is not trusted: {certificate}",
        False,
    ),
    (aiohttp.ClientSSLError, "{host} does not speak TLS as required", False),
    (aiohttp.ClientConnectorDNSError, "the name of {host} could not be resolved", True),
    (
        aiohttp.ClientHttpProxyError,
        "the proxy refused to connect to {host} (status {status})",
        False,
    ),
    (aiohttp.ClientProxyConnectionError, "the proxy could not be reached", True),
    (OSError, "{host} could not be reached: {reason}", True),
    (Exception, "the request to {host} could not be started ({kind})", False),
)
"""What is said of one that was not, and whether another attempt may help."""


def build_error(error: Exception, *, url: str, sent: bool, seconds: float) -> MemoriesError:
    """Return the `NotSent` or `OutcomeUnknown` that *error* means; *sent* alone decides which."""
    certificate = getattr(error, "certificate_error", None)
    words = {
        "host": urlsplit(url).netloc.rpartition("@")[2],
        "seconds": seconds,
        "kind": type(error).__name__,
        "certificate": getattr(certificate, "verify_message", "") or "not valid",
        "status": getattr(error, "status", None),
        "reason": _describe_reason(error),
    }
    if sent:
        text = next(text for kinds, text in _LOST if isinstance(error, kinds))
        return OutcomeUnknown(text.format(**words), transient=True)
    text, transient = next(found[1:] for found in _UNSENT if isinstance(error, found[0]))
    return NotSent(text.format(**words), transient=transient)


def _describe_reason(error: BaseException) -> str:
    if not isinstance(error, OSError):
        return type(error).__name__
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)  # the event loop's own text repeats the address
    return error.strerror or type(error).__name__
