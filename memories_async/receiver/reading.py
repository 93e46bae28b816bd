"""What a delivery says: the seed page's "Callback Notification Payload", read tolerantly. Pure.

A delivery is a paid result that will not be asked for again, so only what is no JSON object at all
is turned away; whatever else is odd is kept as it came and reported to the one who waits. `text`
and `response` are both read, `token` may be missing, fields that the page does not name are kept.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, NoReturn

from attrs import frozen

from memories_async import _json
from memories_async._decode import converter, whole
from memories_async.captions import Caption, Tokens
from memories_async.errors import BadReply, CaptionFailed
from memories_async.receiver.records import Arrival

MAX_TASK_ID = 1_000
_KNOWN = frozenset({"status", "task_id", "data"})


@frozen(kw_only=True)
class _Said:
    """A delivery taken apart; neither caption nor failure: it is not what the page promises."""

    task_id: str | None
    caption: Caption | None = None
    failure: str | None = None


def arrival(body: bytes, *, at: float) -> Arrival:
    """Read a delivery, raising `NotJson` or `ValueError` where there is nothing to keep."""
    document = _document(body)
    said = _said(document)
    if said.task_id is None and said.caption is None and said.failure is None:
        raise ValueError("neither a task nor a result can be read")
    return Arrival(
        task_id=said.task_id,
        final=said.caption is not None or said.failure is not None,
        digest=hashlib.sha256(_json.canonical(document)).digest(),
        body=body,
        at=at,
    )


def caption_in(delivery: Arrival, *, call: str) -> Caption:
    """Return the caption, or raise what the delivery says instead."""
    said = _said(_document(delivery.body))
    if said.caption is not None:
        return said.caption
    if said.failure is not None:
        raise CaptionFailed(said.failure, call=call, code="-1", body=delivery.body)
    raise BadReply(
        "the callback is not what its page promises; should a readable one follow, "
        "waiting again returns it",
        call=call,
        body=delivery.body,
    )


def _document(body: bytes) -> dict[str, Any]:
    try:
        # Not orjson: it refuses half a character, which a cut-off caption may well end in.
        document = json.loads(body.decode("utf-8-sig"), parse_constant=_no_constant)
        _json.canonical(document)
    except (ValueError, RecursionError) as error:
        raise _json.NotJson(f"not JSON: {error}") from None
    if not _json.is_object(document):
        raise _json.NotJson("not a JSON object")
    return document


def _said(document: dict[str, Any]) -> _Said:
    task_id = _task_id(document.get("task_id"))
    status = _status(document.get("status"))
    if status == 0:
        return _Said(task_id=task_id, caption=_caption(document))
    if status is not None and status < 0:
        return _Said(task_id=task_id, failure=_reason(document))
    return _Said(task_id=task_id)


def _task_id(value: object) -> str | None:
    if isinstance(value, str) and 0 < len(value) <= MAX_TASK_ID and value.isprintable():
        return value
    return None


def _status(value: object) -> int | None:
    try:
        return whole(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _caption(document: dict[str, Any]) -> Caption | None:
    data = document.get("data")
    if not _json.is_object(data):
        return None
    name = next((one for one in ("text", "response") if isinstance(data.get(one), str)), None)
    if name is None:
        return None
    tokens = _tokens(data.get("token"))
    used = {name} if tokens is None and data.get("token") is not None else {name, "token"}
    extra = {key: value for key, value in document.items() if key not in _KNOWN}
    extra |= {key: value for key, value in data.items() if key not in used}
    return Caption(text=_whole_characters(data[name]), tokens=tokens, extra=extra)


def _tokens(value: object) -> Tokens | None:
    try:
        return converter.structure(value, Tokens) if _json.is_object(value) else None
    except Exception:  # noqa: BLE001  # cattrs raises groups of anything; a count is not worth a caption
        return None


def _reason(document: dict[str, Any]) -> str:
    """Find the service's words for a failure, of which no page shows a sample."""
    data = document.get("data")
    places: list[object] = [document.get(name) for name in ("msg", "message", "error", "reason")]
    if _json.is_object(data):
        places += [data.get(name) for name in ("msg", "message", "error", "text", "response")]
    places.append(data)
    words = next((one for one in places if isinstance(one, str) and one), "no reason given")
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in words[:300])
    return f"captioning failed: {shown}"


def _whole_characters(words: str) -> str:
    """Replace halves of characters, which could never be written anywhere."""
    return words.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")
