"""What does the client say where a connection breaks at a byte? Judged by the server's own count.

A proxy cuts, stalls or resets the connection at every byte of the heads of request and reply, and at
a sample of bytes of their bodies, over both transports. `--quick` samples the heads as well; without
it, the figures are written into README.md.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
import re
import sys
from pathlib import Path

import _harness as harness

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "helpers"))

from byte_faults import KINDS, build_calls, sweep

PAGE = Path(__file__).with_name("README.md")
MARKED = re.compile(r"(<!-- faults: begin[^>]*-->\n).*(<!-- faults: end -->)", re.DOTALL)
PROBLEMS = ("billed wrong", "repeated after sending", "outcome misjudged")
HEADINGS = ("call", "transport", "cases", "answered", "unknown", *PROBLEMS)


async def main() -> None:
    """Try, print a line for each call and transport, and write the page."""
    quick = harness.quick(__doc__)
    step, in_body = (31, 4) if quick else (1, 32)
    rows: list[tuple[str, ...]] = []
    for transport in ("direct", "reference"):
        os.environ["MEMORIES_TRANSPORT"] = transport
        for name, (call, answer) in build_calls(film_size=1_500_000).items():
            cases = await sweep(call, answer, step=step, in_body=in_body)
            outcomes = [case.billed for case, _ in cases]
            found = [problem for _, problem in cases if problem]
            for case, problem in cases:
                if problem:
                    print(f"{name}, {transport}, {case.fault}: {problem}", file=sys.stderr)
            counts = [len(cases), outcomes.count("yes"), outcomes.count("maybe")]
            counts += [found.count(problem) for problem in PROBLEMS]
            rows.append((name, transport, *(f"{n:,}" for n in counts)))
            print(json.dumps(dict(zip(HEADINGS, rows[-1], strict=True))), flush=True)
    if not quick:
        write(rows)


def write(rows: list[tuple[str, ...]]) -> None:
    """Replace what stands between the markers of the page."""
    today = f"{dt.datetime.now(tz=dt.UTC).date():%d %B %Y}".lstrip("0")
    about = f"{today}, aiohttp {harness._versions()['aiohttp']}; {', '.join(KINDS)}."
    lines = [HEADINGS, tuple("---" for _ in HEADINGS), *rows]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    page = PAGE.read_text()
    PAGE.write_text(MARKED.sub(lambda m: f"{m[1]}\n{about}\n\n{table}\n\n{m[2]}", page))


if __name__ == "__main__":
    asyncio.run(main())
