"""An OpenAI-compatible endpoint: one POST to the configured address, and to no other.

The key is sent over https or to this machine only, unless plain http is allowed explicitly. No
redirect is followed, no proxy used, and no error contains what was sent.
"""

from __future__ import annotations

import http.client
import ssl
import time
from urllib.parse import SplitResult

from attrs import field, frozen

from memories_async._protocol.keys import Key
from memories_async._protocol.network import is_cleartext, split_base_url
from memories_async.local.engine.protocol import EngineFailed

__all__ = ["Endpoint"]

_MOST = 4 * 2**20
"""Bytes of an answer that are read."""
_CHUNK = 64 * 1024
_OK = 200
_MEANINGS = {
    301: ": a redirect, which is not followed",
    302: ": a redirect, which is not followed",
    307: ": a redirect, which is not followed",
    308: ": a redirect, which is not followed",
    401: ": it does not take the key",
    403: ": it does not take the key",
    404: ": is the address, and the model's name, right?",
    413: ": the pictures are too much for it",
    429: ": it is asked too often",
}


@frozen(kw_only=True)
class Endpoint:
    """The address of chat completions, and the key for it."""

    base_url: str
    key: Key | None
    timeout: float
    plain_http: bool
    parts: SplitResult = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        """Refuse what is no address, and one to which the key would be sent unencrypted."""
        parts = split_base_url(self.base_url, what="base_url")
        object.__setattr__(self, "parts", parts)
        if self.key is not None and is_cleartext(parts) and not self.plain_http:
            raise ValueError(
                f"base_url {self.base_url!r} would send the API key in the clear: use https, "
                "or say plain_http=True where nobody else is on that network"
            )

    def post(self, body: bytes) -> bytes:
        """Send *body* as JSON. Raises `EngineFailed`, which contains neither key nor body."""
        headers = {"Content-Type": "application/json"}
        if self.key is not None:
            headers["Authorization"] = f"Bearer {self.key.reveal()}"
        connection = self._connect()
        try:
            connection.request(
                "POST", f"{self.parts.path.rstrip('/')}/chat/completions", body, headers
            )
            with connection.getresponse() as answer:
                content = _read_content(answer, until=time.monotonic() + self.timeout)
        except TimeoutError:
            raise EngineFailed(
                f"the vision endpoint gave no answer within {self.timeout:g} s"
            ) from None
        except (OSError, http.client.HTTPException) as error:
            kind = type(error).__name__
            raise EngineFailed(f"the vision endpoint gave no answer ({kind})") from None
        finally:
            connection.close()
        if answer.status != _OK:
            meaning = _MEANINGS.get(answer.status, "")
            raise EngineFailed(f"the vision endpoint answered with status {answer.status}{meaning}")
        return content

    def _connect(self) -> http.client.HTTPConnection:
        host, port = self.parts.hostname or "", self.parts.port
        if self.parts.scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=self.timeout)
        return http.client.HTTPSConnection(
            host, port, timeout=self.timeout, context=ssl.create_default_context()
        )


def _read_content(answer: http.client.HTTPResponse, *, until: float) -> bytes:
    """Read the body; one that trickles in ends with `TimeoutError` at *until*."""
    content = bytearray()
    while len(content) < _MOST and (part := answer.read1(_CHUNK)):
        content += part
        if time.monotonic() > until:
            raise TimeoutError
    return bytes(content)
