"""What a ledger shows of itself: one entry, and the sums over all. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

from attrs import field, frozen

from memories_async.errors import Billed

State: TypeAlias = Literal["planned", "sending", "done", "refused", "unknown"]
"""`planned`: nothing to pay yet, safe to send. `sending`: a request is out, its process alive.
`done`: paid. `refused`: a complete no, not paid. `unknown`: sent, and nobody knows."""


@frozen(kw_only=True)
class Entry:
    """One call as the ledger knows it. Times are Unix seconds."""

    key: str
    """The call's fingerprint: endpoint, arguments, content of its media, account."""
    item: str | None
    """The key that a batch gave it first, as text."""
    call: str
    """The call's name, such as `clips.search`."""
    asked: str = field(repr=False)
    """Its arguments as JSON; a medium is its type and the hash of its content."""
    account: str
    """A hash of the API key, and the server."""
    unit: str
    """What a success is billed as."""
    state: State
    attempts: int
    """Requests begun on its behalf."""
    billed: Billed
    price: float | None
    """Points for a success, where a budget knew it."""
    planned_at: float
    sent_at: float | None
    """When the last request was begun."""
    ended_at: float | None
    status: int | None
    """The HTTP status of the last reply."""
    message: str | None
    """Why it was refused, or why its outcome is unknown."""
    reply: bytes | None = field(repr=False)
    """The raw body of the reply: of a success, or of one that could not be read."""

    @property
    def cost(self) -> float | None:
        """Points surely paid, where the price is known."""
        return None if self.price is None else self.price * (self.billed == "yes")


@frozen(kw_only=True)
class Summary:
    """How many entries are in each state, and what they cost."""

    planned: int = 0
    sending: int = 0
    done: int = 0
    refused: int = 0
    unknown: int = 0
    attempts: int = 0
    """Requests begun in all."""
    points: float = 0.0
    """Surely paid, as far as prices are known."""
    points_at_risk: float = 0.0
    """Paid in addition, should every unknown outcome have been a success."""
    by_call: Mapping[str, Mapping[State, int]] = field(factory=dict[str, Mapping[State, int]])

    @property
    def total(self) -> int:
        """All entries."""
        return self.planned + self.sending + self.done + self.refused + self.unknown
