"""The command `memories-async`.

A command NAME is the module `cli/NAME.py`, which defines a click command called `command`; the table
`COMMANDS` in `cli/_program.py` registers it. Importing this module imports neither click nor rich:
they belong to the extra `cli`, and `main` says so where they are missing.

Exit codes: 0 done; 1 refused by the service, not charged; 2 wrong argument or setting, nothing sent;
3 not sent, not charged; 4 outcome unknown, may have been charged; 5 accepted, but no result;
70 a bug; 130 interrupted.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line of this process and exit with its exit code."""
    missing = [name for name in ("click", "rich") if find_spec(name) is None]
    if missing:
        sys.stderr.write(
            f"memories-async needs {' and '.join(missing)}: pip install 'memories_async[cli]'\n"
        )
        sys.exit(2)
    from memories_async.cli._program import program

    program.main(prog_name="memories-async")


__all__ = ["main"]
