"""The settings that environment variables give: one table, and one reader for clients and commands."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies_environment, proxy_bypass

from attrs import fields, frozen

from memories_async._client.settings import ALLOW_HTTP_VARIABLE, Hosts
from memories_async._protocol.keys import (
    ACCOUNT_VARIABLE,
    CAPTION_KEY_VARIABLE,
    ENGINE_KEY_VARIABLE,
    KEY_VARIABLE,
    Key,
    explain_missing_key,
)
from memories_async._protocol.network import is_loopback
from memories_async._protocol.reply import Host
from memories_async.limiter import LIMITER_VARIABLE, Limit, Limits, parse_limiter

T = TypeVar("T")


def parse_number(text: str) -> float:
    """Parse a number; an integer stays one."""
    try:
        return int(text) if text.isdecimal() else float(text)
    except ValueError:
        raise ValueError(f"must be a number, not {text!r}") from None


def parse_seconds(text: str) -> float | None:
    """Parse seconds, or `none`."""
    return None if text.lower() == "none" else parse_number(text)


def parse_limit(text: str) -> Limit:
    """Parse `2`, requests in a second, or `1/60`, one in a minute."""
    rate, _, per = text.partition("/")
    return Limit(parse_number(rate), parse_number(per or "1"))


def parse_proxy(url: str) -> str:
    """Check a proxy's URL. No error repeats it: it may hold a password."""
    try:
        parts = urlsplit(url)
        is_url = bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets that do not match, a port that is none
        parts, is_url = SplitResult("", "", "", "", ""), False
    if parts.scheme.startswith("socks"):
        raise ValueError("must be an http or https proxy: SOCKS is not supported")
    if parts.scheme not in {"http", "https"} or not is_url:
        raise ValueError("must be a full URL such as http://proxy.example:3128")
    return url


def parse_log_level(name: str) -> int:
    """Parse the name of a level of the log."""
    levels = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING}
    if name.lower() not in levels:
        raise ValueError(f"must be debug, info or warning, not {name!r}")
    return levels[name.lower()]


def parse_transport(name: str) -> str:
    """Check the name of a transport."""
    if name not in {"direct", "reference"}:
        raise ValueError(f"must be direct or reference, not {name!r}")
    return name


def parse_file(name: str) -> str:
    """Check that a file exists."""
    if not Path(name).is_file():
        raise ValueError(f"no such file: {name}")
    return name


@frozen
class Variable:
    """An environment variable that has an effect."""

    name: str
    setting: str
    """What it sets: an option of `Client`, such as `proxy`, or a field of one: `policy.deadline`."""
    parse: Callable[[str], Any]
    meaning: str


VARIABLES: tuple[Variable, ...] = (
    Variable(KEY_VARIABLE, "api_key", str, "the API key"),
    Variable(CAPTION_KEY_VARIABLE, "caption_api_key", str, "another key for the caption host"),
    Variable(ACCOUNT_VARIABLE, "account", str, "the account's name, for ledger and limiter"),
    Variable("MEMORIES_V1_BASE_URL", "hosts.search", str, "base URL of search and the library"),
    Variable("MEMORIES_CAPTION_BASE_URL", "hosts.captions", str, "base URL of captions"),
    Variable("MEMORIES_V2_BASE_URL", "hosts.embeddings", str, "base URL of embeddings and assets"),
    Variable(ALLOW_HTTP_VARIABLE, "", str, "1 allows plain http to other machines"),
    Variable("MEMORIES_ATTEMPTS", "policy.attempts", parse_number, "requests at most for a call"),
    Variable("MEMORIES_DEADLINE", "policy.deadline", parse_seconds, "seconds for a whole call"),
    Variable("MEMORIES_TIMEOUT", "policy.timeout", parse_number, "seconds of silence"),
    Variable(
        "MEMORIES_CONNECT_TIMEOUT", "policy.connect_timeout", parse_number, "seconds to connect"
    ),
    *(
        Variable(
            f"MEMORIES_{family.name.upper()}_RATE",
            f"limits.{family.name}",
            parse_limit,
            f"rate of the family {family.name}: 2 (in a second) or 1/60 (in a minute)",
        )
        for family in fields(Limits)
    ),
    Variable(
        LIMITER_VARIABLE, "limiter", parse_limiter, "who shares the rate: process, file, redis"
    ),
    Variable("MEMORIES_PROXY", "proxy", parse_proxy, "URL of an http or https proxy"),
    Variable("MEMORIES_CA_FILE", "ssl", parse_file, "certificates to trust in addition"),
    Variable(
        "MEMORIES_TRANSPORT", "transport", parse_transport, "direct, or reference: by aiohttp"
    ),
    Variable(
        "MEMORIES_LOG", "log", parse_log_level, "debug, info or warning: log to standard error"
    ),
    Variable("MEMORIES_CACHE", "", str, "folder of the embedded service's video indexes"),
    Variable(ENGINE_KEY_VARIABLE, "", str, "key of the embedded service's vision model"),
)
BY_SETTING: Mapping[str, Variable] = {one.setting: one for one in VARIABLES if one.setting}


