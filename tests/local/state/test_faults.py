"""Faults decide, without a socket, which request goes wrong and how."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memories_async.local import Fault
from memories_async.local.state.faults import Faults, parse_header, parse_json


def strikes(faults, *routes):
    return [faults.take(route)[0] is not None for route in routes]


def test_fault_applies_once_by_default():
    """Then it is gone."""
    faults = Faults()
    faults.add(kind="drop")

    assert strikes(faults, "clips.search", "clips.search") == [True, False]
    assert list(faults) == []


def test_fault_skips_and_then_applies_a_number_of_times():
    """None means for ever."""
    faults = Faults()
    faults.add(kind="drop", skip=1, times=2)
    assert strikes(faults, *["x.y"] * 4) == [False, True, True, False]

    faults.add(Fault(kind="drop", times=None))
    assert strikes(faults, *["x.y"] * 3) == [True] * 3
    assert len(list(faults)) == 1


def test_fault_applies_to_a_route_or_to_all_that_begin_alike():
    """A fault of another route is not counted down."""
    faults = Faults()
    faults.add(kind="drop", route="captions")
    faults.add(kind="reset", route="clips.search")

    assert strikes(faults, "embeddings.video", "captions.upload", "clips.search") == [
        False,
        True,
        True,
    ]


def test_request_takes_one_fault_of_each_sort():
    """A lost reply and an early callback can meet in one request."""
    faults = Faults()
    early = faults.add(callback="early")
    lost = faults.add(kind="drop", when="after")

    assert faults.take("captions.upload") == (lost, early)


def test_callback_faults_apply_to_captions_and_uploads_only():
    """A search does not count them down."""
    faults = Faults()
    early = faults.add(callback="early")

    assert faults.take("clips.search") == (None, None)
    assert faults.take("videos.metadata") == (None, None)
    assert faults.take("captions.upload_file") == (None, early)
    faults.add(early)
    assert faults.take("videos.upload") == (None, early)


def test_chances_repeat_after_clear():
    """They are seeded."""
    faults = Faults(seed=3)
    runs = []
    for _ in range(2):
        faults.add(kind="drop", chance=0.5, times=None)
        runs.append(strikes(faults, *["x.y"] * 50))
        faults.clear()

    assert runs[0] == runs[1]
    assert 5 < sum(runs[0]) < 45


@pytest.mark.parametrize(
    ("kind", "when", "name"),
    [
        ("drop", None, "drop before"),
        ("status", "after", "status after"),
        ("garble", None, "garble after"),
    ],
)
def test_fault_names_its_kind_and_its_moment(kind, when, name):
    """A fault that damages a reply comes after the work, any other before it, by default."""
    assert str(Fault(kind=kind, when=when)) == name


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({}, "either a kind or a callback"),
        ({"kind": "drop", "callback": "early"}, "either a kind or a callback"),
        ({"kind": "explode"}, "'explode' is none of"),
        ({"callback": "drop"}, "'drop' is none of"),
        ({"kind": "drop", "when": "during"}, "'during' is none of"),
        ({"kind": "slow", "when": "before"}, "cannot come before the work"),
        ({"kind": "drop", "chance": 1.1}, "from 0 to 1"),
        ({"kind": "drop", "times": 0}, "at least 1"),
        ({"kind": "drop", "skip": -1}, "at least 0"),
        ({"kind": "delay", "seconds": -1}, "at least 0"),
        ({"callback": "duplicate", "n": 0}, "at least 1"),
    ],
)
def test_contradictory_fault_is_refused(fields, sentence):
    """A test with a misspelt fault must not pass for want of it."""
    with pytest.raises(ValueError, match=sentence):
        Fault(**fields)


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("drop", [Fault(kind="drop")]),
        ("drop; when=after", [Fault(kind="drop", when="after")]),
        ("status=502;retry_after=3", [Fault(kind="status", status=502, retry_after="3")]),
        ("code=0402", [Fault(kind="code", code="0402")]),
        ("delay=0.2, callback=duplicate; n=3", [
            Fault(kind="delay", seconds=0.2), Fault(callback="duplicate", n=3),
        ]),
        ("redirect=http://elsewhere/", [Fault(kind="redirect", location="http://elsewhere/")]),
        ('{"kind": "drop", "times": null}', [Fault(kind="drop", times=None)]),
        ('[{"kind": "reset"}]', [Fault(kind="reset")]),
        ("", []),
    ],
)  # fmt: skip
def test_header_is_read_in_short_form_and_as_json(text, faults):
    """One fault or several."""
    assert list(parse_header(text)) == faults


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("drop=1", "drop takes no value"),
        ("drop; tims=2", "tims"),
        ("status=soon", "status"),
        ("callback", "not in literal"),
        ("{", "not JSON"),
        ("[3]", "a fault is a JSON object"),
        ('{"kind": "drop", "tims": 2}', "tims"),
    ],
)
def test_unreadable_header_is_refused(text, sentence):
    """Unknown fields and bad values are errors."""
    with pytest.raises(ValueError, match=sentence):
        parse_header(text)


@given(st.text())
def test_any_header_is_a_fault_or_a_value_error(text):
    """No text raises anything else."""
    for read in (parse_header, lambda one: parse_json(one.encode("utf-8", "surrogatepass"))):
        with suppress(ValueError):
            read(text)
