"""Typed values from loosely written JSON: tolerant of spelling, strict about sense."""

from __future__ import annotations

import pytest

from memories_async._protocol import decode


@pytest.mark.parametrize(("value", "read"), [(1, 1.0), (0.5, 0.5), ("0.5", 0.5), ("-7", -7.0)])
def test_numbers_may_be_text(value, read):
    """As some of the service's replies write them."""
    assert decode.read_number(value) == read


@pytest.mark.parametrize("value", [True, None, [], {}, b"1"])
def test_other_types_are_no_numbers(value):
    """A boolean least of all."""
    with pytest.raises(TypeError, match="expected a number"):
        decode.read_number(value)


@pytest.mark.parametrize("value", ["nan", "inf", float("inf"), "1e999"])
def test_numbers_are_finite(value):
    """Nothing can be done with the others."""
    with pytest.raises(ValueError, match="finite"):
        decode.read_number(value)


def test_a_number_too_long_to_be_a_float_is_an_overflow():
    """Which whoever reads a reply reports as a bad reply."""
    with pytest.raises(OverflowError):
        decode.read_number(10**400)


@pytest.mark.parametrize(("value", "read"), [(7, 7), (7.0, 7), ("7", 7), ("7.0", 7)])
def test_whole_numbers(value, read):
    """As number or text."""
    assert decode.read_integer(value) == read


@pytest.mark.parametrize("spelled", [int, str])
def test_a_long_number_is_exact(spelled):
    """The service's ids go beyond what a float can hold."""
    assert decode.read_integer(spelled(2**53 + 1)) == 2**53 + 1


def test_half_a_token_is_refused():
    """It would be a misread field."""
    with pytest.raises(ValueError, match="whole"):
        decode.read_integer(0.5)


def test_words_are_text_that_can_be_written():
    """No number, and no half of a character."""
    assert decode.read_text("é") == "é"
    with pytest.raises(TypeError, match="expected text"):
        decode.read_text(7)
    with pytest.raises(ValueError, match="surrogates"):
        decode.read_text("\ud800")


@pytest.mark.parametrize(("data", "nothing"), [(None, True), ({}, True), ([], False), (0, False)])
def test_none_has_two_spellings(data, nothing):
    """Null and the empty object."""
    assert decode.is_empty(data) is nothing
