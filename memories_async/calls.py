"""Calls as values, and what a client's `exchange` returns: the answer with the reply behind it."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from attrs import field, fields, frozen

from memories_async._protocol.call import Call
from memories_async._protocol.reply import Host, Reply
from memories_async.errors import Billed

T = TypeVar("T")


@frozen(kw_only=True)
class Exchange(Generic[T]):
    """A call's answer, together with the service's reply that it was read from."""

    answer: T
    reply: Reply
    """The reply: `status`, `headers` (names in lower case) and the raw `body`."""
    attempts: int
    """Requests that were begun for the call; 0 where the ledger answered it."""
    billed: Billed
    """Whether this exchange was charged: `no` for a free call and for an answer of the ledger."""


@frozen(kw_only=True)
class RepliedCall(Call[tuple[T, Reply]]):
    """A call that is read as its answer and the reply itself. It has the identity of *inner*."""

    inner: Call[T] = field(eq=False)

    def read(self, reply: Reply) -> tuple[T, Reply]:
        """Return the answer and *reply*, or raise what the reply means."""
        return self.inner.read(reply), reply


def keep_reply(call: Call[T]) -> RepliedCall[T]:
    """Return *call*, to be read together with its reply."""
    given: dict[str, Any] = {one.name: getattr(call, one.name) for one in fields(Call)}
    return RepliedCall(**given, inner=call)


__all__ = ["Call", "Exchange", "Host", "Reply", "keep_reply"]
