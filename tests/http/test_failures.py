"""Errors for requests without a reply: what they say, and whether the call may be billed."""

from __future__ import annotations

import ssl
from types import SimpleNamespace

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from memories_async._http.failures import build_error
from memories_async.errors import NotSent, OutcomeUnknown

KEY = ConnectionKey("h", 1, True, True, None, None, None)
URL = "https://me:hush@h:1/path?secret=1"
REQUEST = SimpleNamespace(real_url=URL, headers={}, url=URL, method="POST")


def build(error, *, sent):
    return build_error(error, url=URL, sent=sent, seconds=1.25)


def distrust(reason):
    """The error of TLS for a certificate that is not trusted."""
    error = ssl.SSLCertVerificationError()
    error.verify_message = reason
    return error


@pytest.mark.parametrize(
    ("error", "words", "transient"),
    [
        (TimeoutError(), "h:1 could not be reached within 1.2 s", True),
        (aiohttp.ConnectionTimeoutError(), "h:1 could not be reached within 1.2 s", True),
        (aiohttp.ClientConnectorSSLError(KEY, ssl.SSLError()), "does not speak TLS", False),
        (aiohttp.ClientConnectorDNSError(KEY, OSError()), "could not be resolved", True),
        (
            aiohttp.ClientConnectorError(KEY, OSError(111, "Refused")),
            "h:1 could not be reached",
            True,
        ),
        (
            aiohttp.ClientProxyConnectionError(KEY, OSError()),
            "the proxy could not be reached",
            True,
        ),
        (OSError(), "h:1 could not be reached: OSError", True),
        (
            ConnectionRefusedError(111, "Connect call failed ('::1', 1)"),
            "h:1 could not be reached: Connection refused",
            True,
        ),
        (OSError(113, "No route to host"), "h:1 could not be reached: No route to host", True),
        (
            aiohttp.ClientConnectorCertificateError(KEY, distrust("self-signed")),
            "the certificate of h:1 is not trusted: self-signed",
            False,
        ),
        (
            aiohttp.ClientConnectorCertificateError(KEY, ssl.CertificateError()),
            "the certificate of h:1 is not trusted: not valid",
            False,
        ),
        (
            aiohttp.ClientHttpProxyError(REQUEST, (), status=407),
            "the proxy refused to connect to h:1 (status 407)",
            False,
        ),
        (ValueError("bad header"), "could not be started (ValueError)", False),
        (RuntimeError("Session is closed"), "could not be started (RuntimeError)", False),
    ],
)
def test_a_failure_before_the_first_byte_is_not_sent(error, words, transient):
    """It is free, and transient where another try may help."""
    failed = build(error, sent=False)

    assert (type(failed), failed.billed, failed.transient) == (NotSent, "no", transient)
    assert words in failed.message
    assert "secret" not in failed.message
    assert "hush" not in failed.message


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (TimeoutError(), "h:1 gave no complete answer in time (1.2 s)"),
        (aiohttp.ServerDisconnectedError(), "h:1 closed the connection before"),
        (ConnectionResetError(), "h:1 closed the connection before"),
        (aiohttp.ClientPayloadError("x"), "the answer of h:1 broke off"),
        (aiohttp.ClientResponseError(REQUEST, (), status=400), "the answer of h:1 is not HTTP"),
        (aiohttp.ClientError("x"), "the connection to h:1 failed before the answer (ClientError)"),
        (ValueError("x"), "failed before the answer (ValueError)"),
    ],
)
def test_a_failure_after_the_first_byte_may_be_billed(error, words):
    """The trace's signal decides, whatever the exception says."""
    failed = build(error, sent=True)

    assert (type(failed), failed.billed, failed.status) == (OutcomeUnknown, "maybe", None)
    assert failed.transient
    assert words in failed.message
