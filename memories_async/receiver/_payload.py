"""What a callback says (memories.ai docs, "Callback Notification Payload"), read leniently. Pure.

A callback is a paid result that cannot be requested again, and only the service has its token. So
every charset and every near miss of JSON is read, and what stays unclear is reported with its bytes.
"""

from __future__ import annotations

import codecs
import json
import math
import re
import zlib
from typing import Any, TypeGuard

from memories_async._protocol import wire_json
from memories_async._protocol.decode import FAILED, READY, read_integer
from memories_async.captions import Caption, read_tokens
from memories_async.errors import BadReply, CaptionFailed

MAX_TASK_ID = 1_000
_TASK_FIELDS = ("task_id", "taskId")
_VIDEO_FIELDS = ("videoNo", "video_no")
_TEXT_FIELDS = ("text", "response")
_VIDEO_STATUS_FIELDS = ("status", "videoStatus", "video_status")
_REASON_FIELDS = ("msg", "message", "error", "reason")
_KNOWN_FIELDS = frozenset({"status", "task_id", "data"})
_SUCCESS_CODES = (0, 200)
_SUCCESS_WORDS = READY | {"SUCCEEDED"}
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def decompress(body: bytes, encodings: str, *, limit: int) -> bytes:
    """Undo gzip and deflate; a body not compressed so, or longer than *limit*, stays as it is."""
    for encoding in reversed(encodings.lower().split(",")):
        if encoding.strip() in {"gzip", "x-gzip", "deflate"}:
            body = _inflate(body, limit)
    return body


def _inflate(body: bytes, limit: int) -> bytes:
    for window_bits in (zlib.MAX_WBITS | 32, -zlib.MAX_WBITS):  # gzip's or zlib's header, or none
        inflater = zlib.decompressobj(window_bits)
        try:
            content = inflater.decompress(body, limit + 1)
        except zlib.error:
            continue
        return content if inflater.eof and len(content) <= limit else body
    return body


def parse(body: bytes, content_type: str = "") -> dict[str, Any] | None:
    """Return the JSON object in a body, or None if there is none to be read."""

    def parse_float(digits: str) -> float | None:
        number = float(digits)
        return number if math.isfinite(number) else None

    def load(text: str) -> Any:
        # strict=False accepts control characters in strings. NaN becomes null, which can be written.
        return json.loads(
            text, strict=False, parse_constant=lambda _: None, parse_float=parse_float
        )

    try:
        text = _decode(body, content_type).strip("\ufeff\0 \t\r\n")
        document = load(text)
        if isinstance(document, str):  # JSON within JSON
            document = load(document)
        if "\\u" in text:
            # Half of a surrogate pair could not be written anywhere, so it is replaced.
            halves = json.dumps(document, ensure_ascii=False).encode("utf-16", "surrogatepass")
            document = load(halves.decode("utf-16", "replace"))
    except (ValueError, RecursionError):
        return None
    if wire_json.is_array(document) and len(document) == 1:
        document = document[0]
    return document if wire_json.is_object(document) else None


def summarize(document: dict[str, Any]) -> tuple[str | None, bool]:
    """Return the id of the task or video, if the body names it, and whether it says how that ended."""
    data, is_caption = _data(document), _find_text_field(document) is not None
    # A caption may also name the video that it describes.
    fields = _TASK_FIELDS if is_caption else _TASK_FIELDS + _VIDEO_FIELDS
    ids = [place.get(name) for name in fields for place in (document, data)]
    words = [place.get(name) for name in _VIDEO_STATUS_FIELDS for place in (document, data)]
    is_decided = any(_read_word(word) in READY | FAILED for word in words)
    is_final = is_caption or is_decided or _read_success(document) is False
    return next((value for value in ids if _is_task_id(value)), None), is_final


def read_caption(body: bytes, content_type: str, *, call: str) -> Caption:
    """Return the caption; raise `CaptionFailed` for a failure and `BadReply` for an unclear body."""
    document = parse(body, content_type) or {}
    text_field = _find_text_field(document)
    if text_field is not None:
        return _build_caption(document, text_field)
    if _read_success(document) is False:
        raise CaptionFailed(_find_reason(document), call=call, code="-1", body=body)
    raise BadReply(
        "the callback does not have the documented form; should a readable one follow, "
        "waiting again returns it",
        call=call,
        body=body,
    )


def _decode(body: bytes, content_type: str) -> str:
    """Decode by the byte order mark, else the declared charset, else UTF-8, else as is most likely."""
    detected = json.detect_encoding(body)
    found = re.search(r'charset\s*=\s*["\']?([\w.:-]+)', content_type, re.IGNORECASE)
    declared = "" if found is None else found[1]
    for name in (declared, "utf-8") if detected == "utf-8" else (detected, declared, "utf-8"):
        try:
            # Python takes ten seconds to decode 256 KB of Punycode, so it is not used.
            if codecs.lookup(name).name != "punycode":
                return body.decode(name)
        except (LookupError, ValueError):
            continue
    text = body.decode("utf-8", "replace")
    if any(character > "\x7f" and character != _REPLACEMENT for character in text):
        return text  # UTF-8 with a mistake in it
    return body.decode("cp1252", "replace")


def _is_task_id(value: object) -> TypeGuard[str]:
    if not isinstance(value, str) or _REPLACEMENT in value:
        return False
    return 0 < len(value) <= MAX_TASK_ID and value.isprintable()


def _read_word(value: object) -> str:
    return value.strip().upper() if isinstance(value, str) else ""


def _data(document: dict[str, Any]) -> dict[str, Any]:
    data = document.get("data")
    return data if wire_json.is_object(data) else {}


def _read_success(document: dict[str, Any]) -> bool | None:
    """Read `status`, else `code`, else `success` and `failed`; None where they leave it open."""
    for value in (document.get("status"), document.get("code")):
        if _read_word(value) in _SUCCESS_WORDS | FAILED:
            return _read_word(value) in _SUCCESS_WORDS
        try:
            number = read_integer(value)
        except (TypeError, ValueError, OverflowError):
            continue
        return False if number < 0 else True if number in _SUCCESS_CODES else None
    if document.get("failed") is True or document.get("success") is False:
        return False
    return True if document.get("success") is True else None


def _find_text_field(document: dict[str, Any]) -> str | None:
    """Return the name of the field of `data` that holds the caption of a success."""
    data = _data(document)
    names = [name for name in _TEXT_FIELDS if isinstance(data.get(name), str)]
    if not names or not _read_success(document):
        return None
    return next((name for name in names if data[name]), names[0])


def _build_caption(document: dict[str, Any], text_field: str) -> Caption:
    data = document["data"]
    token = data.get("token")
    tokens = read_tokens(token)
    is_unread = tokens is None and token is not None
    read = {text_field} if is_unread else {text_field, "token"}
    extra = {name: value for name, value in document.items() if name not in _KNOWN_FIELDS}
    extra |= {name: value for name, value in data.items() if name not in read}
    return Caption(text=data[text_field], tokens=tokens, extra=extra)


def _find_reason(document: dict[str, Any]) -> str:
    """Find the service's words for a failure; its pages show no sample of one."""
    data = document.get("data")
    places: list[object] = [document.get(name) for name in _REASON_FIELDS]
    places += [_data(document).get(name) for name in (*_REASON_FIELDS, *_TEXT_FIELDS)]
    places.append(data)
    words = next((one for one in places if isinstance(one, str) and one), "no reason given")
    printable = "".join(c if c.isprintable() else _REPLACEMENT for c in words[:300])
    return f"captioning failed: {printable}"
