"""`Retry-After` in every spelling, also the impossible ones (fault case 23)."""

from __future__ import annotations

import math
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memories_async._protocol.retry_after import read_retry_after

NOW = 1_700_000_000.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": " 7.5 "}, 7.5),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "7"}, 7.0),
        ({"retry-after": "86400"}, 86400.0),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "1" + "0" * 400}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": formatdate(NOW + 30, usegmt=True)}, 30.0),
        ({"retry-after": formatdate(NOW - 30, usegmt=True)}, 0.0),
        ({"retry-after": "Fri, 31 Feb 2025 10:00:00 GMT"}, None),
        ({"retry-after": "Tue, 14 Nov 2023 22:13:50 -0000"}, 30.0),
        ({"retry-after": "Tue, 14 Nov 2023 23:13:50 +0100"}, 30.0),
    ],
)
def test_every_form_of_retry_after_is_read(headers, seconds):
    """A value that cannot be used counts as none."""
    assert read_retry_after(headers, now=NOW) == seconds


def test_a_date_is_compared_with_the_date_of_the_reply():
    """A wrong local clock has no effect."""
    headers = {"retry-after": formatdate(500.0, usegmt=True), "date": formatdate(495.0)}

    assert read_retry_after(headers, now=NOW) == 5.0


@given(st.fixed_dictionaries({}, optional={n: st.text() for n in ("retry-after", "date")}))
def test_any_text_gives_a_wait_or_none(headers):
    """No header raises an exception."""
    wait = read_retry_after(headers, now=NOW)

    assert wait is None or (math.isfinite(wait) and wait >= 0)


DAYS = st.sampled_from(["1", "31", "99", "-1", "x"])
ZONES = st.sampled_from(["GMT", "+0000", "-9999", "+99999999999", "XYZ", ""])


@given(DAYS, st.integers(-1, 10**12), st.integers(-1, 99), ZONES)
def test_an_impossible_date_gives_none(day, year, hour, zone):
    """Such dates raise in the standard library."""
    text = f"Mon, {day} Jan {year} {hour}:00:00 {zone}"
    wait = read_retry_after({"retry-after": text}, now=NOW)

    assert wait is None or (math.isfinite(wait) and wait >= 0)
