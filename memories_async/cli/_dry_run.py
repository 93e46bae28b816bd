"""What a call would send and cost: `--dry-run`. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from memories_async._protocol import wire_json
from memories_async._protocol.call import Call, Fields, Form, Json, Part
from memories_async.cli._screen import Screen, count_noun, format_points
from memories_async.cli._settings import Configuration
from memories_async.media import Media


def show_dry_run(
    screen: Screen,
    call: Call[Any],
    configuration: Configuration,
    prices: Mapping[str, float] = MappingProxyType({}),
) -> None:
    """Show *call* instead of sending it; *prices* are the points of units."""
    limit = configuration.limits.of(call.family)
    fields = list_fields(call)
    key = configuration.key(call.host)
    url = configuration.hosts.of(call.host) + call.target
    rate = f"{limit.rate:g} every {limit.per:g} s" if limit.per != 1 else f"{limit.rate:g} a second"
    if call.unit is None:
        repeat = "free"
    else:
        repeat = f"{'the same answer' if call.repeatable else 'another task'}, charged again"
    screen.document(
        {
            "dry_run": True,
            "call": call.name,
            "method": call.method,
            "url": url,
            "fields": fields,
            "key_set": key is not None,
            "cost": describe_cost(call.unit, 1 if call.unit else 0, prices),
            "repeatable": call.repeatable,
            "needs_callback": call.needs_callback,
        }
    )
    screen.say("Dry run: nothing was sent.", style="bold")
    screen.facts(
        [
            ("call", call.name),
            ("request", f"{call.method} {url}"),
            *((name, format_value(value)) for name, value in fields.items()),
            ("key", f"from {key.variable}" if key else "none: set MEMORIES_API_KEY to send it"),
            ("cost", format_cost(call.unit, 1, prices)),
            ("rate", f"{rate} for {call.family}, shared by all programs of the account"),
            ("repeat", repeat),
        ]
    )


def describe_cost(
    unit: str | None, amount: int, prices: Mapping[str, float]
) -> dict[str, str | float | None]:
    """Describe what successes are charged as; the points are None where their price is unknown."""
    price = 0.0 if unit is None else prices.get(unit)
    points = None if price is None else amount * price
    return {"unit": unit, "amount": amount, "points": points}


def format_cost(unit: str | None, amount: int, prices: Mapping[str, float]) -> str:
    """Write what successes are charged as."""
    if unit is None:
        return "nothing"
    points = f", {format_points(amount * prices[unit])} points" if unit in prices else ""
    return (
        f"{count_noun(amount, unit)} if {'it succeeds' if amount == 1 else 'all succeed'}{points}"
    )


def list_fields(call: Call[Any]) -> dict[str, Any]:
    """List the fields of the body by the service's names."""
    match call.body:
        case Json(document=document):
            fields = {"body": list(document)} if isinstance(document, tuple) else dict(document)
        case Fields(fields=pairs):
            fields = dict(pairs)
        case Form(parts=parts):
            fields = list_parts(parts)
        case _:  # no body
            fields = {}
    return {**fields, "callback": "(filled in when sent)"} if call.needs_callback else fields


def list_parts(parts: tuple[Part, ...]) -> dict[str, Any]:
    """List the parts of a form; repeated files are numbered, a JSON part gives its own fields."""
    fields: dict[str, Any] = {}
    for part in parts:
        content = part.content
        if isinstance(content, Json):
            fields |= dict(content.plain)
            continue
        count = sum(name.partition("[")[0] == part.name for name in fields)
        name = f"{part.name}[{count}]" if part.name == "files" else part.name
        if isinstance(content, Media):
            fields[name] = {
                "file_name": content.name,
                "content_type": content.content_type,
                "size": content.size,
                "source": str(content.source) if isinstance(content.source, Path) else "bytes",
            }
        elif name in fields:  # text that may be repeated, such as tags
            known = fields[name]
            fields[name] = [*(known if wire_json.is_array(known) else [known]), content]
        else:
            fields[name] = content
    return fields


def format_value(value: Any) -> str:
    """Write a field's value for a person."""
    if isinstance(value, dict) and "file_name" in value:
        return f"{value['source']}: {value['size']:,} bytes, sent as {value['file_name']}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
