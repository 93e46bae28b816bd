"""When a batch waits instead of failing items, and when it stops: decided from the items' outcomes."""

from __future__ import annotations

import asyncio
import re
from typing import Any

from attrs import define, field

from memories_async._database.file import DatabaseFailed
from memories_async.batch._values import Outcome
from memories_async.errors import (
    AuthenticationFailed,
    BudgetExceeded,
    InsufficientCredits,
    MemoriesError,
    OutcomeUnknown,
    PermissionDenied,
    Refused,
)

PATIENCE = 900.0
"""Seconds without a reply after which items fail."""
LONGEST = 30.0
"""The longest wait between two tries, in seconds."""
REFUSALS = 20
"""Items in a row with one general refusal, and with none answered, after which a batch stops."""
STOPPING = (
    AuthenticationFailed,
    InsufficientCredits,
    PermissionDenied,
    BudgetExceeded,
    DatabaseFailed,
)
"""An item that ends in one of these shows what is wrong with every other item, too."""
_ID = re.compile(r"\b[0-9a-f-]{13,}\b|\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d[.,Z+:\d]*", re.IGNORECASE)
"""A request id, such as a UUID, or a time."""


@define(eq=False)
class CircuitBreaker:
    """Whether the service can be reached, as all workers of a batch see it together."""

    _was_reached: bool = field(default=False, init=False)
    _open_since: float | None = field(default=None, init=False)

    def close(self) -> None:
        """Note that a reply came."""
        self._was_reached, self._open_since = True, None

    async def wait(self) -> bool:
        """Wait a while after a call that could not be sent; False where the item should fail.

        An item fails at once where the service was never reached: its host is more likely
        misspelt than away.
        """
        now = asyncio.get_running_loop().time()
        if self._open_since is None:
            self._open_since = now
        lasted = now - self._open_since
        if not self._was_reached or lasted > PATIENCE:
            return False
        await asyncio.sleep(min(max(lasted, 1.0), LONGEST))
        return True


@define(eq=False)
class FaultDetector:
    """Tells from the outcomes of a batch whether every other item would fail as well."""

    _count: int = field(default=0, init=False)
    """Items in a row with the same general refusal; -1 once an item was answered."""
    _last: tuple[object, ...] = field(default=(), init=False)

    def is_hopeless(self, outcome: Outcome[Any, Any]) -> bool:
        """Take in *outcome*; return whether the batch should stop."""
        error = outcome.error
        if outcome.replayed:
            return False  # an earlier run's: it says nothing about the service now
        if error is None:
            self._count = -1  # the account is fine: a refusal is the item's own
        elif self._count >= 0 and isinstance(error, MemoriesError) and _is_general(error):
            words = (error.status, error.code, _drop_ids(error.message, outcome))
            self._count, self._last = self._count + 1 if words == self._last else 1, words
        return isinstance(error, STOPPING) or self._count >= REFUSALS


def _is_general(error: MemoriesError) -> bool:
    """Tell whether *error* may be about the account or the address, and not about the item.

    The caption host refuses a wrong key by the code -1, which has no documented meaning. A server
    that answers with a page instead of JSON is not the service.
    """
    if type(error) is Refused:
        return True
    is_json = (error.body or b"{").lstrip().startswith((b"{", b"["))
    return isinstance(error, Refused | OutcomeUnknown) and error.code is None and not is_json


def _drop_ids(words: str, outcome: Outcome[Any, Any]) -> str:
    """Replace the ids and times by which a service numbers its replies; ids of the call itself stay."""
    asked = "" if outcome.call is None else str(outcome.call)
    return _ID.sub(lambda found: found[0] if found[0] in asked else "#", words)
