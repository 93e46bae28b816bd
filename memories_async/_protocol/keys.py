"""API keys: they can be used, and never appear in a repr, a log or a pickle."""

from __future__ import annotations

import hashlib
import os
import re
from typing import Any, ClassVar

KEY_VARIABLE = "MEMORIES_API_KEY"
CAPTION_KEY_VARIABLE = "MEMORIES_CAPTION_API_KEY"
OTHER_KEY_VARIABLE = "MEMORIES_AI_API_KEY"
"""What other programs read the key from, about as often; it is named where there is no key."""
ACCOUNT_VARIABLE = "MEMORIES_ACCOUNT"
ENGINE_KEY_VARIABLE = "MEMORIES_ENGINE_API_KEY"
"""The key of the vision model behind the embedded service; not a key of memories.ai."""


MASK = b"***"
_SHORTEST = 8
"""Characters of the shortest key that is masked: a shorter one is no secret, and part of words."""


_BY_RARITY = "kvwybgfhpm_ucdlrosnitae-.5432109876"
"""The characters of most replies, from the rarest to the most frequent; the others are rarer."""
_BACKSLASH, _PERCENT = b"\\%"


def explain_missing_key(advice: str) -> str:
    """Say that there is no key, with *advice*, and name the variable that holds one for others."""
    is_elsewhere = os.environ.get(OTHER_KEY_VARIABLE, "").strip()
    hint = f" ({OTHER_KEY_VARIABLE} is set, but this library does not read it)"
    return f"no API key: {advice}{hint if is_elsewhere else ''}"


class Key:
    """An API key that cannot be printed. Its pickle holds a reference instead of the key.

    The process that loads the pickle finds the key in its memory if it is a fork of this one, and
    otherwise in the environment variable *variable*.
    """

    __slots__ = ("_rarest", "_secret", "fingerprint", "variable")
    _known: ClassVar[dict[str, str]] = {}

    def __init__(self, secret: str, *, variable: str) -> None:
        if not re.fullmatch(r"[\x21-\x7e]+", secret):
            raise ValueError(
                "an API key must be printable ASCII without spaces; pass it bare, without 'Bearer'"
            )
        self._secret = secret
        self._rarest = ord(min(secret, key=_BY_RARITY.find))
        self.variable: str = variable
        digest = hashlib.blake2b(secret.encode(), digest_size=12, person=b"memories-account")
        self.fingerprint: str = digest.hexdigest()
        """A hash that identifies the key and does not reveal it."""
        self._known[self.fingerprint] = secret

    def reveal(self) -> str:
        """Return the key, for the Authorization header.

        Raises `ValueError` for a key that was unpickled in a process that does not have it.
        """
        if not self._secret:
            raise ValueError(
                f"an API key is not stored in a pickle: set {self.variable} in this process"
            )
        return self._secret

    def may_be_in(self, body: bytes) -> bool:
        """Tell quickly whether *body* may hold the key; mostly one byte of it is missing."""
        # Numbers: looking for a byte as `bytes` raises an error inside, and catches it, every time.
        return self._rarest in body or _BACKSLASH in body or _PERCENT in body

    def mask(self, body: bytes) -> bytes:
        """Return *body* without the key, also where JSON or a URL writes it with escapes."""
        if len(self._secret) < _SHORTEST:
            return body
        masked = body.replace(self._secret.encode(), MASK)
        has_escapes = b"\\" in masked and re.search(rb"\\[^bfnrt]", masked) is not None
        if not has_escapes and b"%" not in masked:
            return masked
        forms = (
            rf"(?:\\?{re.escape(one)}|(?i:\\u00{ord(one):02x}|%{ord(one):02x}))"
            for one in self._secret
        )
        return re.sub("".join(forms).encode(), MASK, masked)

    def __repr__(self) -> str:
        return "Key(***)"

    def __reduce__(self) -> tuple[Any, ...]:
        return Key.resolve, (self.fingerprint, self.variable)

    @classmethod
    def resolve(cls, fingerprint: str, variable: str) -> Key:
        """Find the key that a pickle refers to.

        Where this process has none, the error comes when the key is used: an error in the middle of
        unpickling takes a pool's worker down, and the pool waits for it for ever.
        """
        secret = cls._known.get(fingerprint) or os.environ.get(variable, "").strip()
        if secret:
            return cls(secret, variable=variable)
        missing = cls.__new__(cls)
        missing._secret, missing._rarest = "", 0  # noqa: SLF001  # its own class
        missing.variable, missing.fingerprint = variable, fingerprint
        return missing