def find_variables(prefix: str) -> dict[str, str]:
    """Map the fields of `hosts`, `policy` or `limits` to the variables that set them."""
    return {
        setting.removeprefix(f"{prefix}."): variable.name
        for setting, variable in BY_SETTING.items()
        if setting.startswith(f"{prefix}.")
    }


@frozen
class EnvironmentSettings:
    """What the environment says about a client. A variable is checked when its setting is read."""

    given: Mapping[str, str]
    """The variables that are set and not empty, without surrounding white space."""

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ) -> EnvironmentSettings:
        """Read the variables of the table."""
        texts = {one.name: environment.get(one.name, "").strip() for one in VARIABLES}
        return cls({name: text for name, text in texts.items() if text})

    def get(self, setting: str) -> Any:
        """Return a setting, or None; raise `ValueError` naming the variable that is wrong."""
        variable = BY_SETTING[setting]
        if variable.name not in self.given:
            return None
        return _blame(variable.name, lambda: variable.parse(self.given[variable.name]))

    def build(self, kind: Callable[..., T], prefix: str) -> T:
        """Build a `Hosts`, `Policy` or `Limits` from the variables of its fields."""
        changes: dict[str, Any] = {}
        for field, name in find_variables(prefix).items():
            if name in self.given:
                changes[field] = self.get(f"{prefix}.{field}")
                # Built after each, so that the error names the variable that is wrong.
                _blame(name, lambda: kind(**changes))
        return kind(**changes)

    def find_key(self, given: str | None, setting: str) -> Key | None:
        """Return the key that was *given* as an argument, else the variable's, else None."""
        name = BY_SETTING[setting].name
        if given is not None:
            if not isinstance(given, str):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers may be untyped
                raise TypeError(f"{setting} must be a str, not {type(given).__name__}")
            if not given.strip():
                raise ValueError(
                    f"{setting} is empty: pass the key, or leave it out and set {name}"
                )
            return Key(given.strip(), variable=name)
        secret = self.get(setting)
        return None if secret is None else _blame(name, lambda: Key(secret, variable=name))

    def find_keys(self, api_key: str | None, caption_api_key: str | None) -> tuple[Key | None, Key]:
        """Return the key, and the key for the caption host; raise `ValueError` if there is none."""
        key = self.find_key(api_key, "api_key")
        caption_key = self.find_key(caption_api_key, "caption_api_key") or key
        if caption_key is None:
            raise ValueError(explain_missing_key(f"pass api_key= or set {KEY_VARIABLE}"))
        return key, caption_key

    def find_proxies(self, given: str | None, hosts: Hosts) -> dict[Host, str]:
        """Return the proxy for each host: the one *given*, else the variable's, else the system's.

        `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` never apply to this machine.
        """
        explicit = _blame("proxy", lambda: parse_proxy(given)) if given else self.get("proxy")
        found = {host: explicit or _find_system_proxy(hosts.of(host)) for host in Host}
        return {host: proxy for host, proxy in found.items() if proxy is not None}


def _find_system_proxy(url: str) -> str | None:
    parts, proxies = urlsplit(url), getproxies_environment()
    name = parts.scheme if parts.scheme in proxies else "all"
    if is_loopback(parts.hostname or "") or name not in proxies or proxy_bypass(parts.netloc):
        return None
    proxy = proxies[name]
    return _blame(
        f"{name.upper()}_PROXY", lambda: parse_proxy(proxy if "://" in proxy else f"http://{proxy}")
    )


def _blame(name: str, build: Callable[[], T]) -> T:
    """Call *build*; an error begins with the *name* of the variable or option that is wrong."""
    try:
        return build()
    except (ImportError, NotImplementedError, TypeError, ValueError) as error:
        kind = ValueError if isinstance(error, ValueError) else type(error)
        raise kind(f"{name}: {str(error).removeprefix(name).strip()}") from error
