"""Colours are named as a person would name them."""

from __future__ import annotations

import numpy as np
import pytest

from memories_async.local.engine.vision.colours import NAMES, measure_shares

KNOWN = {
    "black": (10, 10, 10),
    "white": (250, 250, 250),
    "grey": (128, 128, 128),
    "red": (30, 30, 210),
    "orange": (20, 130, 250),
    "yellow": (40, 220, 245),
    "green": (60, 160, 50),
    "blue": (200, 90, 30),
    "purple": (170, 50, 140),
    "pink": (190, 150, 250),
    "brown": (30, 65, 105),
}


@pytest.mark.parametrize("name", KNOWN)
def test_plain_colour_has_one_name(name):
    """The whole picture is in it."""
    assert NAMES[measure_shares(np.full((40, 60, 3), KNOWN[name], np.uint8)).argmax()] == name


def test_shares_sum_to_one_and_follow_the_area():
    """Half red, half blue."""
    picture = np.zeros((40, 60, 3), np.uint8)
    picture[:, :30], picture[:, 30:] = KNOWN["red"], KNOWN["blue"]

    found = measure_shares(picture)

    assert found.sum() == pytest.approx(1)
    assert found[NAMES.index("red")] == pytest.approx(0.5, abs=0.02)
    assert found[NAMES.index("blue")] == pytest.approx(0.5, abs=0.02)
