"""`memories-async doctor`: the settings in force, where each came from, and what is installed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator

import click
from attrs import asdict

from memories_async._client.hosts import Hosts
from memories_async.cli import _findings
from memories_async.cli._exits import Exit
from memories_async.cli._findings import Finding
from memories_async.cli._installed import extras, versions
from memories_async.cli._options import common
from memories_async.cli._ping import Echo, ping
from memories_async.cli._run import Run, pass_run
from memories_async.cli._settings import HOSTS, Configuration

_EXAMPLES = """\
\b
Examples:
  memories-async doctor
  memories-async doctor --ping
  memories-async doctor --json | jq .policy.deadline
\b
It ends with 0 if calls can be sent, 2 if a setting is missing, 3 if --ping did not reach a host.
"""
_SECTIONS: dict[str, Callable[[Configuration], Iterator[Finding]]] = {
    "keys": _findings.keys,
    "hosts": _findings.hosts,
    "limits": _findings.limits,
    "policy": _findings.policy,
    "network": _findings.network,
}


@click.command(epilog=_EXAMPLES)
@click.option("--ping", "pinging", is_flag=True, help="Connect to each host; no request is sent.")
@common
@pass_run
def command(run: Run, *, pinging: bool) -> int:
    """Show the settings in force and where each came from.

    Nothing is sent, and nothing is charged. With --ping each host is connected to, and TLS spoken.
    """
    configuration = Configuration.read()
    sections = {name: tuple(look(configuration)) for name, look in _SECTIONS.items()}
    sections["limiter"] = tuple(_findings.limiter(configuration, ask=pinging))
    echoes = asyncio.run(_ping(configuration)) if pinging else {}
    problems = tuple(_findings.problems(configuration))
    remarks = tuple(_findings.remarks(configuration.given))
    run.screen.document(
        {
            "versions": versions(),
            "extras": extras(),
            **{name: _findings.document(iter(found)) for name, found in sections.items()},
            "ping": {url: asdict(echo) for url, echo in echoes.items()},
            "problems": problems,
            "remarks": remarks,
        }
    )
    _show(run, sections, echoes)
    reached = all(echo.ok for echo in echoes.values())
    _conclude(run, (*problems, *remarks), ready=reached and not problems)
    if problems:
        return Exit.USAGE
    return Exit.DONE if reached else Exit.NOT_SENT


async def _ping(configuration: Configuration) -> dict[str, Echo]:
    urls = [configuration.proxy] if configuration.proxy else _urls(configuration.hosts)
    echoes = await asyncio.gather(*(ping(url, ca=configuration.ca) for url in urls))
    # A proxy's URL may hold a password.
    names = ["the proxy"] if configuration.proxy else urls
    return dict(zip(names, echoes, strict=True))


def _urls(hosts: Hosts) -> list[str]:
    return list(dict.fromkeys(getattr(hosts, name) for name in HOSTS))


def _show(run: Run, sections: dict[str, tuple[Finding, ...]], echoes: dict[str, Echo]) -> None:
    _section(run, "versions", versions().items())
    missing = "not installed: pip install 'memories_async[{}]'"
    installed = ((name, found or missing.format(name)) for name, found in extras().items())
    _section(run, "extras", installed)
    for title, found in sections.items():
        run.screen.say(f"\n{title}", style="bold")
        rows = [(one.name, one.value, one.origin) for one in found]
        run.screen.table((), rows, indent=2, dim_first=True)
    pings = (
        (url, f"{echo.told}, {echo.seconds * 1000:.0f} ms" if echo.ok else f"failed: {echo.told}")
        for url, echo in echoes.items()
    )
    _section(run, "ping", pings)


def _section(run: Run, title: str, pairs: Iterable[tuple[str, str]]) -> None:
    rows = tuple(pairs)
    if rows:
        run.screen.say(title if title == "versions" else f"\n{title}", style="bold")
        run.screen.facts(rows, indent=2)


def _conclude(run: Run, sentences: tuple[str, ...], *, ready: bool) -> None:
    run.screen.say()
    for sentence in sentences:
        run.screen.say(sentence, style="yellow")
    if ready:
        run.screen.say("Calls can be sent.", style="green")
