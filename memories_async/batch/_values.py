"""The values that a batch returns: an item's outcome, the progress, the plan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from attrs import field, frozen

from memories_async._protocol.call import Call
from memories_async._protocol.value import Value, make_plain
from memories_async.errors import Billed

K = TypeVar("K")
T = TypeVar("T")


@frozen(kw_only=True, slots=False)
class Outcome(Value, Generic[K, T]):
    """How one item ended: with an *answer* or an *error*. Of a flow, `upload` tells the upload's part."""

    key: K
    """The item's key, as the caller gave it."""
    call: Call[T] | None
    """What brought the answer or the error: of a flow whose upload failed, the upload. None where the
    item's builder failed."""
    answer: T | None = None
    error: Exception | None = None
    billed: Billed = "no"
    """Whether this run paid for `call`; `maybe` also where an earlier run may have."""
    replayed: bool = False
    """Whether the outcome comes from the ledger and this run sent nothing for `call`."""
    upload: Outcome[K, Any] | None = None
    """How the upload of a flow ended, with its own `answer`, `billed` and `replayed`; None for a call, and
    where the upload is `call` itself."""

    def result(self) -> T:
        """Return the answer, or raise the error."""
        if self.error is not None:
            raise self.error
        return self.answer  # type: ignore[return-value]  # None is an answer where T is None

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain data: the call by its name, an error by its own `to_dict`."""
        return {
            "key": make_plain(self.key),
            "call": None if self.call is None else self.call.name,
            "answer": make_plain(self.answer),
            "error": make_plain(self.error),
            "billed": self.billed,
            "replayed": self.replayed,
            "upload": None if self.upload is None else self.upload.to_dict(),
        }

    @classmethod
    def list_field_types(cls) -> dict[str, tuple[Any, bool]]:
        """Return the types of the fields of `to_dict`."""
        plain = {"key": Any, "call": str | None, "answer": Any, "error": Any, "upload": Any}
        return {
            name: (kind, True) for name, kind in (plain | {"billed": str, "replayed": bool}).items()
        }


@frozen(kw_only=True, slots=False)
class Progress(Value):
    """How many items of a batch have ended, and how."""

    total: int | None = None
    """All items; None where the iterable has no length."""
    done: int = 0
    """Answered by the service in this run."""
    replayed: int = 0
    """Answered from the ledger."""
    refused: int = 0
    unknown: int = 0
    """Sent, now or earlier, without an answer: they may have been paid."""
    unsent: int = 0
    """Failed before anything was sent: safe to run again."""
    in_flight: int = 0
    """Requests being sent now."""
    waiting: int = 0
    """Items of flows whose uploads the service is processing now."""
    elapsed: float = 0.0
    """Seconds since the batch was entered."""
    rate: float = 0.0
    """Items per second that needed a request, over the last minute."""
    seconds_left: float | None = None
    """Estimated from the account's limits and the rate so far, as if every item left needed a request;
    None without a total, and before the first request."""
    points: float | None = None
    """Certainly paid in this run; None where no budget has a price."""
    points_at_risk: float | None = None

    @property
    def finished(self) -> int:
        """Items that have ended."""
        return self.done + self.replayed + self.refused + self.unknown + self.unsent


@frozen(kw_only=True, slots=False)
class Plan(Value):
    """What a batch would send and cost if it were entered now."""

    items: int
    paid: int
    """Answered from the ledger at no cost."""
    unknown: int
    """Sent earlier and perhaps paid: not sent again unless `on_unknown="resend"`."""
    paid_elsewhere: int = 0
    """Paid or perhaps paid under another account's name: not sent, see `PaidElsewhere`."""
    repeated: int
    """Items with the same call as another item: they share its answer."""
    invalid: int
    """Items whose call cannot be built or whose media cannot be read."""
    calls: int
    """Requests that would be sent, uploads of flows included."""
    uploads: int = 0
    """Uploads of flows among them: each file once."""
    by_unit: Mapping[str, int] = field(factory=dict[str, int])
    """Requests that would be billed, by unit."""
    seconds: float
    """The least time that the requests take at the account's limits."""
    points: float | None
    """What the requests would cost; None where no budget has every price."""
