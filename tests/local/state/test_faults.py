"""PageLimits decide, without any socket, which request goes wrong and how."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memories_async.local import Fault
from memories_async.local.state.faults import Faults, parse_header, parse_json


def strikes(faults, *routes):
    return [faults.take(route)[0] is not None for route in routes]


def test_strikes_once_unless_told_otherwise():
    """One rule is one accident."""
    faults = Faults()
    faults.add(kind="drop")

    assert strikes(faults, "clips.search", "clips.search") == [True, False]
    assert list(faults) == []


def test_lets_the_first_pass_and_strikes_so_many():
    """Skip, then strike; None means for ever."""
    faults = Faults()
    faults.add(kind="drop", skip=1, times=2)
    assert strikes(faults, *["x.y"] * 4) == [False, True, True, False]

    faults.add(Fault(kind="drop", times=None))
    assert strikes(faults, *["x.y"] * 3) == [True] * 3
    assert len(list(faults)) == 1


def test_meets_a_route_or_a_whole_family():
    """A rule for another route is not used up."""
    faults = Faults()
    faults.add(kind="drop", route="captions")
    faults.add(kind="reset", route="clips.search")

    assert strikes(faults, "embeddings.video", "captions.upload", "clips.search") == [
        False,
        True,
        True,
    ]


def test_one_request_takes_one_fault_of_each_sort():
    """A lost reply and an early callback can meet in one request."""
    faults = Faults()
    early = faults.add(callback="early")
    lost = faults.add(kind="drop", when="after")

    assert faults.take("captions.upload") == (lost, early)


def test_only_captions_and_uploads_have_a_later_result():
    """A search does not use up what was meant for a result."""
    faults = Faults()
    early = faults.add(callback="early")

    assert faults.take("clips.search") == (None, None)
    assert faults.take("videos.metadata") == (None, None)
    assert faults.take("captions.upload_file") == (None, early)
    faults.add(early)
    assert faults.take("videos.upload") == (None, early)


def test_dice_repeat_after_clear():
    """Chance is seeded: the same run meets the same accidents."""
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
def test_names_itself_by_what_it_does_when(kind, when, name):
    """What spoils a reply comes after the work by itself, anything else before."""
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
def test_refuses_a_rule_that_makes_no_sense(fields, sentence):
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
def test_reads_the_short_form_and_json(text, faults):
    """A header is enough to order an accident."""
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
def test_refuses_what_it_cannot_read(text, sentence):
    """Unknown fields and bad values are errors, not silence."""
    with pytest.raises(ValueError, match=sentence):
        parse_header(text)


@given(st.text())
def test_any_text_is_a_rule_or_a_value_error(text):
    """No header takes the service down."""
    for read in (parse_header, lambda one: parse_json(one.encode("utf-8", "surrogatepass"))):
        with suppress(ValueError):
            read(text)
