"""Callback URLs: where the service reaches a receiver, and the token that ends each URL.

A token is the id of one submission, 16 random bytes, and a keyed hash of it. A guessed token costs
one hash and never reaches the store, and the comparison takes the same time for every wrong token.
Tokens travel in URLs, which proxies and the service write into their logs: each is good for one
submission only, and for a limited time.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Generator
from contextlib import contextmanager
from urllib.parse import SplitResult, urlsplit

from attrs import define, field

from memories_async._protocol.arguments import check_url
from memories_async._protocol.network import hide_credentials

MIN_SECRET_SIZE = 16
"""Bytes that a secret must have at least."""
_ID_SIZE = 16
_MAC_SIZE = 16
_TOKEN_LENGTH = 43


def draw_submission_id() -> bytes:
    """Draw 16 random bytes."""
    return secrets.token_bytes(_ID_SIZE)


def draw_secret() -> bytes:
    """Draw the secret of a store."""
    return secrets.token_bytes(32)


def derive_key(secret: str | bytes) -> bytes:
    """Return the key for a user's secret; raise `ValueError` for a secret that is too short."""
    key = secret.encode() if isinstance(secret, str) else secret
    if len(key) < MIN_SECRET_SIZE:
        raise ValueError(f"secret must have at least {MIN_SECRET_SIZE} bytes, not {len(key)}")
    return key if len(key) <= hashlib.blake2b.MAX_KEY_SIZE else hashlib.blake2b(key).digest()


def write_token(submission_id: bytes, secret: bytes) -> str:
    """Write the token of a submission: 43 characters that need no escaping in a URL."""
    # Keyed BLAKE2 is a MAC by design, and costs a fiftieth of an HMAC by OpenSSL 3.
    mac = hashlib.blake2b(submission_id, key=secret, digest_size=_MAC_SIZE, person=b"callback")
    token = base64.urlsafe_b64encode(submission_id + mac.digest())
    return token.decode("ascii").rstrip("=")


def read_token(text: str, secret: bytes) -> bytes | None:
    """Return the submission's id, or None if the token was not written with *secret*."""
    if len(text) != _TOKEN_LENGTH or not text.isascii():
        return None
    try:
        submission_id = base64.urlsafe_b64decode(f"{text}=")[:_ID_SIZE]
    except ValueError:
        return None
    # Base64 has several spellings for the same bytes; only the one that is written here is good.
    return submission_id if hmac.compare_digest(write_token(submission_id, secret), text) else None


def _check_public_url(url: str) -> str:
    parts = urlsplit(url)
    # Port 0 stands for the port that is served, so it is left out of the check.
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
    """The URL of a receiver as it was given, and the ports that are being served."""

    given: str = field(converter=_check_public_url)
    _ports: list[int] = field(factory=list[int], init=False)

    @property
    def is_reachable(self) -> bool:
        """Whether callbacks can arrive: port 0 means none until a port is served."""
        return bool(self._ports) or urlsplit(self.given).port != 0

    @contextmanager
    def serve_port(self, port: int) -> Generator[None]:
        """Let port 0 stand for *port* while the context is open."""
        self._ports.append(port)
        try:
            yield
        finally:
            self._ports.remove(port)

    def resolve(self) -> str:
        """Return the URL with its real port; raise `ValueError` while port 0 is not served."""
        parts = urlsplit(self.given)
        if parts.port != 0:
            return self.given
        if not self._ports:
            shown = hide_credentials(self.given)
            raise ValueError(f"{shown} names port 0: serve() first, which gives it a port")
        return parts._replace(netloc=f"{_host(parts)}:{self._ports[-1]}").geturl()
