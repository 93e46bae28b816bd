"""Decoding: every spelling of a value is read, and what is missing or wrong is an error."""

from __future__ import annotations

import pytest

from memories_async._protocol import decode


@pytest.mark.parametrize(("value", "read"), [(1, 1.0), (0.5, 0.5), ("0.5", 0.5), ("-7", -7.0)])
def test_a_number_may_be_text(value, read):
    """Some replies of the service write them so."""
    assert decode.read_number(value) == read


@pytest.mark.parametrize("value", [True, None, [], {}, b"1"])
def test_another_type_is_not_a_number(value):
    """Booleans included."""
    with pytest.raises(TypeError, match="expected a number"):
        decode.read_number(value)


@pytest.mark.parametrize("value", ["nan", "inf", float("inf"), "1e999"])
def test_a_number_that_is_not_finite_is_refused(value):
    """As text or as a float."""
    with pytest.raises(ValueError, match="finite"):
        decode.read_number(value)


def test_a_number_too_long_for_a_float_overflows():
    """`Call.read` reports it as a bad reply."""
    with pytest.raises(OverflowError):
        decode.read_number(10**400)


@pytest.mark.parametrize(("value", "read"), [(7, 7), (7.0, 7), ("7", 7), ("7.0", 7)])
def test_an_integer_may_be_a_float_or_text(value, read):
    """If its fraction is zero."""
    assert decode.read_integer(value) == read


@pytest.mark.parametrize("spelled", [int, str])
def test_a_long_integer_is_exact(spelled):
    """The service's ids exceed what a float holds exactly."""
    assert decode.read_integer(spelled(2**53 + 1)) == 2**53 + 1


def test_a_fraction_is_not_an_integer():
    """It would be a misread field."""
    with pytest.raises(ValueError, match="whole"):
        decode.read_integer(0.5)


def test_text_must_be_encodable():
    """A number or a lone surrogate is refused."""
    assert decode.read_text("é") == "é"
    with pytest.raises(TypeError, match="expected text"):
        decode.read_text(7)
    with pytest.raises(ValueError, match="surrogates"):
        decode.read_text("\ud800")


@pytest.mark.parametrize(("data", "nothing"), [(None, True), ({}, True), ([], False), (0, False)])
def test_null_and_the_empty_object_are_empty(data, nothing):
    """The service writes "none" in both ways."""
    assert decode.is_empty(data) is nothing
