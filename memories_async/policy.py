"""When to try again. Pure: no clock, no sleep, no random source reached from inside."""

from __future__ import annotations

from typing import Any, TypedDict

from attrs import Attribute, field, frozen

from memories_async._protocol.arguments import COUNT, PAUSE, SECONDS
from memories_async._protocol.call import Call
from memories_async.errors import BadReply, MemoriesError, OutcomeUnknown, RateLimited


def _check_flag(_: object, attribute: Attribute[bool], value: object) -> None:
    if not isinstance(value, bool):
        raise TypeError(f"{attribute.name} must be True or False, not {value!r}")


class PolicyChanges(TypedDict, total=False):
    """What `with_policy` may change; see `Policy`."""

    attempts: int
    deadline: float | None
    timeout: float
    connect_timeout: float
    backoff: float
    max_backoff: float
    max_retry_after: float
    resend_unknown: bool


@frozen(kw_only=True)
class Policy:
    """How long to try, and what may be sent again. Times are in seconds.

    * *deadline* is for the whole call: the wait for the rate, all attempts, and the pauses between
      them. None waits without end.
    * *timeout* is for silence: from the last byte of a request to its reply, and between two parts of
      an upload.
    * *connect_timeout* is for reaching the host: name, connection and TLS.
    * *attempts* is the number of requests at most for one call, the first one included. A request
      that is refused for the rate does not count.
    * *backoff* is the pause before the first repeat; it doubles with each further one, up to
      *max_backoff*. Each pause is shortened at random, so that callers do not repeat together.
    * *max_retry_after*: where the service asks for a longer pause, the call fails at once.
    * *resend_unknown* sends a call again whose outcome is unknown, which may pay for it twice.

    `Client(policy=Policy(deadline=60))` sets it for a client, `client.with_policy(deadline=5)` for
    some calls.
    """

    attempts: int = field(default=4, validator=COUNT)
    """Requests at most for one call, not counting those refused for their rate."""
    deadline: float | None = field(default=600.0, validator=SECONDS.or_none())
    """Seconds for the whole call: permits, attempts and waits. None waits without end."""
    timeout: float = field(default=120.0, validator=SECONDS)
    """Seconds of silence: for the answer since the last byte went out, and between upload chunks."""
    connect_timeout: float = field(default=15.0, validator=SECONDS)
    """Seconds to reach the host: name, connection and TLS."""
    backoff: float = field(default=0.5, validator=PAUSE)
    """Seconds before the first repeat; doubled for each further one."""
    max_backoff: float = field(default=32.0, validator=PAUSE)
    """Seconds between two attempts at most, as the service's rate page advises."""
    max_retry_after: float = field(default=120.0, validator=PAUSE)
    """A longer `Retry-After` is not waited for: the call gives up and says the time."""
    resend_unknown: bool = field(default=False, validator=_check_flag)
    """Send again where the outcome is unknown: may pay twice. Never on by itself."""

    def wait_after(
        self, error: MemoriesError, call: Call[Any], attempt: int, *, jitter: float = 1.0
    ) -> float | None:
        """Seconds to wait before trying *call* again, or None to give up.

        *attempt* counts from 1; rate limits have their own count, for they cost no attempt.
        *jitter* is a number from 0 to 1 that spreads the waits of many callers.
        """
        if not self._may_repeat(error, call):
            return None
        if isinstance(error, RateLimited):
            # Words may be wrong about a billed call: they are believed once.
            if error.is_inferred and attempt > 1:
                return None
        elif attempt >= self.attempts:
            return None
        if error.retry_after is None:
            return self._compute_backoff(attempt, jitter)
        return error.retry_after if error.retry_after <= self.max_retry_after else None

    def _may_repeat(self, error: MemoriesError, call: Call[Any]) -> bool:
        if isinstance(error, OutcomeUnknown):
            free = call.is_free and call.repeatable
            # An unreadable success was paid for once already: a repeat would be unreadable too.
            return (free or self.resend_unknown) and not isinstance(error, BadReply)
        return error.transient

    def _compute_backoff(self, attempt: int, jitter: float) -> float:
        longest = min(self.max_backoff, self.backoff * 2.0 ** min(attempt - 1, 30))
        return longest * (0.5 + 0.5 * jitter)
