"""Finished spans as a tree that a person can read."""

from __future__ import annotations

from collections import defaultdict

LEFT_OUT = (
    "gen_ai.",
    "server.",
    "url.",
    "http.request.method",
    "memories.call",
    "memories.account",
)
"""Attributes that are the same on every span, or different in every run."""


def draw_tree(spans, *, durations: bool = True) -> str:
    """Draw *spans*, each below its parent, in the order in which they began."""
    children = defaultdict(list)
    known = {span.context.span_id for span in spans}
    for span in sorted(spans, key=lambda span: span.start_time):
        parent = span.parent.span_id if span.parent else None
        children[parent if parent in known else None].append(span)
    lines: list[str] = []

    def draw(parent: int | None, depth: int) -> None:
        for span in children[parent]:
            milliseconds = f"{(span.end_time - span.start_time) / 1e6:.0f} ms" if durations else ""
            status = "ERROR" if span.status.status_code.name == "ERROR" else ""
            facts = write_facts(span.attributes, durations=durations)
            parts = (span.name, milliseconds, span.kind.name, status, facts)
            lines.append("  " * depth + "  ".join(part for part in parts if part))
            lines.extend(
                f"{'  ' * (depth + 1)}· {event.name}  "
                + write_facts(event.attributes or {}, durations=durations)
                for event in span.events
            )
            draw(span.context.span_id, depth + 1)

    draw(None, 0)
    return "\n".join(line.rstrip() for line in lines)


def write_facts(attributes, *, durations: bool) -> str:
    """Write what is particular to a span or an event."""
    return " ".join(
        f"{name.removeprefix('memories.')}={value:.3f}"
        if isinstance(value, float)
        else f"{name.removeprefix('memories.')}={value}"
        for name, value in attributes.items()
        if not name.startswith(LEFT_OUT)
        and name != "memories.batch_id"
        and (durations or not isinstance(value, float))
    )
