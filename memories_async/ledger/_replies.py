"""Answers in the form of a reply, which is the only form that the ledger keeps. Pure.

Whoever settles an entry by hand, and the callback that settles a lost submission, have an answer but
no reply. The call reads a reply in the service's envelope back like every other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeGuard

import attrs

from memories_async._protocol import wire_json
from memories_async.embeddings import Embedding


def write_reply(answer: object) -> bytes:
    """Write the reply that would have brought *answer*, a typed answer or the wire's own data."""
    document = {"code": "0000", "msg": "settled by hand", "data": _to_data(answer)}
    try:
        return wire_json.dumps(document)
    except (TypeError, ValueError) as error:
        raise TypeError(f"answer cannot be kept: {error}") from None


def read_data(reply: bytes) -> Any:
    """Return the `data` of a stored reply; None where it has none that can be read."""
    try:
        document = wire_json.loads(reply)
    except wire_json.NotJson:
        return None
    return document.get("data") if wire_json.is_object(document) else None


def _to_data(answer: object) -> Any:
    if isinstance(answer, Embedding):
        return {"embedding": list(answer)}
    if _is_value(answer):
        return attrs.asdict(answer, recurse=True)
    return [_to_data(one) for one in answer] if _is_sequence(answer) else answer


def _is_sequence(answer: object) -> TypeGuard[Sequence[object]]:
    return isinstance(answer, tuple | list)


def _is_value(answer: object) -> TypeGuard[attrs.AttrsInstance]:
    return attrs.has(type(answer))
