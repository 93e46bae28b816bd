"""How do the SDKs that people know fare beside this one? Writes its tables into README.md.

Needs the peers, newest versions, in an environment of their own: `nox -s peers`. Each measure of each
peer runs in a process of its own, against a server in another. A peer that is not installed is said
so in the table. Names as arguments leave the others out, and the tables are then only printed.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
import re
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import _harness as harness
from _peers import PEERS

PAGE = Path(__file__).with_name("README.md")
MARKED = re.compile(r"(<!-- peers: begin[^>]*-->\n).*(<!-- peers: end -->)", re.DOTALL)
WAITING = ("lost", "crowd")
"""Measures that count requests and wait: three peers at a time."""
WORKING = ("cpu", "imports", "upload", "life", "secret")
LIMIT = 300.0

Found = dict[str, dict[str, Any]]


async def measure(peer: str, one: str, found: Found) -> None:
    """Take one measure in a new process; what fails is told on stderr and shown as a dash."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "_peers.measures", peer, one),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=PAGE.parent,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), LIMIT)
    except TimeoutError:
        process.kill()
        out, err = b"", b"timed out"
    if process.returncode == 0:
        found[peer][one] = json.loads(out)
    print(peer, one, found[peer].get(one) or err.decode()[-400:], file=sys.stderr, flush=True)


async def measure_all(peers: list[str]) -> Found:
    """Take every measure of *peers*."""
    found: Found = {peer: {} for peer in peers}
    slots = asyncio.Semaphore(3)

    async def one_of_three(peer: str, one: str) -> None:
        async with slots:
            await measure(peer, one, found)

    # The longest first.
    await asyncio.gather(*(one_of_three(p, one) for one in WAITING[::-1] for p in peers[::-1]))
    for one in WORKING:
        for peer in filter(is_default, peers):
            await measure(peer, one, found)
    return found


def is_default(peer: str) -> bool:
    """Tell whether every measure is taken of *peer*."""
    return PEERS[peer].is_default


def version(peer: str) -> str | None:
    """Return the version of *peer*, or None where it is not installed."""
    try:
        return metadata.version(PEERS[peer].package)
    except metadata.PackageNotFoundError:
        return None


def money_row(peer: str, seen: dict[str, Any]) -> list[str]:
    """Fill a row of the first table."""
    lost, crowd = seen.get("lost"), seen.get("crowd")
    return [
        peer if PEERS[peer].name else f"{peer} {version(peer)}",
        " / ".join(str(lost[mode]) for mode in ("drop", "500", "cut")) if lost else "-",
        ("yes" if lost["tells"] else "no") if lost else "-",
        f"{crowd['succeeded']} of 30" if crowd else "-",
        f"{crowd['requests']:.1f}" if crowd else "-",
        f"{crowd['seconds']:.0f}" if crowd else "-",
    ]


def machine_row(peer: str, seen: dict[str, Any]) -> list[str]:
    """Fill a row of the second table."""
    upload, life, secret = seen.get("upload"), seen.get("life"), seen.get("secret")
    places = [place for place, is_there in (secret or {}).items() if is_there]
    works = [
        (("yes" if life[part] else "no") if life else "-")
        for part in ("loops", "fork", "client", "error")
    ]
    return [
        peer,
        f"{seen['cpu']['ratio']:.1f}" if "cpu" in seen else "-",
        f"{seen['imports']['ratio']:.1f}" if "imports" in seen else "-",
        f"{upload['mb']:.1f}" if upload else "-",
        f"{upload['stall']:.1f}" if upload else "-",
        *works,
        (", ".join(places) or "nowhere") if secret is not None else "-",
    ]


MONEY = (
    "peer",
    "requests after a lost reply: dropped / 500 / cut",
    "error tells the bill",
    *("30 at once, 1 a second", "requests a call", "seconds"),
)
MACHINE = (
    *("peer", "CPU of a call", "import", "20 MB: extra MB", "stall, ms"),
    *("three event loops", "after a fork", "client pickles", "error pickles", "key shows"),
)


def table(names: tuple[str, ...], rows: list[list[str]]) -> str:
    """Write one table."""
    lines = [names, tuple("---" for _ in names), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def tell(found: Found, missing: list[str]) -> str:
    """Write what stands between the markers of the page."""
    today = dt.datetime.now(tz=dt.UTC).date()
    about = f"{today:%d %B %Y}, Python {sys.version.split()[0]}, {harness._machine()} at the end."
    left_out = f"\n\nNot installed: {', '.join(missing)}." if missing else ""
    return "\n\n".join(
        (
            about.lstrip("0") + left_out,
            table(MONEY, [money_row(peer, seen) for peer, seen in found.items()]),
            table(MACHINE, [machine_row(peer, found[peer]) for peer in filter(is_default, found)]),
        )
    )


def main(chosen: list[str]) -> None:
    """Measure, print, and write the page."""
    peers = [peer for peer in PEERS if not chosen or peer in chosen]
    installed = [peer for peer in peers if version(peer)]
    found = asyncio.run(measure_all(installed))
    text = tell(found, [peer for peer in peers if peer not in installed])
    print(text)
    if not chosen:
        page = PAGE.read_text()
        PAGE.write_text(MARKED.sub(lambda m: f"{m[1]}\n{text}\n\n{m[2]}", page))


if __name__ == "__main__":
    main(sys.argv[1:])
