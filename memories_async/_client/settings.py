"""How a client is set up; checked when it is constructed, opening nothing. Pickles without keys."""

from __future__ import annotations

import os
import ssl as tls
from importlib import import_module
from typing import TYPE_CHECKING, Any

from attrs import Attribute, field, fields, frozen

from memories_async._client.hosts import Hosts
from memories_async._protocol.call import Call
from memories_async._protocol.keys import KEY_VARIABLE, Key
from memories_async._protocol.reply import Host
from memories_async.budget import Budget
from memories_async.events import Observer
from memories_async.limiter._in_process import Bucket, Limits, Priority, RateLimiter, in_process
from memories_async.policy import Policy

if TYPE_CHECKING:
    from memories_async.ledger import Ledger
    from memories_async.receiver import Receiver

CA = tls.SSLContext | str | os.PathLike[str]
"""Which certificates to trust: a context, or a file of certificates (which pickles)."""


def _check_class(_: object, attribute: Attribute[Any], value: object) -> None:
    """Refuse what is no `Ledger` or no `Receiver`, whose module is loaded only if one is given."""
    if value is None:
        return
    kind = getattr(import_module(f"memories_async.{attribute.name}"), attribute.name.capitalize())
    if not isinstance(value, kind):
        raise TypeError(f"{attribute.name} must be a memories_async.{kind.__name__}, not {value!r}")


@frozen(kw_only=True)
class Settings:
    """Everything a client was told."""

    key: Key | None
    caption_key: Key | None
    hosts: Hosts
    policy: Policy
    limits: Limits
    limiter: RateLimiter
    ledger: Ledger | None = field(validator=_check_class)
    receiver: Receiver | None = field(validator=_check_class)
    proxy: str | None = field(repr=False)
    ssl: CA | None
    observers: tuple[Observer, ...]
    budgets: tuple[Budget, ...] = ()
    priority: Priority = Priority.INTERACTIVE
    """How its calls stand in line; a batch's wait behind those that somebody waits for."""
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
        """Refuse, as a `ValueError`, what a client that is set up so cannot send."""
        if call.needs_callback and self.receiver is None:
            raise ValueError(f"{call.name} needs callback=, or a Client with a receiver")

    def account(self, call: Call[Any]) -> str:
        """Name the account that *call* is billed to: a hash, never the key."""
        return self.bucket(call.host, call.family).account

    def price(self, unit: str | None) -> float | None:
        """Look up what a success costs in points, where a budget knows it."""
        prices = (budget.prices.get(unit or "") for budget in self.budgets)
        return next((price for price in prices if price is not None), None)

    def bucket(self, host: Host, family: str) -> Bucket:
        """Name the queue in which calls of this account and *family* wait."""
        bucket = self._buckets.get((host, family))
        if bucket is None:
            bucket = self._buckets[host, family] = self._bucket(host, family)
        return bucket

    def _bucket(self, host: Host, family: str) -> Bucket:
        # The same key on another server is another account: the embedded service is not the real one.
        account = f"{self.key_of(host).fingerprint}@{self.hosts.of(host)}"
        limit = self.limits.of(family)
        return Bucket(account=account, family=family, limit=limit, priority=self.priority)

    def __getstate__(self) -> dict[str, Any]:
        if isinstance(self.ssl, tls.SSLContext):
            raise TypeError("an SSLContext does not pickle: pass ssl= the path of a CA file")
        state = {name: getattr(self, name) for name in _FIELDS}
        # The limiter of this process means nothing elsewhere: the other process brings its own.
        return state | {"limiter": None if self.limiter is in_process else self.limiter}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in (state | {"limiter": state["limiter"] or in_process}).items():
            object.__setattr__(self, name, value)
        object.__setattr__(self, "_buckets", {})


_FIELDS = tuple(one.name for one in fields(Settings) if one.init)
