"""What can go wrong, and whether it cost anything.

Mistakes in arguments are `ValueError` and `TypeError`, raised when a call is built. Everything that
happens later is a `MemoriesError`, and every one answers the question that matters on a billed
service: *was I charged?* No error ever holds an API key, and all of them pickle.
"""

from __future__ import annotations

import json
from typing import ClassVar, Literal

Billed = Literal["no", "maybe", "yes"]
"""Whether the service charged for a call: never sent or refused, unknown, or answered."""


class MemoriesError(Exception):
    """Base of everything this library raises on purpose after a call was built."""

    default_billed: ClassVar[Billed] = "no"

    def __init__(
        self,
        message: str,
        *,
        call: str = "",
        status: int | None = None,
        code: str | None = None,
        attempts: int = 0,
        billed: Billed | None = None,
        retry_after: float | None = None,
        transient: bool = False,
        body: bytes | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        """The sentence, without the facts that `str()` adds."""
        self.call = call
        """The call's name, such as `clips.search`."""
        self.status = status
        """The HTTP status, if a reply came."""
        self.code = code
        """The service's own code as text, such as `0429`, if the reply had one."""
        self.attempts = attempts
        """How many times a request was begun on behalf of the call."""
        self.billed: Billed = billed or self.default_billed
        """Whether the service charged for the call."""
        self.retry_after = retry_after
        """Seconds that the service asked to wait, if it did."""
        self.transient = transient
        """Whether the same call may fare better later."""
        self.body = body
        """The raw reply of a success that could not be read, so that what was paid is not lost."""

    def __str__(self) -> str:
        facts = [
            f"status {self.status}" if self.status is not None else "",
            f"code {self.code}" if self.code is not None else "",
            f"attempts {self.attempts}" if self.attempts > 1 else "",
            f"billed: {self.billed}",
        ]
        name = f"{self.call}: " if self.call else ""
        return f"{name}{self.message} ({', '.join(fact for fact in facts if fact)})"

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.message, self._facts())

    def to_dict(self) -> dict[str, object]:
        """Return what a program needs of the error as plain data: its class as `type`, and its facts.

        Headers and body of the service's reply are left out: they are for support, not for whoever
        reads the answer of a web application.
        """
        facts = ("message", "call", "status", "code", "attempts", "billed", "retry_after")
        kind = {"type": type(self).__name__}
        return {
            **kind,
            **{name: getattr(self, name) for name in facts},
            "transient": self.transient,
        }

    def to_json(self) -> str:
        """Return `to_dict()` as JSON text."""
        return json.dumps(self.to_dict(), ensure_ascii=False)

    def _facts(self) -> dict[str, object]:
        return {name: value for name, value in vars(self).items() if name != "message"}


def _rebuild(kind: type[MemoriesError], message: str, facts: dict[str, object]) -> MemoriesError:
    error = kind.__new__(kind, message)
    error.args = (message,)
    vars(error).update(facts, message=message)
    return error


class NotSent(MemoriesError):
    """No byte of the request left this process: nothing was asked, nothing was charged."""


class BudgetExceeded(NotSent):
    """The call would have passed a budget; it was not sent."""


class Refused(MemoriesError):
    """The service understood and said no. It charges for successful calls only."""


class InvalidRequest(Refused):
    """The service finds a parameter missing or wrong (400 and its kin, `0001`, `0003`)."""


class AuthenticationFailed(Refused):
    """The API key is not accepted (401, `0401`)."""


class InsufficientCredits(Refused):
    """The account has too few points (402, `0402`)."""


class PermissionDenied(Refused):
    """The account or key may not do this (403, `0403`, `9009`)."""


class Conflict(Refused):
    """The operation was done before (409, `0409`)."""


class RateLimited(Refused):
    """Too many requests for the account (429, `0429`); *retry_after* if the service said so."""


class OutcomeUnknown(MemoriesError):
    """The request left, and no complete, usable answer came back: it may have been charged.

    The service has no idempotency key and no way to look a call up, so sending it again may pay
    twice. Nothing in this library does that unless told to (`Policy(resend_unknown=True)`).
    """

    default_billed: ClassVar[Billed] = "maybe"
    callback: str | None = None
    """Which of a receiver's callbacks may still prove that the call was accepted, and bring its
    result: `receiver.wait(error)`."""


class BadReply(OutcomeUnknown):
    """A reply came that is not what the service's pages promise; *body* keeps it."""


class CaptionFailed(MemoriesError):
    """The service called back to say that captioning failed (`status` -1)."""

    default_billed: ClassVar[Billed] = "maybe"


class CallbackTimeout(MemoriesError):
    """No callback came in time; the task may still be running and its callback still arrive."""

    default_billed: ClassVar[Billed] = "maybe"


class ProcessingFailed(MemoriesError):
    """The service could not process an upload; the message has its reason."""

    default_billed: ClassVar[Billed] = "maybe"


class WaitTimeout(MemoriesError):
    """What was waited for is not ready yet; waiting can go on later, in any process."""


def add_context(error: MemoriesError, *, call: str, attempts: int) -> MemoriesError:
    """Tell *error* which call it belongs to and how many requests that call has begun."""
    error.call, error.attempts = call, attempts
    return error


__all__ = [
    "AuthenticationFailed",
    "BadReply",
    "Billed",
    "BudgetExceeded",
    "CallbackTimeout",
    "CaptionFailed",
    "Conflict",
    "InsufficientCredits",
    "InvalidRequest",
    "MemoriesError",
    "NotSent",
    "OutcomeUnknown",
    "PermissionDenied",
    "ProcessingFailed",
    "RateLimited",
    "Refused",
    "WaitTimeout",
]
