"""Faults on request: rules that say what shall go wrong, for which requests, and how often. Pure.

A rule comes from `service.faults.add(...)`, from `POST /_local/faults`, or, for one request alone,
from its header `X-Local-Fault`. What a fault then does to a socket is in `misbehave`, what it does
to a callback in `callbacks`.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any, Literal, get_args

import cattrs
from attrs import Factory, define, field, frozen
from cattrs.errors import ClassValidationError

from memories_async._protocol import wire_json

__all__ = ["CallbackKind", "Fault", "Faults", "Kind", "from_header"]

Kind = Literal[
    "delay", "drop", "reset", "status", "code", "null", "redirect", "garble", "truncate", "slow"
]
CallbackKind = Literal["early", "duplicate", "missing", "delay", "conflict", "failure"]
When = Literal["before", "after"]

# These spoil a reply, so there must be one: the work is done and paid.
_OF_A_REPLY = frozenset({"garble", "truncate", "slow"})
# What is worked on after its reply, and may tell of it by callback.
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
    """One rule: either a *kind*, for the request itself, or a *callback*, for its later result."""

    kind: Kind | None = None
    """`delay` waits; `drop` closes the connection after reading the request, `reset` breaks it at
    once; `status`, `code` and `redirect` answer something else; `null` answers success with `data`
    null, as the library does for a while after an upload; `garble` cuts the JSON but not its
    length, `truncate` closes in the middle of the body, `slow` sends it byte by byte."""
    callback: CallbackKind | None = None
    """`early` delivers before the submit reply, `duplicate` *n* times, `missing` never, `delay`
    after *seconds*; `conflict` adds a second, different result; `failure` has the work fail: a
    caption reports status -1, an upload is never parsed."""
    route: str | None = None
    """`clips.search`, or its family `clips`; None means every route."""
    times: int | None = 1
    """How many requests it meets; None means all."""
    skip: int = 0
    """How many requests pass unharmed first."""
    chance: float = 1.0
    """How likely it meets a request, from the service's own seeded dice."""
    when: When | None = None
    """`before` the work: nothing is done and nothing is paid. `after`: it is done and paid. None
    means before, except for what spoils a reply."""
    seconds: float = 0.0
    """To wait before acting; for `slow`, between two bytes."""
    status: int | None = None
    """HTTP status of `status` (default 503) and `redirect` (default 307)."""
    code: str = "0429"
    """Business code of `code`, in the search host's spelling."""
    message: str | None = None
    """The sentence of `code`, as in "Network abnormal, please try again later." for code 0001."""
    retry_after: str | None = None
    """Header `Retry-After` of `status` and `code`, sent as it is."""
    location: str | None = None
    """Target of `redirect`; by default a page of this service that nothing should ask for."""
    body: str | None = None
    """Body of `status`, instead of a proxy's page."""
    n: int = 2
    """Deliveries of `duplicate`."""

    def __attrs_post_init__(self) -> None:
        """Refuse a rule that contradicts itself, or that the types forbid and JSON may bring."""
        for value, allowed in ((self.kind, Kind), (self.callback, CallbackKind), (self.when, When)):
            if value not in (None, *get_args(allowed)):
                raise ValueError(f"{value!r} is none of {', '.join(get_args(allowed))}")
        if (self.kind is None) == (self.callback is None):
            raise ValueError("a fault has either a kind or a callback")
        if self.kind in _OF_A_REPLY and self.when == "before":
            raise ValueError(f"{self.kind} spoils a reply, so it cannot come before the work")
        if not 0 <= self.chance <= 1:
            raise ValueError("chance is from 0 to 1")
        if (
            min(1 if self.times is None else self.times, self.n) < 1
            or min(self.skip, self.seconds) < 0
        ):
            raise ValueError("times and n are at least 1, skip and seconds at least 0")

    @property
    def before(self) -> bool:
        """Whether it acts before the work."""
        return self.when != "after" and self.kind not in _OF_A_REPLY

    def __str__(self) -> str:
        """Name it for the request_log, as `drop after` or `callback early`."""
        if self.kind is None:
            return f"callback {self.callback}"
        return f"{self.kind} {'before' if self.before else 'after'}"

    def meets(self, route: str) -> bool:
        """Whether it is meant for *route*; only captions and uploads have a later result."""
        family = route.split(".", maxsplit=1)[0]
        fits = self.callback is None or route in _WITH_RESULT
        return fits and self.route in (None, route, family)


