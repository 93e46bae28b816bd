"""API keys: they can be used, and never appear in a repr, a log or a pickle."""

from __future__ import annotations

import hashlib
import os
import re
from typing import Any, ClassVar

KEY_VARIABLE = "MEMORIES_API_KEY"
CAPTION_KEY_VARIABLE = "MEMORIES_CAPTION_API_KEY"
ACCOUNT_VARIABLE = "MEMORIES_ACCOUNT"
ENGINE_KEY_VARIABLE = "MEMORIES_ENGINE_API_KEY"
"""The key of the vision model behind the embedded service; not a key of memories.ai."""


class Key:
    """An API key that cannot be printed. Its pickle holds a reference instead of the key.

    The process that loads the pickle finds the key in its memory if it is a fork of this one, and
    otherwise in the environment variable *variable*.
    """

    __slots__ = ("_secret", "fingerprint", "variable")
    _known: ClassVar[dict[str, str]] = {}

    def __init__(self, secret: str, *, variable: str) -> None:
        if not re.fullmatch(r"[\x21-\x7e]+", secret):
            raise ValueError(
                "an API key must be printable ASCII without spaces; pass it bare, without 'Bearer'"
            )
        self._secret = secret
        self.variable: str = variable
        digest = hashlib.blake2b(secret.encode(), digest_size=12, person=b"memories-account")
        self.fingerprint: str = digest.hexdigest()
        """A hash that identifies the key and does not reveal it."""
        self._known[self.fingerprint] = secret

    def reveal(self) -> str:
        """Return the key, for the Authorization header."""
        return self._secret

    def __repr__(self) -> str:
        return "Key(***)"

    def __reduce__(self) -> tuple[Any, ...]:
        return Key.resolve, (self.fingerprint, self.variable)

    @classmethod
    def resolve(cls, fingerprint: str, variable: str) -> Key:
        """Find the key that a pickle refers to; raise `ValueError` if this process has none."""
        secret = cls._known.get(fingerprint) or os.environ.get(variable, "").strip()
        if not secret:
            raise ValueError(
                f"an API key is not stored in a pickle: set {variable} in this process"
            )
        return cls(secret, variable=variable)
