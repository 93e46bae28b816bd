"""Callback tokens: unguessable, and checked before anything is looked up.

A token is 16 random bytes, the id of one submission, and a keyed hash of them. So a flood of
guesses costs a hash each and never reaches the store, and the comparison takes the same time
however wrong the guess is. The tokens travel in URLs, which proxies and the service write into
their logs: each is good for one task only, and not for ever.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

ID_SIZE = 16
"""Bytes of an id: 128 bits of chance."""
_MAC_SIZE = 16
_LENGTH = 43
MIN_SECRET = 16
"""Bytes that a secret must have."""


def new_id() -> bytes:
    """Draw the id of a submission."""
    return secrets.token_bytes(ID_SIZE)


def new_secret() -> bytes:
    """Draw a secret for those who bring none."""
    return secrets.token_bytes(32)


def token(id_: bytes, secret: bytes) -> str:
    """Write the token that stands for *id_* in a URL."""
    return base64.urlsafe_b64encode(id_ + _mac(id_, secret)).decode("ascii").rstrip("=")


def id_of(text: str, secret: bytes) -> bytes | None:
    """Return the id that a token carries, or None if the token was not made with *secret*."""
    if len(text) != _LENGTH or not text.isascii():
        return None
    try:
        id_ = base64.urlsafe_b64decode(f"{text}=")[:ID_SIZE]
    except ValueError:
        return None
    # Written again and compared as a whole: of several spellings of one token only ours counts.
    return id_ if hmac.compare_digest(token(id_, secret), text) else None


def checked_secret(secret: str | bytes) -> bytes:
    """Return *secret* as bytes, or raise `ValueError` if it is too short to keep anybody out."""
    key = secret.encode() if isinstance(secret, str) else secret
    if len(key) < MIN_SECRET:
        raise ValueError(f"secret must have at least {MIN_SECRET} bytes, not {len(key)}")
    return key if len(key) <= hashlib.blake2b.MAX_KEY_SIZE else hashlib.blake2b(key).digest()


def _mac(id_: bytes, secret: bytes) -> bytes:
    # Keyed BLAKE2 is a MAC by design, and a fiftieth of the price of an HMAC by OpenSSL 3.
    return hashlib.blake2b(id_, key=secret, digest_size=_MAC_SIZE, person=b"callback").digest()