@define
class _Rule:
    fault: Fault
    skip: int
    left: int | None

    def use_up(self, dice: Random) -> bool:
        """Count one request that fits; True when the fault is to strike."""
        if self.skip > 0:
            self.skip -= 1
            return False
        if self.left == 0 or dice.random() >= self.fault.chance:
            return False
        if self.left is not None:
            self.left -= 1
        return True


@define(eq=False)
class Faults:
    """The rules in force, oldest first."""

    seed: int = 0
    _rules: list[_Rule] = Factory(list[_Rule])
    _dice: Random = field(init=False)

    def __attrs_post_init__(self) -> None:
        """Take up the dice."""
        self._dice = Random(self.seed)  # noqa: S311  # dice for faults, and they must repeat

    def __iter__(self) -> Iterator[Fault]:
        """Give every rule that can still strike."""
        return iter([rule.fault for rule in self._rules if rule.left != 0])

    def add(self, fault: Fault | None = None, /, **fields: Any) -> Fault:
        """Add a rule, given whole or by its fields."""
        rule = fault if fault is not None else Fault(**fields)
        self._rules.append(_Rule(rule, rule.skip, rule.times))
        return rule

    def clear(self) -> None:
        """Drop every rule, and roll the dice from their start again."""
        self._rules.clear()
        self._dice = Random(self.seed)  # noqa: S311  # see above

    def take(self, route: str) -> tuple[Fault | None, Fault | None]:
        """Use up what strikes this request: the first fault for itself, the first for its callback.

        Each request uses up at most one rule of either sort; rules it did not come to are untouched.
        """
        kinds = (rule for rule in self._rules if rule.fault.kind is not None)
        callbacks = (rule for rule in self._rules if rule.fault.callback is not None)
        return self._strike(kinds, route), self._strike(callbacks, route)

    def _strike(self, rules: Iterator[_Rule], route: str) -> Fault | None:
        for rule in rules:
            if rule.fault.meets(route) and rule.use_up(self._dice):
                return rule.fault
        return None


_CONVERTER = cattrs.Converter(forbid_extra_keys=True, prefer_attrib_converters=True)


def structure(fields: object) -> Fault:
    """Read a rule from a JSON object; raises ValueError naming what is wrong."""
    if not wire_json.is_object(fields):
        raise ValueError("a fault is a JSON object")
    try:
        return _CONVERTER.structure(fields, Fault)
    except ClassValidationError as error:
        raise ValueError("; ".join(cattrs.transform_error(error))) from None


def from_json(text: bytes) -> tuple[Fault, ...]:
    """Read one rule, or a list of them; raises ValueError."""
    document = wire_json.loads(text)
    return tuple(
        structure(one) for one in (document if wire_json.is_array(document) else [document])
    )


_MAIN_FIELD = {
    "delay": "seconds", "slow": "seconds", "status": "status", "code": "code",
    "redirect": "location", "duplicate": "n",
}  # fmt: skip


def from_header(text: str) -> tuple[Fault, ...]:
    """Read `X-Local-Fault`: JSON, one rule or a list, or the short form.

    The short form is `kind[=value][; field=value]...`, several separated by commas:
    `drop; when=after`, `status=503; retry_after=2`, `callback=duplicate; n=3, delay=0.2`.
    """
    if text.lstrip().startswith(("{", "[")):
        return from_json(text.encode())
    return tuple(structure(_short(one)) for one in text.split(",") if one.strip())


def _short(text: str) -> dict[str, Any]:
    head, *rest = (_pair(part) for part in text.split(";"))
    name, value = head
    fields: dict[str, Any] = dict(rest)
    if name == "callback":
        return {"callback": value, **fields}
    if not value:
        return {"kind": name, **fields}
    if name not in _MAIN_FIELD:
        raise ValueError(f"{name} takes no value")
    return {"kind": name, _MAIN_FIELD[name]: value, **fields}


def _pair(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name.strip(), value.strip()
