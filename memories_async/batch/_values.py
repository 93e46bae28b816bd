"""What a batch tells: one item's outcome, how far it has got, and what it would do. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, TypeVar

from attrs import field, frozen

from memories_async._protocol.call import Call
from memories_async.errors import Billed

K = TypeVar("K")
T = TypeVar("T")


@frozen(kw_only=True)
class Outcome(Generic[K, T]):
    """What became of one item: an *answer* or an *error*."""

    key: K
    """The item's own key, as it was given to the batch."""
    call: Call[T]
    answer: T | None = None
    error: Exception | None = None
    billed: Billed = "no"
    """Whether this run paid for the item; `maybe` too where an earlier one may have."""
    replayed: bool = False
    """Whether it comes from the ledger, and nothing was sent for it now."""

    def result(self) -> T:
        """Return the answer, or raise the error."""
        if self.error is not None:
            raise self.error
        return self.answer  # type: ignore[return-value]  # None is an answer where T is None


@frozen(kw_only=True)
class Progress:
    """How far a batch has got. Counts are of items."""

    total: int | None = None
    """None where the calls do not say how many they are."""
    done: int = 0
    """Answered by the service in this run."""
    replayed: int = 0
    """Answered from the ledger."""
    refused: int = 0
    unknown: int = 0
    """Sent, now or earlier, without an answer: perhaps paid."""
    unsent: int = 0
    """Ended by an error before anything was sent: safe to run again."""
    in_flight: int = 0
    """Requests out at this moment."""
    elapsed: float = 0.0
    """Seconds since the batch was entered."""
    rate: float = 0.0
    """Items a second that needed a request, over the last minute."""
    seconds_left: float | None = None
    """At the account's limits, if the rest is like what came so far; None without a total."""
    points: float | None = None
    """Surely paid in this run; None where no budget knows a price."""
    points_at_risk: float | None = None

    @property
    def finished(self) -> int:
        """Items that have their outcome."""
        return self.done + self.replayed + self.refused + self.unknown + self.unsent


@frozen(kw_only=True)
class Plan:
    """What a batch would do if it were entered now."""

    items: int
    paid: int
    """Answered from the ledger, for nothing."""
    unknown: int
    """Sent earlier, perhaps paid: parked, unless `on_unknown="resend"`."""
    repeated: int
    """Items that ask the same as another one: they share its answer."""
    invalid: int
    """Items whose media cannot be read."""
    calls: int
    """Requests that would be sent."""
    by_unit: Mapping[str, int] = field(factory=dict[str, int])
    """Those that would be billed, by unit."""
    seconds: float
    """The least time they take at the account's limits."""
    points: float | None
    """What they would cost; None where no budget knows every price."""
