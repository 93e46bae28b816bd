"""RedisLimiter: one rate for the processes of many machines, in Redis or Valkey.

A bucket is one key. An exchange reads it and the server's clock, applies the rule, and writes it back
as an optimistic transaction (WATCH, MULTI), in two round trips; it is repeated where another process
came first.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from math import inf
from typing import Any, TypeVar
from urllib.parse import urlsplit

from attrs import define, field

from memories_async.limiter._limits import Bucket, LimiterStatus
from memories_async.limiter._rule import BucketState, Request, Response, step
from memories_async.limiter._shared import SharedLimiter
from memories_async.limiter._store import StoreUnavailableError, pack_state, unpack_state
from memories_async.limiter._store_worker import find_worker

T = TypeVar("T")
Command = tuple[str | bytes, ...]
SendCommands = Callable[..., list[Any]]
"""Sends each `Command` that it is given, all in one round trip, and returns the response to each."""


PREFIX = "memories_async:limiter:"
MARKER = "memories_async:limiter"
"""Holds when the store was first used: one without it has lost its state, or never had any."""
TIMEOUT = 1.0
"""Seconds for a round trip; a server that needs longer counts as unavailable."""
DRIFT = 1e-4
"""Seconds by which two machines' clocks run apart in a second, at most."""
EXPIRY = 86_400.0
"""Seconds for which a bucket that nobody uses is kept."""


@define
class ClockOffset:
    """How far the server's clock is ahead of this process's.

    A round trip proves bounds, and the middle of the quickest one is the estimate. A slow one only
    moves it into its own bounds: its middle may be far off, and so would be the ticks.
    """

    seconds: float = inf
    error: float = inf
    seen_at: float = 0.0

    def convert(self, server: float, asked_at: float, answered_at: float) -> float:
        """Return the time of this process's clock at which the server's was *server*."""
        low, high = server - answered_at, server - asked_at
        error = self.error + DRIFT * (answered_at - self.seen_at)
        was_set = not low - error <= self.seconds <= high + error
        if was_set or (high - low) / 2 < error:
            self.seconds, self.error = (low + high) / 2, (high - low) / 2
        else:
            self.seconds, self.error = min(max(low, self.seconds), high), error
        self.seen_at = answered_at
        return server - self.seconds


@define
class RedisStore:
    """The server, on one connection that is opened at the first exchange."""

    url: str = field(repr=False)
    prefix: str = PREFIX
    _client: Any = field(default=None, init=False, eq=False, repr=False)
    _offset: ClockOffset = field(factory=ClockOffset, init=False, eq=False, repr=False)

    is_local = False

    def __hash__(self) -> int:
        return hash((self.url, self.prefix))

    @property
    def where(self) -> str:
        """The server's address, without the password."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    def exchange(
        self, bucket: Bucket, request: Request, *, patience: float
    ) -> tuple[float, Response] | None:
        """See `BucketStore.exchange`."""
        until = time.monotonic() + patience
        while time.monotonic() <= until:
            answer = self._converse(lambda send: self._try_exchange(send, bucket, request))
            if answer is not None:
                return answer
        return None

    def _try_exchange(
        self, send: SendCommands, bucket: Bucket, request: Request
    ) -> tuple[float, Response] | None:
        """Read, apply the rule, and write; None if another process wrote meanwhile."""
        key, asked_at = self.prefix + bucket.name, time.monotonic()
        _, record, marker, clock = send(
            ("WATCH", key, MARKER), ("GET", key), ("GET", MARKER), ("TIME",)
        )
        now = _parse_time(clock)
        at = self._offset.convert(now, asked_at, time.monotonic())
        try:
            created_at = float(marker or "")
        except ValueError:
            created_at, marker = now, None
        state = None if record is None else unpack_state(record)
        if state is None:
            # A damaged record is lost state too.
            state = BucketState.create(bucket.limit, now, created_at if record is None else now)
        state, response = step(state, request, bucket.limit, now)
        expiry = str(int(1000 * (EXPIRY + state.gcra.wait(now))))
        mark = [] if marker is not None else [("SET", MARKER, repr(created_at))]
        write = ("SET", key, pack_state(state), "PX", expiry)
        is_done = send(("MULTI",), write, *mark, ("EXEC",))[-1] is not None
        return (at, response) if is_done else None

    def read_all(self) -> tuple[float, Mapping[str, BucketState]]:
        """See `BucketStore.read_all`."""
        return self._converse(self._read_all)

    def _read_all(self, send: SendCommands) -> tuple[float, Mapping[str, BucketState]]:
        buckets, cursor = dict[str, BucketState](), b""
        (clock,) = send(("TIME",))
        while cursor != b"0":
            ((cursor, keys),) = send(("SCAN", cursor or b"0", "MATCH", self.prefix + "*"))
            for key in keys:
                (record,) = send(("GET", key))
                # A bucket may end while the list is read.
                if record is not None and (state := unpack_state(record)) is not None:
                    buckets[key.decode().removeprefix(self.prefix)] = state
        return _parse_time(clock), buckets

    def forget(self) -> None:
        """See `BucketStore.forget`."""
        self._client = None

    def _converse(self, converse: Callable[[SendCommands], T]) -> T:
        """Call *converse* with a connection; once more, if the server had closed an idle one."""
        redis = _import_redis()
        if self._client is None:
            self._client = redis.Redis.from_url(
                self.url, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT, protocol=2
            )
        pool = self._client.connection_pool
        for is_last in (False, True):
            try:
                connection = pool.get_connection()
                try:
                    return converse(partial(_send, connection))
                except BaseException:
                    connection.disconnect()
                    raise
                finally:
                    pool.release(connection)
            except (redis.RedisError, OSError, ValueError) as error:
                if is_last or not isinstance(error, redis.ConnectionError):
                    raise StoreUnavailableError(f"{self.where}: {error}") from error
        raise AssertionError("unreachable")


def _parse_time(clock: Sequence[bytes]) -> float:
    return int(clock[0]) + int(clock[1]) / 1e6


def _send(connection: Any, *commands: Command) -> list[Any]:
    """Send commands in one round trip, and return the response to each; or raise the first error."""
    connection.send_packed_command(connection.pack_commands(commands))
    responses = list[Any]()
    for _ in commands:
        try:
            responses.append(connection.read_response())
        except import_module("redis").ResponseError as error:
            responses.append(error)
    for response in responses:
        if isinstance(response, Exception):
            raise response
    return responses


def _import_redis() -> Any:
    """Import the extra where it is used."""
    try:
        return import_module("redis")
    except ImportError as error:
        raise ImportError("RedisLimiter needs redis: install memories_async[redis]") from error


class RedisLimiter(SharedLimiter):
    """Rate limiter of all processes, on any machine, that name the same Redis or Valkey server.

    Needs the extra `memories_async[redis]`. *account* names the account where it has several keys;
    without it each key is an account. A permit costs two round trips. Pickled, it holds *url* and
    so its password.
    """

    def __init__(self, url: str, *, account: str | None = None) -> None:
        _import_redis()
        if urlsplit(url).scheme not in {"redis", "rediss", "unix"}:
            raise ValueError("url must begin with redis://, rediss:// or unix://")
        self._url, self._account = url, account
        self._store = RedisStore(url)
        self._worker = find_worker(self._store)

    def describe(self) -> LimiterStatus:
        """Return the state of every bucket; asks the server."""
        shared_by = "every process that names the server"
        return self._describe(store="redis", where=self._store.where, shared_by=shared_by)

    def __repr__(self) -> str:
        return f"RedisLimiter({self._store.where!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(RedisLimiter, account=self._account), (self._url,)
