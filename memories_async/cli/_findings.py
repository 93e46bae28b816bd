"""The settings in force and where each came from, and what is wrong with them. Pure."""

from __future__ import annotations

import difflib
import ssl
from collections.abc import Iterator, Mapping
from typing import Any, Protocol, runtime_checkable
from urllib.parse import urlsplit

import attrs
from attrs import frozen

from memories_async import Policy
from memories_async._protocol.keys import CAPTION_KEY_VARIABLE, KEY_VARIABLE
from memories_async._protocol.reply import Host
from memories_async.cli._settings import CA, HOSTS, KNOWN, POLICY, PROXY, RATES, Configuration
from memories_async.limiter._choice import LIMITER_VARIABLE
from memories_async.limiter._in_process import LimiterStatus


@frozen
class Finding:
    """One setting."""

    name: str
    value: str
    variable: str | None = None
    """The environment variable that sets it, if there is one."""
    given: bool = False
    """Whether the environment did."""

    @property
    def origin(self) -> str:
        """Where the value came from, and how to change it."""
        if self.given:
            return str(self.variable)
        return "" if self.variable is None else f"default ({self.variable})"


@runtime_checkable
class _Described(Protocol):
    """A limiter that tells what is in force."""

    def describe(self) -> LimiterStatus: ...


def keys(configuration: Configuration) -> Iterator[Finding]:
    """Tell which key each host gets, without telling the key."""
    for name, host in (("search, embeddings", Host.SEARCH), ("captions", Host.CAPTIONS)):
        key = configuration.key(host)
        if key is None:
            yield Finding(name, "none", KEY_VARIABLE)
        else:
            # A hash, so that two machines can be compared.
            yield Finding(
                name, f"set (fingerprint {key.fingerprint[:8]})", key.variable, given=True
            )


def hosts(configuration: Configuration) -> Iterator[Finding]:
    """Tell where calls go."""
    for name, variable in HOSTS.items():
        url = getattr(configuration.hosts, name)
        yield Finding(name, url, variable, variable in configuration.given)


def limits(configuration: Configuration) -> Iterator[Finding]:
    """Tell how fast this program asks."""
    for name, variable in RATES.items():
        limit = configuration.limits.of(name)
        rate = f"{limit.rate:g} in {limit.per:g} s, {limit.concurrency} at once"
        yield Finding(name, rate, variable, variable in configuration.given)


def limiter(configuration: Configuration, *, ask: bool) -> Iterator[Finding]:
    """Tell who keeps the limiter; what a server knows of it only if it may be asked."""
    kept, given = configuration.limiter, LIMITER_VARIABLE in configuration.given
    remote = not configuration.given.get(LIMITER_VARIABLE, "process").startswith(
        ("process", "file:")
    )
    if not isinstance(kept, _Described) or (remote and not ask):
        yield Finding("store", f"{kept!r}, not asked without --ping", LIMITER_VARIABLE, given)
        return
    known = kept.describe()
    yield Finding("store", f"{known.store}, {known.where}", LIMITER_VARIABLE, given)
    yield Finding("shared by", known.shared_by)
    if known.fault is not None:
        yield Finding("fault", known.fault)
    for bucket in known.buckets:
        state = f"next turn in {bucket.wait:.1f} s, {bucket.busy} at work, {bucket.waiting} in line"
        slowed = f", {bucket.slowness:.1f} times slower" if bucket.slowness > 1 else ""
        yield Finding(f"{bucket.family} {bucket.account[:8]}", f"{state}{slowed}")


def policy(configuration: Configuration) -> Iterator[Finding]:
    """Tell how long calls are tried, and what is sent again."""
    for name in (one.name for one in attrs.fields(Policy)):
        value = getattr(configuration.policy, name)
        variable = POLICY.get(name)
        yield Finding(name, _shown(name, value), variable, variable in configuration.given)


def network(configuration: Configuration) -> Iterator[Finding]:
    """Tell how connections are made."""
    paths = ssl.get_default_verify_paths()
    trusted = configuration.ca or paths.cafile or paths.capath or "nothing is trusted"
    told = [name for name in (CA, paths.openssl_cafile_env) if name in configuration.given]
    yield Finding("TLS", ssl.OPENSSL_VERSION)
    yield Finding("certificates", trusted, told[0] if told else CA, bool(told))
    proxy = _without_password(configuration.proxy)
    yield Finding("proxy", proxy, PROXY, configuration.proxy is not None)


def problems(configuration: Configuration) -> Iterator[str]:
    """Tell what keeps calls from being sent."""
    if configuration.key(Host.CAPTIONS) is None:
        yield f"There is no API key: set {KEY_VARIABLE}. (memories-async demo needs none.)"
    elif configuration.key(Host.SEARCH) is None:
        yield f"Only captions have a key ({CAPTION_KEY_VARIABLE}): set {KEY_VARIABLE} too."


def remarks(environment: Mapping[str, str]) -> Iterator[str]:
    """Tell what is probably not meant so."""
    for name in sorted(environment):
        if name.startswith("MEMORIES_") and name not in KNOWN:
            near = difflib.get_close_matches(name, KNOWN, n=1, cutoff=0.8)
            hint = f"; did you mean {near[0]}?" if near else "."
            yield f"{name} is set and means nothing here{hint}"
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        if name in environment and PROXY not in environment:
            yield f"{name} is set and not used: set {PROXY} to go through a proxy."
            return


def _shown(name: str, value: float | None) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if name == "attempts" else f"{value:g} s"


def _without_password(url: str | None) -> str:
    if url is None:
        return "none"
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{'***@' if '@' in parts.netloc else ''}{place}"


def document(findings: Iterator[Finding]) -> dict[str, Any]:
    """Lay findings out for a program."""
    return {
        one.name: {"value": one.value, "variable": one.variable, "given": one.given}
        for one in findings
    }
