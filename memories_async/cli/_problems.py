"""The library's errors as exit codes and sentences. Pure."""

from __future__ import annotations

from memories_async._database.file import DatabaseFailed
from memories_async.cli._exits import Exit, Problem
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

_LABELS = {
    Exit.REFUSED: "refused: ",
    Exit.NOT_SENT: "not sent: ",
    Exit.UNKNOWN: "outcome unknown: ",
}


def describe_error(error: MemoriesError, *, resume_command: str = "") -> Problem:
    """Describe *error* with its exit code and advice; *resume_command* continues a wait."""
    code = choose_exit(error)
    sentence = f"{_LABELS.get(code, '')}{error.message.rstrip('.! ')}"
    numbers = [f"status {error.status}"] if error.status else []
    numbers += [f"code {error.code}"] if error.code else []
    return Problem(
        exit=code,
        kind=type(error).__name__,
        sentence=f"{sentence} ({', '.join(numbers)})" if numbers else sentence,
        advice=choose_advice(error, resume_command),
        billed=error.billed,
        facts={
            "call": error.call,
            "status": error.status,
            "code": error.code,
            "attempts": error.attempts,
            "retry_after": error.retry_after,
        },
    )


def choose_exit(error: MemoriesError) -> Exit:
    """Choose the exit code for *error*."""
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


def choose_advice(error: MemoriesError, resume_command: str) -> str:
    """Say what the user can do about *error*; empty where the message says it all."""
    match error:
        case AuthenticationFailed():
            return "Check MEMORIES_API_KEY; captions may need MEMORIES_CAPTION_API_KEY."
        case InsufficientCredits():
            return "Add points to the account, then run the same command again."
        case PermissionDenied():
            return "Ask the owner of the account what this key may do."
        case RateLimited() if error.retry_after:
            return f"Run it again in {error.retry_after:.0f} s."
        case RateLimited():
            return "Run it again later; another program may be using the account's rate."
        case NotSent():
            return "`memories-async doctor --ping` checks which hosts can be reached."
        case CaptionFailed():
            return "The account's usage page shows whether it was."
        case CallbackTimeout():
            return f"It may still arrive: {resume_command or 'use a longer --timeout next time.'}"
        case OutcomeUnknown():
            return "Check the account's usage before running it again: that could be charged twice."
        case _:
            return ""
