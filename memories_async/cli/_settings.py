"""The settings of a client, read from the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import click
from attrs import field, frozen

from memories_async import Client, Hosts, Limits, Policy
from memories_async._client.configuration import VARIABLES, EnvironmentSettings, find_variables
from memories_async._protocol.keys import (
    CAPTION_KEY_VARIABLE,
    KEY_VARIABLE,
    Key,
    explain_missing_key,
)
from memories_async._protocol.network import is_loopback
from memories_async._protocol.reply import Host
from memories_async.limiter import RateLimiter, find_default, in_process

HOSTS = find_variables("hosts")
POLICY = find_variables("policy")
RATES = find_variables("limits")
PROXY, CA, CACHE = "MEMORIES_PROXY", "MEMORIES_CA_FILE", "MEMORIES_CACHE"
LOG = "MEMORIES_LOG"
KNOWN = frozenset(one.name for one in VARIABLES)
"""Every variable that has an effect."""


@frozen(kw_only=True)
class Configuration:
    """The settings of a client; checked, but nothing is opened."""

    given: Mapping[str, str] = field(repr=False)
    """The environment, without the variables that are empty."""
    account: str | None
    hosts: Hosts
    policy: Policy
    limits: Limits
    limiter: RateLimiter
    proxies: Mapping[Host, str] = field(repr=False)
    """The proxy for each host that has one; a URL may hold a password."""
    ca: str | None

    @classmethod
    def read(
        cls, account: str | None = None, environment: Mapping[str, str] = os.environ
    ) -> Configuration:
        """Read the variables; *account* beats its own. Raises a usage error for a wrong one."""
        given = {name: value.strip() for name, value in environment.items() if value.strip()}
        variables = EnvironmentSettings.read(given)
        try:
            hosts = variables.build(Hosts, "hosts")
            return cls(
                given=given,
                account=account or variables.get("account"),
                hosts=hosts,
                policy=variables.build(Policy, "policy"),
                limits=variables.build(Limits, "limits"),
                limiter=variables.get("limiter") or choose_limiter(hosts),
                proxies=variables.find_proxies(None, hosts),
                ca=variables.get("ssl"),
            )
        except (ImportError, NotImplementedError, TypeError, ValueError) as error:
            raise click.UsageError(str(error)) from error

    def client(self, host: Host, **settings: Any) -> Client:
        """Make a client that has a key for *host*."""
        if self.key(host) is None:
            raise click.UsageError(
                explain_missing_key(
                    f"set {KEY_VARIABLE} in the environment; `memories-async demo` needs none"
                )
            )
        return Client(
            api_key=self.given.get(KEY_VARIABLE),
            caption_api_key=self.given.get(CAPTION_KEY_VARIABLE),
            account=self.account,
            hosts=self.hosts,
            policy=self.policy,
            limits=self.limits,
            limiter=self.limiter,
            ssl=self.ca,
            **settings,
        )

    def key(self, host: Host) -> Key | None:
        """Return the key for *host*, if there is one."""
        variables = EnvironmentSettings.read(self.given)
        try:
            own = variables.find_key(None, "caption_api_key") if host is Host.CAPTIONS else None
            return own or variables.find_key(None, "api_key")
        except ValueError as error:
            raise click.UsageError(str(error)) from error


def choose_limiter(hosts: Hosts) -> RateLimiter:
    """Return the limiter that all programs of the user share, since a shell's loop runs many.

    A service on this machine is an embedded one or a test: it gets a limiter of this process.
    """
    urls = (hosts.search, hosts.captions, hosts.embeddings)
    is_local = any(is_loopback(urlsplit(url).hostname or "") for url in urls)
    return in_process if is_local else find_default()
