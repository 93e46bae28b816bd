"""What a callback says (memories.ai docs, "Callback Notification Payload"), read tolerantly. Pure.

A callback is a paid result that cannot be requested again, so only what is no JSON object is turned
away; whatever else is odd is stored as it came and reported to the waiter. `text` and `response` are
both read, `token` may be missing, and fields that the page does not name are kept.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

from memories_async._protocol import wire_json
from memories_async._protocol.decode import FAILED, READY, converter, read_integer
from memories_async.captions import Caption, Tokens
from memories_async.errors import BadReply, CaptionFailed
from memories_async.receiver._records import CallbackDelivery

MAX_TASK_ID = 1_000
_ID_FIELDS = ("task_id", "videoNo", "video_no")
"""The callback of a caption names its task, that of an upload its video, in either spelling."""
_TEXT_FIELDS = ("text", "response")
_FINAL_STATUSES = tuple(READY | FAILED)
_KNOWN_FIELDS = frozenset({"status", "task_id", "data"})


def read_delivery(body: bytes, *, at: float) -> CallbackDelivery:
    """Read a callback; raise `NotJson` or `ValueError` where there is nothing to keep."""
    document = _parse(body)
    task_id = next((document[name] for name in _ID_FIELDS if name in document), None)
    if not _is_task_id(task_id):
        task_id = None
    final = (
        _is_failure(document)
        or _find_text_field(document) is not None
        or document.get("status") in _FINAL_STATUSES
    )
    if task_id is None and not final:
        raise ValueError("neither a task nor a result can be read")
    return CallbackDelivery(task_id=task_id, final=final, body=body, at=at)


def read_caption(delivery: CallbackDelivery, *, call: str) -> Caption:
    """Return the caption, or raise the failure that the callback reports."""
    document = _parse(delivery.body)
    name = _find_text_field(document)
    if name is not None:
        return _build_caption(document, name)
    if _is_failure(document):
        raise CaptionFailed(_find_reason(document), call=call, code="-1", body=delivery.body)
    raise BadReply(
        "the callback does not have the documented form; should a readable one follow, "
        "waiting again returns it",
        call=call,
        body=delivery.body,
    )


def _parse(body: bytes) -> dict[str, Any]:
    def refuse_constant(name: str) -> NoReturn:
        raise ValueError(f"{name} is not a JSON number")

    try:
        # Not orjson: it refuses half a character, which a cut-off caption may well end in.
        document = json.loads(body.decode("utf-8-sig"), parse_constant=refuse_constant)
    except (ValueError, RecursionError) as error:
        raise wire_json.NotJson(f"not JSON: {error}") from None
    if not wire_json.is_object(document):
        raise wire_json.NotJson("not a JSON object")
    return document


def _is_task_id(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_TASK_ID and value.isprintable()


def _read_status(document: dict[str, Any]) -> int | None:
    try:
        return read_integer(document.get("status"))
    except (TypeError, ValueError, OverflowError):
        return None


def _is_failure(document: dict[str, Any]) -> bool:
    status = _read_status(document)
    return status is not None and status < 0


def _find_text_field(document: dict[str, Any]) -> str | None:
    """Return the name of the field that holds the caption of a success."""
    data = document.get("data")
    if not wire_json.is_object(data) or _read_status(document) != 0:
        return None
    return next((name for name in _TEXT_FIELDS if isinstance(data.get(name), str)), None)


def _build_caption(document: dict[str, Any], text_field: str) -> Caption:
    data = document["data"]
    try:
        token = data.get("token")
        tokens = converter.structure(token, Tokens) if wire_json.is_object(token) else None
    except Exception:  # noqa: BLE001  # cattrs raises groups of anything; a count is not worth a caption
        tokens = None
    is_unread = tokens is None and token is not None
    read = {text_field} if is_unread else {text_field, "token"}
    extra = {name: value for name, value in document.items() if name not in _KNOWN_FIELDS}
    extra |= {name: value for name, value in data.items() if name not in read}
    # Half of a surrogate pair could not be encoded anywhere, so it is replaced.
    text = data[text_field].encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return Caption(text=text, tokens=tokens, extra=extra)


def _find_reason(document: dict[str, Any]) -> str:
    """Find the service's words for a failure; its pages show no sample of one."""
    data = document.get("data")
    places: list[object] = [document.get(name) for name in ("msg", "message", "error", "reason")]
    if wire_json.is_object(data):
        places += [data.get(name) for name in ("msg", "message", "error", "text", "response")]
    places.append(data)
    words = next((one for one in places if isinstance(one, str) and one), "no reason given")
    printable = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in words[:300])
    return f"captioning failed: {printable}"
