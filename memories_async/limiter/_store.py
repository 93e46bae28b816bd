"""What a shared limiter needs of its store, and the record in which a bucket is kept there."""

from __future__ import annotations

from collections.abc import Mapping
from struct import Struct, error
from typing import Protocol
from zlib import crc32

from memories_async.limiter._gcra import Gcra
from memories_async.limiter._limits import Bucket
from memories_async.limiter._rule import BucketState, Lease, Request, Response

_STATE = Struct("<ddddddqqqH")
_LEASE = Struct("<16sdiqqq")
_CHECKSUM = Struct("<I")
MAX_LEASES = 144
"""Processes that may use one bucket at a time; a record of so many fits 8 KB."""


class StoreUnavailableError(Exception):
    """The store cannot be used now; the message says why, and holds no password."""


class BucketStore(Protocol):
    """Holds the buckets of many processes. Equal stores compare equal, so that they share a worker."""

    @property
    def is_local(self) -> bool:
        """Whether an exchange takes so little time that an event loop may do it."""
        ...

    def exchange(
        self, bucket: Bucket, request: Request, *, patience: float
    ) -> tuple[float, Response] | None:
        """Apply `step` to the bucket's state, as one transaction.

        Returns the time of this process's monotonic clock at which it was applied, and the
        response; None if the store was in use for *patience* seconds. Raises
        `StoreUnavailableError`.
        """
        ...

    def read_all(self) -> tuple[float, Mapping[str, BucketState]]:
        """Return the store's time and every bucket by name; or raise `StoreUnavailableError`."""
        ...

    def forget(self) -> None:
        """Drop what a forked child must not share with its parent."""
        ...


def pack_state(state: BucketState) -> bytes:
    """Encode a bucket's state as a record."""
    if len(state.leases) > MAX_LEASES:
        raise StoreUnavailableError(f"more than {MAX_LEASES} processes use one bucket")
    gcra = state.gcra
    body = _STATE.pack(
        gcra.next_at,
        gcra.slowness,
        gcra.paused_until,
        gcra.latest,
        gcra.before,
        state.seen,
        state.streak,
        state.issued,
        state.permits,
        len(state.leases),
    )
    for member, lease in state.leases.items():
        body += _LEASE.pack(member.encode(), lease.until, lease.busy, *lease.tickets)
    return _CHECKSUM.pack(crc32(body)) + body


def unpack_state(record: bytes, offset: int = 0) -> BucketState | None:
    """Decode a record, which may be followed by other bytes; None if it is damaged."""
    body = offset + _CHECKSUM.size
    start = body + _STATE.size
    try:
        (checksum,) = _CHECKSUM.unpack_from(record, offset)
        values = _STATE.unpack_from(record, body)
    except error:
        return None
    next_at, slowness, paused_until, latest, before, seen, streak, issued, permits, count = values
    end = start + count * _LEASE.size
    if len(record) < end or crc32(record[body:end]) != checksum:
        return None
    leases = dict[str, Lease]()
    for member, until, busy, *tickets in _LEASE.iter_unpack(record[start:end]):
        leases[member.rstrip(b"\0").decode()] = Lease(until, busy, tuple(tickets))
    return BucketState(
        gcra=Gcra(next_at, slowness, paused_until, latest, before),
        streak=streak,
        issued=issued,
        permits=permits,
        seen=seen,
        leases=leases,
    )
