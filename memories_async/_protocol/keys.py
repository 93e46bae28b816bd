"""API keys: they can be used, never seen."""

from __future__ import annotations

import hashlib
import os
import re
from typing import Any, ClassVar

KEY_VARIABLE = "MEMORIES_API_KEY"
CAPTION_KEY_VARIABLE = "MEMORIES_CAPTION_API_KEY"
ENGINE_KEY_VARIABLE = "MEMORIES_ENGINE_API_KEY"
"""For the vision model behind the embedded service; no key of memories.ai."""


class Key:
    """An API key that cannot be printed. Pickled, it is a reference, resolved where it arrives.

    The other process finds the key itself if it is a fork of this one, or in the environment
    variable that *variable* names.
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
        """A hash that tells keys apart and gives none away."""
        self._known[self.fingerprint] = secret

    def reveal(self) -> str:
        """Return the key, for the one header that needs it."""
        return self._secret

    def __repr__(self) -> str:
        return "Key(***)"

    def __reduce__(self) -> tuple[Any, ...]:
        return _resolved, (self.fingerprint, self.variable)

    @classmethod
    def resolve(cls, fingerprint: str, variable: str) -> Key:
        """Find the key that a pickle refers to."""
        secret = cls._known.get(fingerprint) or os.environ.get(variable)
        if secret is None:
            raise ValueError(
                f"the API key does not travel inside a pickle: set {variable} in this process"
            )
        return cls(secret, variable=variable)


def _resolved(fingerprint: str, variable: str) -> Key:
    return Key.resolve(fingerprint, variable)


def find_key(given: str | None, *variables: str) -> Key | None:
    """Take the key that was *given*, or the first of the environment *variables* that is set."""
    if given is not None:
        return Key(given, variable=variables[0])
    found = next((name for name in variables if os.environ.get(name)), None)
    return Key(os.environ[found], variable=found) if found else None
