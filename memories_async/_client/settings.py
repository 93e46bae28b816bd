"""A client's settings: checked when it is constructed, pickled without keys."""

from __future__ import annotations

import os
import re
import ssl as tls
from collections.abc import Iterable, Mapping
from importlib import import_module
from logging import INFO
from typing import TYPE_CHECKING, Any

from attrs import Attribute, evolve, field, fields, frozen

from memories_async._protocol.arguments import check_type
from memories_async._protocol.call import Call
from memories_async._protocol.keys import KEY_VARIABLE, Key
from memories_async._protocol.network import is_cleartext, split_base_url
from memories_async._protocol.reply import Host, Reply
from memories_async.budget import Budget
from memories_async.errors import MemoriesError
from memories_async.events import Observer, log, logger
from memories_async.limiter import Bucket, Limits, Priority, RateLimiter
from memories_async.policy import Policy

if TYPE_CHECKING:
    from memories_async.ledger import Ledger
    from memories_async.receiver import Receiver

ALLOW_HTTP_VARIABLE = "MEMORIES_ALLOW_HTTP"
ESCAPE = "surrogateescape"
"""How header values that are no UTF-8 survive being read as text."""


def _convert_base_url(url: str) -> str:
    """Check a base URL, and strip the API path that older settings carry."""
    is_allowed = os.environ.get(ALLOW_HTTP_VARIABLE, "").strip() == "1"
    if is_cleartext(split_base_url(url, what="a host")) and not is_allowed:
        raise ValueError(
            f"{url!r} would send your API key in the clear: use https, or set "
            f"{ALLOW_HTTP_VARIABLE}=1 where nobody else is on that network"
        )
    return re.sub(r"/serve/api/v[12]$", "", url.rstrip("/"))


@frozen(kw_only=True)
class Hosts:
    """The base URLs of the service's three APIs.

    They begin with https. Plain http is for this machine only, or where `MEMORIES_ALLOW_HTTP=1`.
    """

    search: str = field(default="https://api.memories.ai", converter=_convert_base_url)
    captions: str = field(default="https://security.memories.ai", converter=_convert_base_url)
    embeddings: str = field(default="https://mavi-backend.memories.ai", converter=_convert_base_url)

    @classmethod
    def at(cls, url: str) -> Hosts:
        """Put all three on one server, as the embedded service does."""
        return cls(search=url, captions=url, embeddings=url)

    def of(self, host: Host) -> str:
        """Return the base URL of *host*."""
        url = getattr(self, host.value)
        assert isinstance(url, str)
        return url


CA = tls.SSLContext | str | os.PathLike[str]
"""Which certificates to trust: a context, or a file of certificates (which pickles)."""


def _check_class(_: object, attribute: Attribute[Any], value: object) -> None:
    """Refuse what is no `Ledger` or no `Receiver`, whose module is loaded only if one is given."""
    if value is None:
        return
    kind = getattr(import_module(f"memories_async.{attribute.name}"), attribute.name.capitalize())
    if not isinstance(value, kind):
        raise TypeError(f"{attribute.name} must be a memories_async.{kind.__name__}, not {value!r}")


def check_hosts(hosts: object) -> None:
    """Raise `TypeError` for what is no `Hosts`."""
    check_type("hosts", hosts, Hosts, "Hosts.at(url)")


def collect_observers(observers: Iterable[Observer]) -> tuple[Observer, ...]:
    """Return the log and *observers*; raise `TypeError` if these are no functions in a list."""
    if callable(observers) or not all(map(callable, found := [*observers])):
        given = type(observers).__name__
        raise TypeError(f"observers must be functions in a list, such as [print], not {given}")
    return (log, *found)


def _check_policy(_: object, __: object, policy: Any) -> None:
    check_type("policy", policy, Policy, "Policy(timeout=30)")


def _check_limits(_: object, __: object, limits: Any) -> None:
    check_type("limits", limits, Limits, "Limits(search=Limit(2))")


def _check_limiter(_: object, __: object, limiter: Any) -> None:
    if not hasattr(limiter, "permit"):
        given = type(limiter).__name__
        raise TypeError(f"limiter must be a RateLimiter, such as RedisLimiter(url), not {given}")


def _check_budgets(_: object, __: object, budgets: tuple[object, ...]) -> None:
    for budget in budgets:
        check_type("budget", budget, Budget, "Budget(calls=100)")


def _check_account(settings: Settings, _: object, name: str | None) -> None:
    """Refuse a name that cannot be stored, or that gives a key away: a ledger keeps the name."""
    if name is None:
        return
    if not name.strip() or not name.isprintable():
        raise ValueError(f"account must be printable text that is not blank, not {name!r}")
    if any(
        key is not None and key.reveal() in name for key in (settings.key, settings.caption_key)
    ):
        raise ValueError("account must be a name, not the API key")


