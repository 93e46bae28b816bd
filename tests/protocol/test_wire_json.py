"""JSON from strangers: two readers, one behaviour (fault case 43)."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from memories_async._protocol import wire_json

READERS = [wire_json._load_with_stdlib, orjson.loads]
documents = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text() | st.floats(-1e9, 1e9),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
BAD = {
    "empty": b"",
    "html": b"<html>",
    "truncated": b'{"code": "00',
    "nan": b'{"a": NaN}',
    "infinity": b"[-Infinity]",
    "surrogate": b'["\\ud800"]',
    "bom": b"\xef\xbb\xbf{}",
    "utf-16": '{"a": 1}'.encode("utf-16"),
    "latin-1": b'["\xe9"]',
    "nesting": b"[" * 100_000 + b"]" * 100_000,
    "two": b"{} {}",
    "control": b'["\n"]',
}


@pytest.fixture(params=READERS, ids=["stdlib", "orjson"])
def _reader(request, monkeypatch):
    monkeypatch.setattr(wire_json, "_parse", request.param)


@pytest.mark.usefixtures("_reader")
@pytest.mark.parametrize("body", BAD.values(), ids=BAD)
def test_what_is_not_json_raises_one_error(body):
    """Both parsers refuse the same documents with the same error."""
    with pytest.raises(wire_json.NotJson) as caught:
        wire_json.loads(body)

    assert caught.value.__suppress_context__


@pytest.mark.usefixtures("_reader")
@given(document=documents)
def test_loads_reads_what_dumps_wrote(document):
    """Nothing is lost."""
    assert wire_json.loads(wire_json.dumps(document)) == document


@pytest.mark.usefixtures("_reader")
@pytest.mark.parametrize("digits", [19, 25, 5_000])
def test_a_number_beyond_64_bits_is_read_or_refused(digits):
    """It is a number or `NotJson`."""
    try:
        number = wire_json.loads(b"9" * digits)
    except wire_json.NotJson:
        return
    assert math.isclose(float(number), float("9" * digits))


@pytest.mark.parametrize("text", [b"[1e999]", b"[" + b"9" * 400 + b".0]"])
def test_a_number_that_overflows_is_refused_or_left_infinite(text):
    """orjson refuses it; the standard library leaves that to `decode.read_number`."""
    assert wire_json._load_with_stdlib(text) == [math.inf]
    with pytest.raises(ValueError, match=r"[Nn]umber|literal"):
        orjson.loads(text)


@pytest.mark.usefixtures("_reader")
def test_the_last_of_duplicate_keys_counts():
    """In both parsers."""
    assert wire_json.loads(b'{"a": 1, "a": 2}') == {"a": 2}


@given(documents)
def test_equal_documents_have_one_canonical_form(document):
    """The order of fields does not change a fingerprint."""
    shuffled = json.loads(json.dumps(document, sort_keys=True))

    assert wire_json.canonical(shuffled) == wire_json.canonical(document)


def test_dumps_writes_compact_utf8_without_nan():
    """A prompt in any language is sent as it is."""
    assert wire_json.dumps({"b": "é", "a": [1, None]}) == '{"b":"é","a":[1,null]}'.encode()
    with pytest.raises(ValueError, match="not JSON compliant"):
        wire_json.dumps([math.nan])


@given(document=st.dictionaries(st.text(), st.text() | st.integers() | st.floats(-1, 1)))
@example({"\ud800": 'a\x00\x1f\x7f"\\\u2028'})
@example({"a": "\ud800"})
def test_both_writers_write_the_same_bytes(document):
    """orjson writes what is text, the standard library the rest."""
    by_stdlib = wire_json._encode(document).encode("utf-8", "backslashreplace")

    assert wire_json.dumps(document) == by_stdlib


def test_the_standard_library_is_used_without_orjson():
    """orjson is there for CPython alone."""
    source = Path(wire_json.__file__).read_text()
    module: dict[str, Any] = {"__name__": "wire_json"}
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(sys.modules, "orjson", None)
        exec(source, module)

    assert wire_json._parse is orjson.loads
    assert module["_parse"] is module["_load_with_stdlib"]
    assert module["dumps"]({"a": "b"}) == b'{"a":"b"}'


def test_objects_and_arrays_are_told_apart():
    """Other types are neither."""
    assert wire_json.is_object({})
    assert not wire_json.is_object([])
    assert wire_json.is_array([])
    assert not wire_json.is_array("")


@given(documents)
@example('\x7f\x00\x1f\u2028"\\/')
@example({"\ud83d": "a", "\U0001f600": "b", "\uffff": "c"})
def test_the_canonical_form_is_that_of_the_standard_library(document):
    """Fingerprints of older ledgers depend on it: another byte would be another call, paid again."""
    wanted = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()

    assert wire_json.canonical(document) == wanted
