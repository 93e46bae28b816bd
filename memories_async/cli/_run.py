"""One run of the command: its name, its flags and its screen. Quick to import."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import click
from attrs import define

from memories_async.cli._exits import Exit, Problem

if TYPE_CHECKING:
    from memories_async.cli._screen import Screen


@define(eq=False, kw_only=True)
class CommandRun:
    """What all commands share; click passes it to each of them (see `pass_run`)."""

    name: str = "memories-async"
    """The command's name, which stands before an error."""
    json: bool = False
    debug: bool = False
    account: str | None = None
    """The value of `--account`."""
    paid_note: str = ""
    """What was charged and not yet shown; an interrupt reports it."""
    resume_command: str = ""
    """The command that continues waiting for it."""
    in_flight: str | None = None
    """The billed call whose request was sent and is not yet answered."""

    @cached_property
    def screen(self) -> Screen:
        """Where the command writes."""
        from memories_async.cli._screen import Screen

        return Screen(json=self.json)

    def describe_interrupt(self) -> Problem:
        """Describe an interrupt, and what it may have cost."""
        sentence, advice, billed = "interrupted", "", "no"
        if self.in_flight is not None:
            sentence += f" while {self.in_flight} was in flight; it may have been charged"
            advice = "Check the account's usage before running it again."
            billed = "maybe"
        elif self.paid_note:
            sentence += f"; {self.paid_note}"
            advice = f"Continue with: {self.resume_command}" if self.resume_command else ""
            billed = "yes"
        return Problem(
            exit=Exit.INTERRUPTED,
            kind="Interrupted",
            sentence=sentence,
            advice=advice,
            billed=billed,
        )


pass_run = click.make_pass_decorator(CommandRun)
"""Passes the `CommandRun` to a command as its first argument."""