@frozen(kw_only=True)
class Settings:
    """The checked settings of one client."""

    key: Key | None
    caption_key: Key | None
    account_name: str | None = field(default=None, validator=_check_account)
    """What ledger and limiter call the account; without one, a hash of the key and the host."""
    hosts: Hosts
    policy: Policy = field(validator=_check_policy)
    limits: Limits = field(validator=_check_limits)
    limiter: RateLimiter = field(validator=_check_limiter)
    ledger: Ledger | None = field(validator=_check_class)
    receiver: Receiver | None = field(validator=_check_class)
    proxies: Mapping[Host, str] = field(repr=False)
    """The proxy for each host that has one; a URL may hold a password."""
    ssl: CA | None
    observers: tuple[Observer, ...]
    budgets: tuple[Budget, ...] = field(default=(), validator=_check_budgets)
    priority: Priority = Priority.INTERACTIVE
    """Which calls get a permit first: those of a batch come after the others."""
    paused: dict[tuple[str, str], float] = field(
        factory=dict[tuple[str, str], float], repr=False, eq=False
    )
    """Since when buckets are paused, by account and family, on the clock `monotonic`: for events."""
    _buckets: dict[tuple[Host, str], Bucket] = field(
        factory=dict[tuple[Host, str], Bucket], init=False, repr=False, eq=False
    )
    """Made once, since each call looks up its own."""

    def key_of(self, host: Host) -> Key:
        """Look up the key of a host, or raise `ValueError` naming the variable that is missing."""
        key = self.caption_key if host is Host.CAPTIONS else self.key
        if key is None:
            raise ValueError(f"no API key for {host.value}: pass api_key= or set {KEY_VARIABLE}")
        return key

    def check(self, call: Call[Any]) -> None:
        """Raise `ValueError` for a call that a client with these settings cannot send."""
        self.key_of(call.host).reveal()
        if call.needs_callback and self.receiver is None:
            raise ValueError(
                f"{call.name} needs callback=, or a Client with a receiver; {call.name}_sync needs "
                "neither"
            )

    def account(self, call: Call[Any]) -> str:
        """Name the account that *call* is billed to: a hash, never the key."""
        return self.bucket(call.host, call.family).account

    def price(self, unit: str | None) -> float | None:
        """Look up what a success costs in points, where a budget knows it."""
        prices = (budget.prices.get(unit or "") for budget in self.budgets)
        return next((price for price in prices if price is not None), None)

    def find_observers(self) -> tuple[Observer, ...]:
        """Return who is told of calls: the log, which comes first, only where it is written."""
        return self.observers if logger.logger.isEnabledFor(INFO) else self.observers[1:]

    def bucket(self, host: Host, family: str) -> Bucket:
        """Return the bucket whose limit holds for calls of this account and *family*."""
        bucket = self._buckets.get((host, family))
        if bucket is None:
            # The same key on another server is another account: the embedded service is not memories.ai.
            fallback = f"{self.key_of(host).fingerprint}@{self.hosts.of(host)}"
            bucket = self._buckets[host, family] = Bucket(
                account=self.account_name or fallback,
                family=family,
                limit=self.limits.of(family),
                priority=self.priority,
            )
        return bucket

    def mask_reply(self, reply: Reply) -> Reply:
        """Return *reply* without the client's keys, which a service may echo."""
        body, headers = reply.body, "\n".join(reply.headers.values()).encode(errors=ESCAPE)
        keys = [
            key
            for key in dict.fromkeys((self.key, self.caption_key))
            if key is not None and (key.may_be_in(body) or key.may_be_in(headers))
        ]
        if not keys:
            return reply
        for key in keys:
            body, headers = key.mask(body), key.mask(headers)
        values = headers.decode(errors=ESCAPE).split("\n") if reply.headers else []
        return evolve(reply, body=body, headers=dict(zip(reply.headers, values, strict=True)))

    def mask_error(self, error: MemoriesError) -> None:
        """Remove the client's keys from *error*, whose reply may be cut off or in another charset."""
        for key in (self.key, self.caption_key):
            if key is not None:
                error.message = key.mask(error.message.encode("utf-8", "replace")).decode()
                error.args = (error.message,)
                error.body = None if error.body is None else key.mask(error.body)
                for name, text in error.headers.items():
                    error.headers[name] = key.mask(text.encode()).decode()

    def __getstate__(self) -> dict[str, Any]:
        if isinstance(self.ssl, tls.SSLContext):
            raise TypeError("an SSLContext does not pickle: pass ssl= the path of a CA file")
        return {name: getattr(self, name) for name in _FIELDS if name != "paused"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            object.__setattr__(self, name, value)
        object.__setattr__(self, "paused", {})
        object.__setattr__(self, "_buckets", {})


_FIELDS = tuple(one.name for one in fields(Settings) if one.init)
