"""RedisLimiter: one rate for the processes of many machines, in Redis or Valkey.

A bucket is one key. An exchange reads it and the server's clock, applies the rule, and writes it back
as an optimistic transaction (WATCH, MULTI), in two round trips; it is repeated where another process
came first.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from attrs import define, field

from memories_async.limiter._limits import Bucket
from memories_async.limiter._rate_limiter import LimiterStatus
from memories_async.limiter._rule import BucketState, Request, Response, step
from memories_async.limiter._shared import SharedLimiter
from memories_async.limiter._store import StoreUnavailableError, pack_state, unpack_state
from memories_async.limiter._store_worker import find_worker

PREFIX = "memories_async:limiter:"
MARKER = "memories_async:limiter"
"""Holds when the store was first used: one without it has lost its state, or never had any."""
TIMEOUT = 1.0
"""Seconds for a round trip; a server that needs longer counts as unavailable."""
EXPIRY = 86_400.0
"""Seconds for which a bucket that nobody uses is kept."""


@define
class RedisStore:
    """The server, on one connection that is opened at the first exchange."""

    url: str = field(repr=False)
    prefix: str = PREFIX
    _client: Any = field(default=None, init=False, eq=False, repr=False)

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
        until, key = time.monotonic() + patience, self.prefix + bucket.name
        while time.monotonic() <= until:
            with self._connect() as connection:
                asked_at = time.monotonic()
                _, record, marker, clock = _send(
                    connection, [("WATCH", key, MARKER), ("GET", key), ("GET", MARKER), ("TIME",)]
                )
                at, now = (asked_at + time.monotonic()) / 2, int(clock[0]) + int(clock[1]) / 1e6
                created_at = now if marker is None else float(marker)
                state = None if record is None else unpack_state(record)
                if state is None:
                    lost_at = created_at if record is None else now
                    state = BucketState.create(bucket.limit, now, lost_at)
                state, response = step(state, request, bucket.limit, now)
                expiry = str(int(1000 * (EXPIRY + max(0.0, state.gcra.next_at - now))))
                commands: list[tuple[object, ...]] = [
                    ("MULTI",),
                    ("SET", key, pack_state(state), "PX", expiry),
                ]
                if marker is None:
                    commands.append(("SET", MARKER, repr(created_at)))
                if _send(connection, [*commands, ("EXEC",)])[-1] is not None:
                    return at, response
        return None

    def read_all(self) -> tuple[float, Mapping[str, BucketState]]:
        """See `BucketStore.read_all`."""
        buckets = dict[str, BucketState]()
        with self._connect() as connection:
            (clock,) = _send(connection, [("TIME",)])
            cursor = b"0"
            while True:
                ((cursor, keys),) = _send(
                    connection, [("SCAN", cursor, "MATCH", self.prefix + "*")]
                )
                for key in keys:
                    (record,) = _send(connection, [("GET", key)])
                    # A bucket may end while the list is read.
                    if record is not None and (state := unpack_state(record)) is not None:
                        buckets[key.decode().removeprefix(self.prefix)] = state
                if cursor in {b"0", 0}:
                    return int(clock[0]) + int(clock[1]) / 1e6, buckets

    def forget(self) -> None:
        """See `BucketStore.forget`."""
        self._client = None

    @contextmanager
    def _connect(self) -> Generator[Any]:
        redis = _import_redis()
        try:
            if self._client is None:
                self._client = redis.Redis.from_url(
                    self.url, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT, protocol=2
                )
            pool = self._client.connection_pool
            connection = pool.get_connection()
            try:
                yield connection
            except BaseException:
                connection.disconnect()
                raise
            finally:
                pool.release(connection)
        except (redis.RedisError, OSError, ValueError) as error:
            raise StoreUnavailableError(f"{self.where}: {error}") from error


def _send(connection: Any, commands: Sequence[tuple[object, ...]]) -> list[Any]:
    """Send commands in one round trip, and return the response to each."""
    connection.send_packed_command(connection.pack_commands(commands))
    responses = [_read(connection) for _ in commands]
    for response in responses:
        if isinstance(response, Exception):
            raise response
    return responses


def _read(connection: Any) -> Any:
    try:
        return connection.read_response()
    except import_module("redis").ResponseError as error:
        return error


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
        return _build, (self._url, self._account)


def _build(url: str, account: str | None) -> RedisLimiter:
    return RedisLimiter(url, account=account)
