"""A paid answer that could not be read, kept for its owner."""

from __future__ import annotations

import os
import tempfile


def kept(body: bytes) -> str:
    """Put *body* into a file that only its owner can read, and say where."""
    number, name = tempfile.mkstemp(prefix="memories-async-reply-", suffix=".json")
    with os.fdopen(number, "wb") as file:
        file.write(body)
    return f"the reply, which was paid, is kept in {name}"
