"""Faults on request: which request goes wrong, how, and how often. Pure.

A fault is added by `service.faults.add(...)`, by `POST /_local/faults`, or, for one request alone, by
its header `X-Local-Fault`. `pipeline.fault_responses` carries it out on the connection,
`jobs.callbacks` on a callback.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from random import Random
from typing import Any, Literal, get_args

import cattrs
from attrs import Factory, define, field, frozen
from cattrs.errors import ClassValidationError

from memories_async._protocol import wire_json

__all__ = ["CallbackKind", "Fault", "Faults", "Kind", "parse_header", "parse_json"]

Kind = Literal[
    "delay", "drop", "reset", "status", "code", "null", "redirect", "garble", "truncate", "slow"
]
CallbackKind = Literal["early", "duplicate", "missing", "delay", "conflict", "failure"]
When = Literal["before", "after"]

# These damage a reply, so there must be one: the work is done and paid.
_OF_A_REPLY = frozenset({"garble", "truncate", "slow"})
# Routes whose work goes on after the reply, and is reported by callback.
_WITH_RESULT = frozenset(
    {
        "captions.upload",
        "captions.upload_file",
        "videos.upload",
        "videos.upload_url",
        "assets.upload",
    }
)


@frozen(kw_only=True)
class Fault:
    """A fault of the request itself (*kind*) or of its later result (*callback*); one of the two."""

    kind: Kind | None = None
    """`delay` waits before it answers. `drop` closes the connection after reading the request,
    `reset` resets it at once. `status`, `code` and `redirect` answer something else. `null` answers
    success with `data` null, as the service does for a while after an upload. `garble` sends JSON
    that cannot be parsed, `truncate` closes the connection in the middle of the body, `slow` sends
    the body byte by byte."""
    callback: CallbackKind | None = None
    """`early` delivers before the reply to the request, `duplicate` *n* times, `missing` never,
    `delay` after *seconds*. `conflict` adds a second, different result. `failure` lets the work
    fail: a caption reports status -1, an upload is never parsed."""
    route: str | None = None
    """A route such as `clips.search`, or the first part of several (`clips`); None means all."""
    times: int | None = 1
    """Number of requests that it applies to; None means all."""
    skip: int = 0
    """Number of matching requests that are answered normally first."""
    chance: float = 1.0
    """Probability that it applies to a request, by the service's seeded random numbers."""
    when: When | None = None
    """`before` the work: nothing is done and nothing is paid. `after`: the work is done and paid.
    None means before, except for `garble`, `truncate` and `slow`."""
    seconds: float = 0.0
    """Delay before it acts; for `slow`, between two bytes."""
    status: int | None = None
    """HTTP status of `status` (503 by default) and `redirect` (307 by default)."""
    code: str = "0429"
    """Business code of `code`, as the search host writes it."""
    message: str | None = None
    """Message of `code`, as in "Network abnormal, please try again later." for code 0001."""
    retry_after: str | None = None
    """Header `Retry-After` of `status` and `code`, sent unchanged."""
    location: str | None = None
    """Target of `redirect`; by default a path of this service that no client should request."""
    body: str | None = None
    """Body of `status`, instead of a proxy's HTML page."""
    n: int = 2
    """Number of deliveries of `duplicate`."""

    def __attrs_post_init__(self) -> None:
        """Raise `ValueError` for a contradiction, and for values that the types forbid."""
        for value, allowed in ((self.kind, Kind), (self.callback, CallbackKind), (self.when, When)):
            if value not in (None, *get_args(allowed)):
                raise ValueError(f"{value!r} is none of {', '.join(get_args(allowed))}")
        if (self.kind is None) == (self.callback is None):
            raise ValueError("a fault has either a kind or a callback")
        if self.kind in _OF_A_REPLY and self.when == "before":
            raise ValueError(f"{self.kind} damages a reply, so it cannot come before the work")
        if not 0 <= self.chance <= 1:
            raise ValueError("chance is from 0 to 1")
        if (
            min(1 if self.times is None else self.times, self.n) < 1
            or min(self.skip, self.seconds) < 0
        ):
            raise ValueError("times and n are at least 1, skip and seconds at least 0")

    @property
    def is_before_work(self) -> bool:
        """Whether it acts before the work is done."""
        return self.when != "after" and self.kind not in _OF_A_REPLY

    def __str__(self) -> str:
        """Name it for the request log, as in `drop after` or `callback early`."""
        if self.kind is None:
            return f"callback {self.callback}"
        return f"{self.kind} {'before' if self.is_before_work else 'after'}"

    def applies_to(self, route: str) -> bool:
        """Whether it is meant for *route*; only captions and uploads have a later result."""
        family = route.split(".", maxsplit=1)[0]
        fits = self.callback is None or route in _WITH_RESULT
        return fits and self.route in (None, route, family)


