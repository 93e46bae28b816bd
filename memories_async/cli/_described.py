"""What a call would send, in words: the dry run. Pure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from memories_async._protocol.call import Call, Fields, Form, Json, Part
from memories_async._protocol.reply import Host
from memories_async.cli._screen import Screen
from memories_async.cli._settings import Configuration
from memories_async.media import Media


def show_dry_run(screen: Screen, call: Call[Any], configuration: Configuration) -> None:
    """Show *call* instead of sending it."""
    limit = configuration.limits.of(call.family)
    fields = _fields(call)
    cost = f"1 {call.unit} if it succeeds" if call.unit else "nothing"
    url = configuration.hosts.of(call.host) + call.target
    limiter = (
        f"{limit.rate:g} every {limit.per:g} s" if limit.per != 1 else f"{limit.rate:g} a second"
    )
    screen.document(
        {
            "dry_run": True,
            "call": call.name,
            "method": call.method,
            "url": url,
            "fields": fields,
            "key_set": configuration.key(call.host) is not None,
            "cost": {"unit": call.unit, "amount": 1 if call.unit else 0},
            "repeatable": call.repeatable,
            "needs_callback": call.needs_callback,
        }
    )
    screen.say("Dry run: nothing was sent.", style="bold")
    screen.facts(
        [
            ("call", call.name),
            ("request", f"{call.method} {url}"),
            *((name, _shown(value)) for name, value in fields.items()),
            ("key", _key(call.host, configuration)),
            ("cost", cost),
            ("limiter", f"{limiter} for {call.family}, all programs of the account together"),
            ("repeat", _repeat(call)),
        ]
    )


def _fields(call: Call[Any]) -> dict[str, Any]:
    match call.body:
        case Json(document=document):
            fields = {"body": list(document)} if isinstance(document, tuple) else dict(document)
        case Fields(fields=pairs):
            fields = dict(pairs)
        case Form(parts=parts):
            fields = _parts(parts)
        case _:  # no body
            fields = {}
    return {**fields, "callback": "(filled in when sent)"} if call.needs_callback else fields


def _parts(parts: tuple[Part, ...]) -> dict[str, Any]:
    """Name the parts; repeated names are counted, a JSON part gives its own fields."""
    fields: dict[str, Any] = {}
    for part in parts:
        if isinstance(part.content, Json):
            fields |= dict(part.content.plain)
            continue
        count = sum(name.partition("[")[0] == part.name for name in fields)
        name = f"{part.name}[{count}]" if part.name == "files" else part.name
        fields[name] = _medium(part.content) if isinstance(part.content, Media) else part.content
    return fields


def _medium(medium: Media) -> dict[str, Any]:
    return {
        "file_name": medium.name,
        "content_type": medium.content_type,
        "size": medium.size,
        "source": str(medium.source) if isinstance(medium.source, Path) else "bytes",
    }


def _shown(value: Any) -> str:
    if isinstance(value, dict) and "file_name" in value:
        return f"{value['source']}: {value['size']:,} bytes, sent as {value['file_name']}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _key(host: Host, configuration: Configuration) -> str:
    key = configuration.key(host)
    return "none: set MEMORIES_API_KEY to send it" if key is None else f"from {key.variable}"


def _repeat(call: Call[Any]) -> str:
    if call.unit is None:
        return "free"
    return "the same answer, paid again" if call.repeatable else "another task, paid again"
