"""The values that a ledger returns: an entry, and the sums over all entries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

from attrs import field, frozen

from memories_async._protocol.value import Value
from memories_async.errors import Billed

State: TypeAlias = Literal["planned", "sending", "done", "refused", "unknown"]
"""`planned`: nothing was paid, safe to send. `sending`: a live process is sending it. `done`: paid.
`refused`: refused by the service, not paid. `unknown`: sent, and its outcome is not known."""


@frozen(kw_only=True, slots=False)
class Entry(Value):
    """One call in the ledger. Times are Unix seconds."""

    key: str
    """The call's fingerprint: endpoint, arguments, content of its media, account."""
    item: str | None
    """The key that a batch first gave the call, as text."""
    call: str
    """The call's name, such as `clips.search`."""
    asked: str = field(repr=False)
    """The arguments as JSON; a file is its type and the hash of its content."""
    account: str
    """A hash of the API key, and the server."""
    unit: str
    """What a success is billed as."""
    state: State
    attempts: int
    """Requests begun."""
    billed: Billed
    price: float | None
    """Points for a success, where a budget had the price."""
    planned_at: float
    sent_at: float | None
    """When the last request began."""
    ended_at: float | None
    status: int | None
    """The HTTP status of the last reply."""
    message: str | None
    """Why it was refused, or why its outcome is unknown."""
    reply: bytes | None = field(repr=False)
    """The raw body of a success, or of a reply that could not be read."""

    @property
    def cost(self) -> float | None:
        """Points certainly paid, where the price is known."""
        return None if self.price is None else self.price * (self.billed == "yes")


@frozen(kw_only=True, slots=False)
class Summary(Value):
    """How many entries are in each state, and what they cost."""

    planned: int = 0
    sending: int = 0
    done: int = 0
    refused: int = 0
    unknown: int = 0
    attempts: int = 0
    """All requests begun."""
    points: float = 0.0
    """Points certainly paid, as far as prices are known."""
    points_at_risk: float = 0.0
    """Points paid in addition if every unknown call succeeded."""
    unpriced: int = 0
    """Paid or unknown calls whose price is not known: `points` leaves them out."""
    by_call: Mapping[str, Mapping[State, int]] = field(factory=dict[str, Mapping[State, int]])
    by_account: Mapping[str, int] = field(factory=dict[str, int])
    """Entries of each account: its name, or a hash of key and host."""

    @property
    def total(self) -> int:
        """The number of entries."""
        return self.planned + self.sending + self.done + self.refused + self.unknown
