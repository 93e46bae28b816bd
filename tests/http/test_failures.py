"""Why a request brought no reply: the sentence and whether it may have cost something."""

from __future__ import annotations

import ssl
from types import SimpleNamespace

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from memories_async._http.failures import failure
from memories_async.errors import NotSent, OutcomeUnknown

KEY = ConnectionKey("h", 1, True, True, None, None, None)
URL = "https://h:1/path?secret=1"
REQUEST = SimpleNamespace(real_url=URL, headers={}, url=URL, method="POST")


def told(error, *, sent):
    """The failure that *error* means."""
    return failure(error, url=URL, sent=sent, seconds=1.25)


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
        (ValueError("bad header"), "could not be begun (ValueError)", False),
        (RuntimeError("Session is closed"), "could not be begun (RuntimeError)", False),
    ],
)
def test_what_was_never_sent(error, words, transient):
    """Free, and tried again where that may help."""
    failed = told(error, sent=False)

    assert (type(failed), failed.billed, failed.transient) == (NotSent, "no", transient)
    assert words in failed.message
    assert "secret" not in failed.message


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
def test_what_left_may_have_cost_something(error, words):
    """Whatever the exception says: the trace's signal decides."""
    failed = told(error, sent=True)

    assert (type(failed), failed.billed, failed.status) == (OutcomeUnknown, "maybe", None)
    assert words in failed.message
