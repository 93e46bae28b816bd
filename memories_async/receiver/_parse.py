"""What a delivery says: the seed page's "Callback Notification Payload", read tolerantly. Pure.

A delivery is a paid result that will not be asked for again, so only what is no JSON object at all
is turned away; whatever else is odd is kept as it came and reported to the one who waits. `text`
and `response` are both read, `token` may be missing, fields that the page does not name are kept.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

from memories_async._protocol import wire_json
from memories_async._protocol.decode import FAILED, READY, converter, read_integer
from memories_async.captions import Caption, Tokens
from memories_async.errors import BadReply, CaptionFailed
from memories_async.receiver._records import Arrival

MAX_TASK_ID = 1_000
_IDS = ("task_id", "videoNo", "video_no")
"""A caption's callback names its task, an upload's its video, in either spelling."""
_LAST_WORDS = tuple(READY | FAILED)
_KNOWN = frozenset({"status", "task_id", "data"})


def arrival(body: bytes, *, at: float) -> Arrival:
    """Read a delivery, raising `NotJson` or `ValueError` where there is nothing to keep."""
    document = _document(body)
    task_id = _task_id(next((document[name] for name in _IDS if name in document), None))
    final = (
        _is_failure(document)
        or _text_field(document) is not None
        or document.get("status") in _LAST_WORDS
    )
    if task_id is None and not final:
        raise ValueError("neither a task nor a result can be read")
    return Arrival(
        task_id=task_id,
        final=final,
        body=body,
        at=at,
    )


def caption_in(delivery: Arrival, *, call: str) -> Caption:
    """Return the caption, or raise what the delivery says instead."""
    document = _document(delivery.body)
    name = _text_field(document)
    if name is not None:
        return _caption(document, name)
    if _is_failure(document):
        raise CaptionFailed(_reason(document), call=call, code="-1", body=delivery.body)
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
    except (ValueError, RecursionError) as error:
        raise wire_json.NotJson(f"not JSON: {error}") from None
    if not wire_json.is_object(document):
        raise wire_json.NotJson("not a JSON object")
    return document


def _task_id(value: object) -> str | None:
    if isinstance(value, str) and 0 < len(value) <= MAX_TASK_ID and value.isprintable():
        return value
    return None


def _status(value: object) -> int | None:
    try:
        return read_integer(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _is_failure(document: dict[str, Any]) -> bool:
    status = _status(document.get("status"))
    return status is not None and status < 0


def _text_field(document: dict[str, Any]) -> str | None:
    """Name the field that holds the caption of a success."""
    data = document.get("data")
    if not wire_json.is_object(data) or _status(document.get("status")) != 0:
        return None
    return next((one for one in ("text", "response") if isinstance(data.get(one), str)), None)


def _caption(document: dict[str, Any], name: str) -> Caption:
    data = document["data"]
    tokens = _tokens(data.get("token"))
    used = {name} if tokens is None and data.get("token") is not None else {name, "token"}
    extra = {key: value for key, value in document.items() if key not in _KNOWN}
    extra |= {key: value for key, value in data.items() if key not in used}
    return Caption(text=_whole_characters(data[name]), tokens=tokens, extra=extra)


def _tokens(value: object) -> Tokens | None:
    try:
        return converter.structure(value, Tokens) if wire_json.is_object(value) else None
    except Exception:  # noqa: BLE001  # cattrs raises groups of anything; a count is not worth a caption
        return None


def _reason(document: dict[str, Any]) -> str:
    """Find the service's words for a failure, of which no page shows a sample."""
    data = document.get("data")
    places: list[object] = [document.get(name) for name in ("msg", "message", "error", "reason")]
    if wire_json.is_object(data):
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
