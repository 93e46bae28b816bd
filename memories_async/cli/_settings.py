"""The settings of a client, read from the environment."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import attrs
import click
import platformdirs
from attrs import field, frozen

from memories_async import Client, FileLimiter, Hosts, Limit, Limits, Policy
from memories_async._protocol.keys import (
    CAPTION_KEY_VARIABLE,
    ENGINE_KEY_VARIABLE,
    KEY_VARIABLE,
    Key,
)
from memories_async._protocol.network import is_loopback
from memories_async._protocol.reply import Host
from memories_async.limiter import RateLimiter, in_process
from memories_async.limiter._choice import LIMITER_VARIABLE, limiter_from_environment

T = TypeVar("T")

HOSTS = {
    "search": "MEMORIES_V1_BASE_URL",
    "captions": "MEMORIES_CAPTION_BASE_URL",
    "embeddings": "MEMORIES_V2_BASE_URL",
}
POLICY = {
    "attempts": "MEMORIES_ATTEMPTS",
    "deadline": "MEMORIES_DEADLINE",
    "timeout": "MEMORIES_TIMEOUT",
    "connect_timeout": "MEMORIES_CONNECT_TIMEOUT",
}
RATES = {family.name: f"MEMORIES_{family.name.upper()}_RATE" for family in attrs.fields(Limits)}
PROXY, CA, CACHE = "MEMORIES_PROXY", "MEMORIES_CA_FILE", "MEMORIES_CACHE"
KNOWN = frozenset(
    {
        *(
            KEY_VARIABLE,
            CAPTION_KEY_VARIABLE,
            LIMITER_VARIABLE,
            PROXY,
            CA,
            CACHE,
            ENGINE_KEY_VARIABLE,
        ),
        *(*HOSTS.values(), *POLICY.values(), *RATES.values()),
    }
)
"""Every variable that has an effect."""


@frozen(kw_only=True)
class Configuration:
    """The settings of a client; checked, but nothing is opened."""

    given: Mapping[str, str] = field(repr=False)
    """The environment, without the variables that are empty."""
    hosts: Hosts
    policy: Policy
    limits: Limits
    limiter: RateLimiter
    proxy: str | None = field(repr=False)
    ca: str | None

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ) -> Configuration:
        """Read the variables. Raises a usage error that names the first wrong one."""
        given = {name: value.strip() for name, value in environment.items() if value.strip()}
        hosts = build_value(Hosts, HOSTS, given, str)
        with blame_variable(LIMITER_VARIABLE):
            is_chosen = LIMITER_VARIABLE in given
            limiter = limiter_from_environment(given) if is_chosen else share_limiter(hosts)
        return cls(
            given=given,
            hosts=hosts,
            policy=build_value(Policy, POLICY, given, parse_seconds),
            limits=build_value(Limits, RATES, given, parse_limit),
            limiter=limiter,
            proxy=read_variable(PROXY, given, parse_proxy),
            ca=read_variable(CA, given, parse_file),
        )

    def client(self, host: Host, **settings: Any) -> Client:
        """Make a client that has a key for *host*."""
        if self.key(host) is None:
            raise click.UsageError(
                f"no API key: set {KEY_VARIABLE} in the environment; "
                "`memories-async demo` needs none"
            )
        return Client(
            api_key=self.given.get(KEY_VARIABLE),
            caption_api_key=self.given.get(CAPTION_KEY_VARIABLE),
            hosts=self.hosts,
            policy=self.policy,
            limits=self.limits,
            limiter=self.limiter,
            proxy=self.proxy,
            ssl=self.ca,
            **settings,
        )

    def key(self, host: Host) -> Key | None:
        """Return the key for *host*, if there is one."""
        own = CAPTION_KEY_VARIABLE if host is Host.CAPTIONS else KEY_VARIABLE
        variable = own if own in self.given else KEY_VARIABLE
        return read_variable(variable, self.given, lambda secret: Key(secret, variable=variable))


def share_limiter(hosts: Hosts) -> RateLimiter:
    """Return the limiter that all commands of the user share, since a shell's loop runs many.

    A service on this machine is an embedded one or a test: it gets a limiter of this process, and
    so does every service where the user's folder cannot be written.
    """
    urls = (hosts.search, hosts.captions, hosts.embeddings)
    if any(is_loopback(urlsplit(url).hostname or "") for url in urls):
        return in_process
    try:
        folder = platformdirs.user_state_path("memories_async")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        limiter = FileLimiter(folder / "command.limiter")
    except (OSError, NotImplementedError):
        return in_process
    return limiter if os.access(folder, os.W_OK | os.X_OK) else in_process


@contextmanager
def blame_variable(variable: str) -> Generator[None]:
    """Turn an error about a variable's value into a usage error that names the variable."""
    try:
        yield
    except (ImportError, NotImplementedError, TypeError, ValueError) as error:
        raise click.UsageError(f"{variable}: {error}") from error


def read_variable(variable: str, given: Mapping[str, str], parse: Callable[[str], T]) -> T | None:
    """Parse a variable; None where it is not set."""
    if variable not in given:
        return None
    with blame_variable(variable):
        return parse(given[variable])


def build_value(
    build: Callable[..., T],
    variables: Mapping[str, str],
    given: Mapping[str, str],
    parse: Callable[[str], Any],
) -> T:
    """Build a value from the variables that are set, one after the other to blame the wrong one."""
    changes: dict[str, Any] = {}
    for name, variable in variables.items():
        if variable in given:
            with blame_variable(variable):
                changes[name] = parse(given[variable])
                build(**changes)
    return build(**changes)


def parse_number(text: str) -> float:
    """Parse a number, keeping integers."""
    try:
        return int(text) if text.isdecimal() else float(text)
    except ValueError:
        raise ValueError(f"must be a number, not {text!r}") from None


def parse_seconds(text: str) -> float | None:
    """Parse seconds, or `none`."""
    return None if text.lower() == "none" else parse_number(text)


def parse_limit(text: str) -> Limit:
    """Parse `2`, requests a second, or `1/60`, one a minute."""
    rate, _, per = text.partition("/")
    return Limit(parse_number(rate), parse_number(per or "1"))


def parse_proxy(url: str) -> str:
    """Check a proxy's URL, without repeating it: it may contain a password."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("must be a full http or https URL")
    return url


def parse_file(name: str) -> str:
    """Check that a file exists."""
    if not Path(name).is_file():
        raise ValueError(f"no such file: {name}")
    return name
