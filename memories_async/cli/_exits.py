"""Exit codes, and the form in which a command reports an error. Pure, and quick to import."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from attrs import frozen


class Exit(IntEnum):
    """The exit codes of every command."""

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
    (Exit.UNKNOWN, "outcome unknown; may have been charged"),
    (Exit.NO_RESULT, "accepted, but it failed or was not finished in time"),
    (Exit.BUG, "a bug in this program"),
    (Exit.INTERRUPTED, "interrupted (Ctrl-C or SIGTERM)"),
)
"""What `--help` says about exit codes. 141 is the usual code of a program whose reader is gone."""


@frozen(kw_only=True)
class Problem:
    """An error as a command reports it, to a person and to a program."""

    exit: Exit
    kind: str
    """The error's class, or `UsageError`, `Interrupted`, `Bug`."""
    sentence: str
    advice: str = ""
    billed: str = "no"
    facts: dict[str, Any] | None = None
    """More fields for the JSON document."""

    def line(self) -> str:
        """Write the error, what it cost and the advice in one line."""
        if self.exit in {Exit.USAGE, Exit.BUG} or self.kind == "Interrupted":
            cost = "" if self.sentence.endswith("?") else "."
        else:
            costs = {"no": "nothing was charged", "maybe": "it may have been charged"}
            cost = f"; {costs.get(self.billed, 'it was charged')}."
        return f"{self.sentence}{cost} {self.advice}".rstrip()

    def document(self) -> dict[str, Any]:
        """Build the JSON document."""
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
