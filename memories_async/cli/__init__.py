"""The command `memories-async`: the three calls, the embedded service and a look at the settings.

A command NAME is a module `cli/NAME.py` with a click command called `command`; naming it in
`COMMANDS` registers it. Nothing here imports click or rich before it is known that they are there:
they come with the extra `cli`.

Exit codes: 0 done; 1 refused by the service, not charged; 2 wrong use or settings, nothing sent;
3 not sent, not charged; 4 outcome unknown, perhaps charged; 5 accepted, but no result came;
70 a bug; 130 interrupted.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import NoReturn

COMMANDS = (
    "demo",
    "serve",
    "search",
    "embed",
    "caption",
    "resume",
    "add",
    "videos",
    "batch",
    "ledger",
    "exec",
    "doctor",
)
"""The commands, in the order in which help lists them."""


def main() -> NoReturn:
    """Run the command line of this process, and end with its exit code."""
    missing = [name for name in ("click", "rich") if find_spec(name) is None]
    if missing:
        sys.stderr.write(
            f"memories-async needs {' and '.join(missing)}: pip install 'memories_async[cli]'\n"
        )
        sys.exit(2)
    from memories_async.cli._program import program

    program.main(prog_name="memories-async")


__all__ = ["COMMANDS", "main"]
