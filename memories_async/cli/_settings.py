"""A client's settings from the environment; the only place that knows the variables' names."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import attrs
import click
from attrs import field, frozen

from memories_async import Client, Hosts, Limit, Limits, Policy
from memories_async._protocol.keys import (
    CAPTION_KEY_VARIABLE,
    ENGINE_KEY_VARIABLE,
    KEY_VARIABLE,
    Key,
)
from memories_async._protocol.reply import Host
from memories_async.cli._own_limiter import own_limiter
from memories_async.limiter._choice import LIMITER_VARIABLE, limiter_from_environment
from memories_async.limiter._in_process import RateLimiter

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
        # Where the tests find their clips.
        "MEMORIES_TEST_VIDEOS",
    }
)
"""Every variable that means something."""


@frozen(kw_only=True)
class Configuration:
    """Everything that the environment says about a client; checked, opening nothing."""

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
        """Read the variables; raise a usage error that names the one that is wrong."""
        given = {name: value.strip() for name, value in environment.items() if value.strip()}
        hosts = _made(Hosts, HOSTS, given, str)
        with blaming(LIMITER_VARIABLE):
            is_chosen = LIMITER_VARIABLE in given
            limiter = limiter_from_environment(given) if is_chosen else own_limiter(hosts, given)
        return cls(
            given=given,
            hosts=hosts,
            policy=_made(Policy, POLICY, given, _seconds),
            limits=_made(Limits, RATES, given, _limit),
            limiter=limiter,
            proxy=_one(PROXY, given, _proxy),
            ca=_one(CA, given, _file),
        )

    def client(self, host: Host, **settings: Any) -> Client:
        """Make a client that can call *host*."""
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
        """Find the key for *host*, if there is one."""
        own = CAPTION_KEY_VARIABLE if host is Host.CAPTIONS else KEY_VARIABLE
        variable = own if own in self.given else KEY_VARIABLE
        return _one(variable, self.given, lambda secret: Key(secret, variable=variable))


@contextmanager
def blaming(variable: str) -> Generator[None]:
    """Turn what is wrong with a variable's value into a usage error that names the variable."""
    try:
        yield
    except (ImportError, NotImplementedError, TypeError, ValueError) as error:
        raise click.UsageError(f"{variable}: {error}") from error


def _one(variable: str, given: Mapping[str, str], read: Callable[[str], T]) -> T | None:
    if variable not in given:
        return None
    with blaming(variable):
        return read(given[variable])


def _made(
    make: Callable[..., T],
    variables: Mapping[str, str],
    given: Mapping[str, str],
    read: Callable[[str], Any],
) -> T:
    """Make a value with the fields that are given, blaming the first variable that is wrong."""
    changes: dict[str, Any] = {}
    for name, variable in variables.items():
        if variable in given:
            with blaming(variable):
                changes[name] = read(given[variable])
                make(**changes)
    return make(**changes)


def _seconds(text: str) -> float | None:
    return None if text.lower() == "none" else _number(text)


def _limit(text: str) -> Limit:
    rate, _, per = text.partition("/")
    return Limit(_number(rate), _number(per or "1"))


def _number(text: str) -> float:
    try:
        return int(text) if text.isdecimal() else float(text)
    except ValueError:
        raise ValueError(f"must be a number, not {text!r}") from None


def _proxy(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        # Not repeated here: the URL may hold a password.
        raise ValueError("must be a full http or https URL")
    return url


def _file(name: str) -> str:
    if not Path(name).is_file():
        raise ValueError(f"no such file: {name}")
    return name
