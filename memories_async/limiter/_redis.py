"""The limiter of many machines: a bucket is one key in Redis or Valkey, a word one script call.

The server's clock is everybody's, and one round trip is a permit: a slot's return rides with the
next word, unless slots are scarce. The rules are `rules.hear`, once more in Lua.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from attrs import asdict, field, frozen

from memories_async.limiter import _gcra, _rule
from memories_async.limiter._in_process import LimiterStatus
from memories_async.limiter._limits import Bucket, Limit, Priority
from memories_async.limiter._rule import Answer, BucketState, Member, Word
from memories_async.limiter._shared import SharedLimiter, in_force
from memories_async.limiter._store import StoreDown
from memories_async.limiter._store_worker import clerk_of

PREFIX = "memories_async:limiter:"
TIMEOUT = 1.0
"""Seconds for a word; a server that needs longer counts as down."""
KEPT = 86_400.0
"""Seconds for which a bucket that nobody uses is kept."""
_LOOK = """
local time = redis.call('TIME')
local stored = redis.call('GET', KEYS[1])
if not stored then return '' end
return cjson.encode({now = time[1] + time[2] / 1e6, bucket = cmsgpack.unpack(stored)})
"""
_RULES = {
    "slowest": _gcra.SLOWEST,
    "recovery": _gcra.RECOVERY,
    "idle": _gcra.IDLE,
    "batch_share": _gcra.BATCH_SHARE,
    "lease": _rule.LEASE,
    "overdue": _rule.OVERDUE,
    "slot_poll": _rule.SLOT_POLL,
    "never": _rule.NEVER,
    "kept": KEPT,
}


def script() -> str:
    """Read the rules as the server runs them."""
    from importlib.resources import files  # noqa: PLC0415  # slow to import, seldom needed

    return files("memories_async.limiter").joinpath("redis.lua").read_text("utf-8")


def spoken(word: Word, limit: Limit) -> str:
    """Put a word into the script's form; what a pause of none is has to be a number there."""
    return json.dumps(
        asdict(word)
        | {"pause": -1 if word.pause is None else word.pause, "rules": _RULES}
        | {"gap": limit.gap, "slack": limit.slack, "concurrency": limit.concurrency}
    )


def heard(reply: bytes | str) -> Answer:
    """Read the script's answer."""
    said: dict[str, Any] = json.loads(reply)
    granted = said.pop("granted")
    return Answer(granted=Priority(granted - 1) if granted else None, **said)


def seen(reply: bytes | str) -> tuple[float, BucketState]:
    """Read how a bucket stands, and the server's time."""
    said = json.loads(reply)
    bucket: dict[str, Any] = said["bucket"]
    members: dict[str, dict[str, Any]] = bucket["members"] or {}
    rate = _gcra.Spacing(bucket["next_at"], bucket["slowness"], bucket["paused_until"])
    state = BucketState(
        spacing=rate, members={name: _member(member) for name, member in members.items()}
    )
    return said["now"], state


def _member(said: Mapping[str, Any]) -> Member:
    tickets = said["1"] or None, said["2"] or None
    return Member(until=said["until"], busy=said["busy"], tickets=tickets)


@frozen
class RedisStore:
    """The server. One connection a process, opened at the first word."""

    url: str = field(repr=False)
    prefix: str = PREFIX
    _held: list[Any] = field(factory=list[Any], eq=False, repr=False, init=False)

    @property
    def where(self) -> str:
        """Where the server is, without the password."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    def exchange(self, bucket: Bucket, word: Word) -> Answer:
        """See `Store.exchange`."""
        with self._reported():
            client = self._client()
            said = client.hear(
                keys=[self.prefix + bucket.name], args=[spoken(word, bucket.limit), ""]
            )
            return heard(said)

    def look(self) -> tuple[float, Mapping[str, BucketState]]:
        """See `Store.look`."""
        now, buckets = 0.0, dict[str, BucketState]()
        with self._reported():
            client = self._client()
            look = client.register_script(_LOOK)
            for key in client.scan_iter(self.prefix + "*"):
                if said := look(keys=[key]):
                    now, buckets[key.decode().removeprefix(self.prefix)] = seen(said)
        return now, buckets

    def forget(self) -> None:
        """See `Store.forget`."""
        self._held.clear()

    @contextmanager
    def _reported(self) -> Generator[None]:
        try:
            yield
        except (_redis().RedisError, OSError, ValueError, LookupError) as error:
            raise StoreDown(f"{self.where}: {error}") from error

    def _client(self) -> Any:
        if not self._held:
            client = _redis().Redis.from_url(
                self.url,
                socket_timeout=TIMEOUT,
                socket_connect_timeout=TIMEOUT,
                # One more attempt, for a connection that the server closed while it was idle.
                retry=import_module("redis.retry").Retry(_no_backoff(), 1),
            )
            client.hear = client.register_script(script())
            self._held.append(client)
        return self._held[0]


def _redis() -> Any:
    """Import the extra where it is used."""
    try:
        return import_module("redis")
    except ImportError as error:
        raise ImportError("RedisLimiter needs redis: install memories_async[redis]") from error


def _no_backoff() -> Any:
    return import_module("redis.backoff").NoBackoff()


class RedisLimiter(SharedLimiter):
    """The limiter of all processes, on whatever machine, that name the same Redis or Valkey.

    Needs the extra `memories_async[redis]`. *account* names the account where its keys differ; else
    a key is an account. A permit costs one round trip. Pickled, it holds *url* and so its password.
    """

    def __init__(self, url: str, *, account: str | None = None) -> None:
        _redis()
        if urlsplit(url).scheme not in {"redis", "rediss", "unix"}:
            raise ValueError("url must begin with redis://, rediss:// or unix://")
        self._url, self._account = url, account
        self._store = RedisStore(url)
        self._clerk = clerk_of(self._store)

    def describe(self) -> LimiterStatus:
        """Say what is in force; asks the server."""
        fault, now, buckets = self._clerk.fault, 0.0, dict[str, BucketState]()
        try:
            now, found = self._store.look()
            buckets.update(found)
        except StoreDown as error:
            fault = str(error)
        return LimiterStatus(
            store="redis",
            where=self._store.where,
            shared_by="every process that names the server",
            fault=fault,
            buckets=tuple(in_force(name, state, now) for name, state in buckets.items()),
        )

    def __repr__(self) -> str:
        return f"RedisLimiter({self._store.where!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _redis_limiter, (self._url, self._account)


def _redis_limiter(url: str, account: str | None) -> RedisLimiter:
    return RedisLimiter(url, account=account)