@define
class _ActiveFault:
    fault: Fault
    skip: int
    left: int | None

    def count_down(self, random: Random) -> bool:
        """Count one matching request; True when the fault applies to it."""
        if self.skip > 0:
            self.skip -= 1
            return False
        if self.left == 0 or random.random() >= self.fault.chance:
            return False
        if self.left is not None:
            self.left -= 1
        return True


@define(eq=False)
class Faults:
    """The faults in force, oldest first. Iterating gives those that can still strike."""

    seed: int = 0
    _active: list[_ActiveFault] = Factory(list[_ActiveFault])
    _random: Random = field(init=False)

    def __attrs_post_init__(self) -> None:
        """Seed the random numbers."""
        self._random = Random(self.seed)  # noqa: S311  # they must repeat

    def __iter__(self) -> Iterator[Fault]:
        """Iterate over the faults that can still strike."""
        return iter([one.fault for one in self._active if one.left != 0])

    def add(self, fault: Fault | None = None, /, **fields: Any) -> Fault:
        """Add a fault, given as a value or by its fields."""
        added = fault if fault is not None else Fault(**fields)
        self._active.append(_ActiveFault(added, added.skip, added.times))
        return added

    def clear(self) -> None:
        """Remove every fault, and start the random numbers again from the seed."""
        self._active.clear()
        self._random = Random(self.seed)  # noqa: S311  # they must repeat

    def take(self, route: str) -> tuple[Fault | None, Fault | None]:
        """Take what applies to one request: a fault of the request, and one of its callback.

        The oldest matching fault of each sort is counted down; all others are left as they are.
        """
        requests = [one for one in self._active if one.fault.kind is not None]
        callbacks = [one for one in self._active if one.fault.callback is not None]
        return self._take_first(requests, route), self._take_first(callbacks, route)

    def _take_first(self, candidates: Iterable[_ActiveFault], route: str) -> Fault | None:
        for one in candidates:
            if one.fault.applies_to(route) and one.count_down(self._random):
                return one.fault
        return None


_CONVERTER = cattrs.Converter(forbid_extra_keys=True, prefer_attrib_converters=True)


def _parse_fault(fields: object) -> Fault:
    if not wire_json.is_object(fields):
        raise ValueError("a fault is a JSON object")
    try:
        return _CONVERTER.structure(fields, Fault)
    except ClassValidationError as error:
        raise ValueError("; ".join(cattrs.transform_error(error))) from None


def parse_json(text: bytes) -> tuple[Fault, ...]:
    """Read one fault or a list of them; raises `ValueError` naming what is wrong."""
    document = wire_json.loads(text)
    several = document if wire_json.is_array(document) else [document]
    return tuple(_parse_fault(one) for one in several)


_MAIN_FIELD = {
    "delay": "seconds", "slow": "seconds", "status": "status", "code": "code",
    "redirect": "location", "duplicate": "n",
}  # fmt: skip


def parse_header(text: str) -> tuple[Fault, ...]:
    """Read `X-Local-Fault`: one fault or a list as JSON, or the short form.

    The short form is `kind[=value][; field=value]...`, several separated by commas:
    `drop; when=after`, `status=503; retry_after=2`, `callback=duplicate; n=3, delay=0.2`.
    """
    if text.lstrip().startswith(("{", "[")):
        return parse_json(text.encode())
    return tuple(_parse_fault(_parse_short(one)) for one in text.split(",") if one.strip())


def _parse_short(text: str) -> dict[str, Any]:
    pairs = [part.partition("=") for part in text.split(";")]
    (name, value), *rest = [(key.strip(), given.strip()) for key, _, given in pairs]
    fields: dict[str, Any] = dict(rest)
    if name == "callback":
        return {"callback": value, **fields}
    if not value:
        return {"kind": name, **fields}
    if name not in _MAIN_FIELD:
        raise ValueError(f"{name} takes no value")
    return {"kind": name, _MAIN_FIELD[name]: value, **fields}
