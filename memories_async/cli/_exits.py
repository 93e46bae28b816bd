"""How a command ends: the exit codes, and what an error means in one line. Pure."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from attrs import frozen

from memories_async._database.file import DatabaseFailed
from memories_async.errors import (
    AuthenticationFailed,
    CallbackTimeout,
    CaptionFailed,
    InsufficientCredits,
    MemoriesError,
    NotSent,
    OutcomeUnknown,
    PermissionDenied,
    ProcessingFailed,
    RateLimited,
    Refused,
    WaitTimeout,
)


class Exit(IntEnum):
    """What the caller of the command is told."""

    DONE = 0
    REFUSED = 1
    USAGE = 2
    NOT_SENT = 3
    UNKNOWN = 4
    NO_RESULT = 5
    BUG = 70
    INTERRUPTED = 130
    BROKEN_PIPE = 141


MEANINGS = (
    (Exit.DONE, "done"),
    (Exit.REFUSED, "refused by the service; not charged"),
    (Exit.USAGE, "wrong argument or setting; nothing was sent"),
    (Exit.NOT_SENT, "no request left this machine; not charged"),
    (Exit.UNKNOWN, "outcome unknown; perhaps charged, and never repeated by itself"),
    (Exit.NO_RESULT, "accepted, but the work on it failed or was not done in time"),
    (Exit.BUG, "a bug in this program"),
    (Exit.INTERRUPTED, "interrupted (Ctrl-C)"),
)
"""What `--help` says of the exit codes. 141 is any Unix tool's: its reader went away."""


@frozen(kw_only=True)
class Problem:
    """One error as a person is told of it, and as a program is."""

    exit: Exit
    kind: str
    """The error's class, or `UsageError`, `Interrupted`, `Bug`."""
    sentence: str
    advice: str = ""
    billed: str = "no"
    facts: dict[str, Any] | None = None
    """What a program may want besides."""

    def line(self) -> str:
        """Everything in one line, the advice last."""
        return f"{self.sentence}{self._money()} {self.advice}".rstrip()

    def document(self) -> dict[str, Any]:
        """The same for `--json`."""
        return {
            "error": {
                "kind": self.kind,
                "message": self.sentence,
                "advice": self.advice,
                "billed": self.billed,
                "exit_code": int(self.exit),
                **(self.facts or {}),
            }
        }

    def _money(self) -> str:
        if self.exit in {Exit.USAGE, Exit.BUG} or self.kind == "Interrupted":
            return "" if self.sentence.endswith("?") else "."
        charged = {"no": "nothing was charged", "maybe": "it may have been charged"}
        return f"; {charged.get(self.billed, 'it was charged')}."


_LABELS = {
    Exit.REFUSED: "refused: ",
    Exit.NOT_SENT: "not sent: ",
    Exit.UNKNOWN: "outcome unknown: ",
}


def problem_of(error: MemoriesError, *, again: str = "") -> Problem:
    """Put what a call came to into words, with what to do: *again* is a command that goes on."""
    sentence = error.message.rstrip(".! ")
    said = [f"status {error.status}" if error.status else "", f"code {error.code or ''}"]
    known = ", ".join(fact for fact in said if fact.strip() not in {"", "code"})
    label = _LABELS.get(_exit(error), "")
    return Problem(
        exit=_exit(error),
        kind=type(error).__name__,
        sentence=f"{label}{sentence} ({known})" if known else f"{label}{sentence}",
        advice=_advice(error, again),
        billed=error.billed,
        facts={
            "call": error.call,
            "status": error.status,
            "code": error.code,
            "attempts": error.attempts,
            "retry_after": error.retry_after,
        },
    )


def _exit(error: MemoriesError) -> Exit:
    match error:
        case Refused():
            return Exit.REFUSED
        case NotSent():
            return Exit.NOT_SENT
        case DatabaseFailed() if error.billed == "no":
            return Exit.USAGE
        case CaptionFailed() | CallbackTimeout() | ProcessingFailed() | WaitTimeout():
            return Exit.NO_RESULT
        case _:
            return Exit.UNKNOWN


def _advice(error: MemoriesError, again: str) -> str:
    match error:
        case AuthenticationFailed():
            return "Check MEMORIES_API_KEY; captions may need MEMORIES_CAPTION_API_KEY."
        case InsufficientCredits():
            return "Add points to the account, then run the same command again."
        case PermissionDenied():
            return "Ask whoever owns the account what its key may do."
        case RateLimited() if error.retry_after:
            return f"Run it again in {error.retry_after:.0f} s."
        case RateLimited():
            return "Run it again later; somebody else may be using the account's rate."
        case NotSent():
            return "`memories-async doctor --ping` tells which host can be reached."
        case CaptionFailed():
            return "The account's book tells whether it was."
        case CallbackTimeout():
            return f"It may still come: {again or 'raise --timeout next time.'}"
        case OutcomeUnknown():
            return "Look at the account before running it again: that may be charged twice."
        case _:
            return ""
