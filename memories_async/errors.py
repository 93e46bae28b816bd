"""The errors of this library; each one says whether the call was billed.

A mistake in an argument is a `ValueError` or `TypeError`, raised when the call is built. Whatever
happens later is a `MemoriesError`, whose `billed` is `no`, `maybe` or `yes`. No error holds an API
key, and every error can be pickled.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import ClassVar, Literal

Billed = Literal["no", "maybe", "yes"]
"""Whether the service charged for a call: `no` if it was not sent or was refused, `maybe` if the
outcome is unknown, `yes` if it was answered."""


class MemoriesError(Exception):
    """Base of the errors that this library raises after a call was built.

    * *billed*: whether the service charged for the call: `no`, `maybe` or `yes`.
    * *message*: what happened. `str(error)` adds the call, the status and what was billed.
    * *call*, *attempts*: the call's name, such as `clips.search`, and how many requests it started.
    * *status*, *code*: the HTTP status of the reply and the service's own code; None without one.
    * *transient*: whether the same call may succeed later. *retry_after*: after how many seconds,
      where the service said so.
    * *headers*, *body*: of the reply, for a support request; *headers* has the request id.
    * *tag*: the caller's own id of a caption.
    """

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
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        """What happened, without the facts that `str()` adds."""
        self.call = call
        """The call's name, such as `clips.search`."""
        self.status = status
        """The HTTP status of the reply, if there was one."""
        self.code = code
        """The service's code as text, such as `0429`, if the reply had one."""
        self.attempts = attempts
        """How many requests the call has started, repeats included."""
        self.billed: Billed = billed or self.default_billed
        """Whether the service charged for the call."""
        self.tag: str | None = None
        """The caller's own id of the call, if it was given one; see `captions.upload`."""
        self.retry_after = retry_after
        """Seconds that the service asked the client to wait, if it did."""
        self.transient = transient
        """Whether the same call may succeed later."""
        self.headers: dict[str, str] = dict(headers or {})
        """The headers of the reply, their names in lower case; empty if there was no reply."""
        self.body = body
        """The body of the reply, if there was one: whole where it may be a paid answer, and otherwise
        its first 64 KB."""

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
        return _rebuild, (type(self), vars(self).copy())

    def to_dict(self) -> dict[str, object]:
        """Return the error as plain data: its class as `type`, and its attributes.

        The headers and the body of the reply are left out. They are for a support request, not for
        the answer of a web application.
        """
        names = ("message", "call", "tag", "status", "code", "attempts", "billed", "retry_after")
        return {
            "type": type(self).__name__,
            **{name: getattr(self, name) for name in names},
            "transient": self.transient,
        }

    def to_json(self) -> str:
        """Return `to_dict()` as JSON text."""
        return json.dumps(self.to_dict(), ensure_ascii=False)


def _rebuild(kind: type[MemoriesError], attributes: dict[str, object]) -> MemoriesError:
    error = kind.__new__(kind, attributes["message"])
    vars(error).update(attributes)
    return error


class NotSent(MemoriesError):
    """No byte of the request was sent, so nothing was billed. The call can be repeated."""


class BudgetExceeded(NotSent):
    """The call would have exceeded a budget, so it was not sent."""


class PaidElsewhere(NotSent):
    """The ledger holds the same call as paid, or as perhaps paid, under another account's name.

    It was not sent. Where both names mean one account, as after a change of the API key,
    `ledger.rename_account` brings the entries over; `client.send(call, fresh=True)` pays again.
    """


class Refused(MemoriesError):
    """The service refused the call. It bills successful calls only (memories.ai docs, "Pricing")."""


class InvalidRequest(Refused):
    """A parameter is missing or wrong (status 400, 404, 405, 410, 413, 415 or 422; code `0001` or `0003`)."""


class AuthenticationFailed(Refused):
    """The API key is not accepted (status 401, code `0401`)."""


class InsufficientCredits(Refused):
    """The account has too few points (status 402, code `0402`)."""


class PermissionDenied(Refused):
    """The account or the key has no permission (status 403, code `0403` or `9009`)."""


class Conflict(Refused):
    """The operation was done before (status 409, code `0409`)."""


class RateLimited(Refused):
    """The account sent too many requests (status 429, code `0429`); see `retry_after`."""

    is_inferred: bool = False
    """Whether only the words of the reply say so. Such a refusal is repeated once at most."""


class OutcomeUnknown(MemoriesError):
    """The request was sent, and no complete, usable answer came back: unless it is free, it may be billed.

    The service has no idempotency key and no way to look a call up, so a repeat may pay twice. This
    library repeats a billed call in this case only with `Policy(resend_unknown=True)`.
    """

    default_billed: ClassVar[Billed] = "maybe"
    callback: str | None = None
    """The receiver's callback that may still bring the result: `receiver.wait(error)`."""


class BadReply(OutcomeUnknown):
    """The reply is not what the service's documentation describes; `body` holds it."""


class CaptionFailed(MemoriesError):
    """The service reported by callback that captioning failed (`status` -1)."""

    default_billed: ClassVar[Billed] = "maybe"


class CallbackTimeout(MemoriesError):
    """No callback came in time. The task may still run, and its callback may still arrive."""

    default_billed: ClassVar[Billed] = "maybe"


class ProcessingFailed(MemoriesError):
    """The service could not process an upload; the message gives its reason."""

    default_billed: ClassVar[Billed] = "maybe"


class UnclearUpload(MemoriesError):
    """Several videos of the library may be the file that is looked for: the caller must choose."""

    candidates: tuple[str, ...] = ()
    """Their `video_no`."""


class WaitTimeout(MemoriesError):
    """The upload is not ready yet. Waiting for it can go on later, in any process."""


def add_context(error: MemoriesError, *, call: str, attempts: int) -> MemoriesError:
    """Set the name of the call and the number of its requests on *error*; return it."""
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
    "PaidElsewhere",
    "PermissionDenied",
    "ProcessingFailed",
    "RateLimited",
    "Refused",
    "UnclearUpload",
    "WaitTimeout",
]
