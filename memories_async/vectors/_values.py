"""The values that comparing vectors returns. Pure."""

from __future__ import annotations

from attrs import frozen

from memories_async._protocol.value import Value


@frozen(slots=False)
class Neighbour(Value):
    """A vector near to another."""

    key: str
    cosine: float
    """From -1 to 1; 1 is the same direction. Rounded to 6 digits after the point."""
