"""The settings that a client uses, where each came from, and what is wrong with them. Pure."""

from __future__ import annotations

import difflib
import ssl
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

import attrs
from attrs import frozen

from memories_async import Policy
from memories_async._protocol.keys import (
    ACCOUNT_VARIABLE,
    CAPTION_KEY_VARIABLE,
    KEY_VARIABLE,
    explain_missing_key,
)
from memories_async._protocol.network import hide_credentials
from memories_async._protocol.reply import Host
from memories_async.cli._settings import CA, HOSTS, KNOWN, LOG, POLICY, PROXY, RATES, Configuration
from memories_async.limiter import LIMITER_VARIABLE, LimiterStatus


@frozen
class Finding:
    """One setting."""

    name: str
    value: str
    variable: str | None = None
    """The environment variable that sets it, if there is one."""
    given: bool = False
    """Whether the variable is set."""

    @property
    def origin(self) -> str:
        """Where the value came from, and the variable that changes it."""
        if self.given:
            return str(self.variable)
        return "" if self.variable is None else f"default ({self.variable})"


@runtime_checkable
class _HasStatus(Protocol):
    """A limiter that reports its store and its buckets."""

    def describe(self) -> LimiterStatus: ...


def find_keys(configuration: Configuration) -> Iterator[Finding]:
    """Report which key each host gets, by its fingerprint."""
    for name, host in (("search, embeddings", Host.SEARCH), ("captions", Host.CAPTIONS)):
        key = configuration.key(host)
        if key is None:
            yield Finding(name, "none", KEY_VARIABLE)
        else:
            # With the fingerprint, the keys of two machines can be compared.
            value = f"set (fingerprint {key.fingerprint[:8]})"
            yield Finding(name, value, key.variable, given=True)
    account = configuration.account
    is_given = account is not None
    yield Finding("account", account or "hash of key and host", ACCOUNT_VARIABLE, is_given)


def find_hosts(configuration: Configuration) -> Iterator[Finding]:
    """Report the hosts."""
    for name, variable in HOSTS.items():
        url = getattr(configuration.hosts, name)
        yield Finding(name, url, variable, variable in configuration.given)


def find_limits(configuration: Configuration) -> Iterator[Finding]:
    """Report the rate and concurrency of each family of endpoints."""
    for name, variable in RATES.items():
        limit = configuration.limits.of(name)
        rate = f"{limit.rate:g} in {limit.per:g} s, {limit.concurrency} at once"
        yield Finding(name, rate, variable, variable in configuration.given)


def find_limiter(configuration: Configuration, *, ask: bool) -> Iterator[Finding]:
    """Report the limiter's store and its buckets; a server is asked only with *ask*."""
    limiter, given = configuration.limiter, LIMITER_VARIABLE in configuration.given
    name = configuration.given.get(LIMITER_VARIABLE, "process")
    is_remote = not name.startswith(("process", "file"))
    if not isinstance(limiter, _HasStatus) or (is_remote and not ask):
        yield Finding("store", f"{limiter!r}, not asked without --ping", LIMITER_VARIABLE, given)
        return
    status = limiter.describe()
    place = (
        status.where if status.where.startswith(status.store) else f"{status.store}, {status.where}"
    )
    yield Finding("store", place, LIMITER_VARIABLE, given)
    yield Finding("shared by", status.shared_by)
    if status.fault is not None:
        yield Finding("fault", status.fault)
    keys = (configuration.key(host) for host in (Host.SEARCH, Host.CAPTIONS))
    own = {configuration.account, *(key.fingerprint for key in keys if key is not None)}
    idle = 0
    for bucket in status.buckets:
        is_active = bucket.wait > 0 or bucket.busy or bucket.waiting or bucket.slowness > 1
        if not is_active and bucket.account.partition("@")[0] not in own:
            idle += 1
            continue
        state = (
            f"next permit in {bucket.wait:.1f} s, {bucket.busy} in flight, {bucket.waiting} waiting"
        )
        slowed = f", {bucket.slowness:.1f} times slower" if bucket.slowness > 1 else ""
        yield Finding(f"{bucket.family} {bucket.account[:8]}", f"{state}{slowed}")
    if idle:
        yield Finding("idle", f"{idle:,} of other accounts")


def find_policy(configuration: Configuration) -> Iterator[Finding]:
    """Report timeouts, retries and backoff."""
    for name in (one.name for one in attrs.fields(Policy)):
        value = getattr(configuration.policy, name)
        if value is None:
            shown = "none"
        elif isinstance(value, bool):
            shown = "yes" if value else "no"
        else:
            shown = f"{value:g}" if name == "attempts" else f"{value:g} s"
        variable = POLICY.get(name)
        yield Finding(name, shown, variable, variable in configuration.given)


def find_network(configuration: Configuration) -> Iterator[Finding]:
    """Report TLS, certificates and the proxy, without its password."""
    paths = ssl.get_default_verify_paths()
    trusted = configuration.ca or paths.cafile or paths.capath or "nothing is trusted"
    origins = [name for name in (CA, paths.openssl_cafile_env) if name in configuration.given]
    yield Finding("TLS", ssl.OPENSSL_VERSION)
    yield Finding("certificates", trusted, origins[0] if origins else CA, bool(origins))
    # The clients read HTTPS_PROXY and its like where the variable of ours is not set.
    is_given = PROXY in configuration.given
    origin = PROXY if is_given or not configuration.proxies else "HTTPS_PROXY, HTTP_PROXY, NO_PROXY"
    shown = {host.value: hide_credentials(url) for host, url in configuration.proxies.items()}
    if len(set(shown.values())) == 1 and len(shown) == len(Host):
        yield Finding("proxy", shown[Host.SEARCH.value], origin, given=True)
    else:
        text = ", ".join(f"{name}: {url}" for name, url in shown.items())
        yield Finding("proxy", text or "none", origin, bool(shown))


def find_log(configuration: Configuration) -> Iterator[Finding]:
    """Report from which level on the log is shown."""
    level = configuration.given.get(LOG)
    yield Finding("level", level or "as the program sets it", LOG, level is not None)


def find_problems(configuration: Configuration) -> Iterator[str]:
    """Report what keeps calls from being sent."""
    if configuration.key(Host.CAPTIONS) is None:
        missing = explain_missing_key(f"set {KEY_VARIABLE}")
        yield f"There is {missing}. (memories-async demo needs none.)"
    elif configuration.key(Host.SEARCH) is None:
        yield f"Only captions have a key ({CAPTION_KEY_VARIABLE}): set {KEY_VARIABLE} too."


def find_remarks(environment: Mapping[str, str]) -> Iterator[str]:
    """Report variables that have no effect."""
    for name in sorted(environment):
        if name.startswith("MEMORIES_") and name not in KNOWN:
            near = difflib.get_close_matches(name, KNOWN, n=1, cutoff=0.8)
            hint = f"; did you mean {near[0]}?" if near else "."
            yield f"{name} is set and has no effect{hint}"


def build_document(findings: Iterable[Finding]) -> dict[str, Any]:
    """Build the part of the JSON document for *findings*."""
    return {
        one.name: {"value": one.value, "variable": one.variable, "given": one.given}
        for one in findings
    }
