"""A group of commands, which shows its help where none of them is named."""

from __future__ import annotations

import click


class Group(click.Group):
    """Named alone, it teaches; click would make an error of that, its help in one line."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments, or ask for help where there are none."""
        return super().parse_args(ctx, args or ["--help"])
