"""The pace of many machines: a lane is one key in Redis or Valkey, a word one script call.

The server's clock is everybody's, and one round trip is a turn: a slot's return rides with the
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
from memories_async.limiter._in_process import PaceInForce
from memories_async.limiter._limits import Lane, Limit, Priority
from memories_async.limiter._rule import Answer, LaneState, Member, Word
from memories_async.limiter._shared import SharedPace, in_force
from memories_async.limiter._store import StoreDown
from memories_async.limiter._store_worker import clerk_of

PREFIX = "memories_async:pace:"
TIMEOUT = 1.0
"""Seconds for a word; a server that needs longer counts as down."""
KEPT = 86_400.0
"""Seconds for which a lane that nobody uses is kept."""
_LOOK = """
local time = redis.call('TIME')
local stored = redis.call('GET', KEYS[1])
if not stored then return '' end
return cjson.encode({now = time[1] + time[2] / 1e6, lane = cmsgpack.unpack(stored)})
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


def seen(reply: bytes | str) -> tuple[float, LaneState]:
    """Read how a lane stands, and the server's time."""
    said = json.loads(reply)
    lane: dict[str, Any] = said["lane"]
    members: dict[str, dict[str, Any]] = lane["members"] or {}
    rate = _gcra.Spacing(lane["next_at"], lane["slowness"], lane["paused_until"])
    state = LaneState(
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

    def exchange(self, lane: Lane, word: Word) -> Answer:
        """See `Store.exchange`."""
        with self._reported():
            client = self._client()
            said = client.hear(keys=[self.prefix + lane.name], args=[spoken(word, lane.limit), ""])
            return heard(said)

    def look(self) -> tuple[float, Mapping[str, LaneState]]:
        """See `Store.look`."""
        now, lanes = 0.0, dict[str, LaneState]()
        with self._reported():
            client = self._client()
            look = client.register_script(_LOOK)
            for key in client.scan_iter(self.prefix + "*"):
                if said := look(keys=[key]):
                    now, lanes[key.decode().removeprefix(self.prefix)] = seen(said)
        return now, lanes

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
        raise ImportError("RedisPace needs redis: install memories_async[redis]") from error


def _no_backoff() -> Any:
    return import_module("redis.backoff").NoBackoff()


class RedisPace(SharedPace):
    """The pace of all processes, on whatever machine, that name the same Redis or Valkey.

    Needs the extra `memories_async[redis]`. *account* names the account where its keys differ; else
    a key is an account. A turn costs one round trip. Pickled, it holds *url* and so its password.
    """

    def __init__(self, url: str, *, account: str | None = None) -> None:
        _redis()
        if urlsplit(url).scheme not in {"redis", "rediss", "unix"}:
            raise ValueError("url must begin with redis://, rediss:// or unix://")
        self._url, self._account = url, account
        self._store = RedisStore(url)
        self._clerk = clerk_of(self._store)

    def describe(self) -> PaceInForce:
        """Say what is in force; asks the server."""
        fault, now, lanes = self._clerk.fault, 0.0, dict[str, LaneState]()
        try:
            now, found = self._store.look()
            lanes.update(found)
        except StoreDown as error:
            fault = str(error)
        return PaceInForce(
            store="redis",
            where=self._store.where,
            shared_by="every process that names the server",
            fault=fault,
            lanes=tuple(in_force(name, state, now) for name, state in lanes.items()),
        )

    def __repr__(self) -> str:
        return f"RedisPace({self._store.where!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _redis_pace, (self._url, self._account)


def _redis_pace(url: str, account: str | None) -> RedisPace:
    return RedisPace(url, account=account)
