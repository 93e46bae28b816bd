"""Clothes are alike where the same colours are worn at the same height."""

from __future__ import annotations

import numpy as np
import pytest

from memories_async.local.engine.clothing.descriptor import LENGTH, describe

ALL = np.ones((60, 20), np.bool_)


def worn(*lights, mask=ALL, rows=(0, 60)):
    """Dress somebody in bands of grey."""
    lab = np.full((60, 20, 3), 128, np.uint8)
    lab[..., 0] = np.repeat(lights, 60 // len(lights))[:, None]
    return describe(lab, mask, rows=rows)


def test_the_same_clothes_are_alike():
    """Whole likeness is 1."""
    assert worn(20, 200) @ worn(20, 200) == pytest.approx(1)


def test_the_other_way_round_is_something_else():
    """A white shirt over black trousers is not a black one over white ones."""
    assert worn(20, 200) @ worn(200, 20) < 0.1


def test_half_the_clothes_are_half_alike():
    """By how much of the body they cover."""
    assert worn(20, 200) @ worn(20, 20) == pytest.approx(0.5, abs=0.05)


def test_a_little_lighter_is_nearly_the_same():
    """Borders between lights are soft."""
    assert worn(100, 200) @ worn(108, 192) > 0.9


def test_only_the_mask_is_described():
    """What lies beside the person does not count."""
    left = ALL.copy()
    left[:, 10:] = False
    lab = np.full((60, 20, 3), 128, np.uint8)
    lab[:, 10:] = 255

    assert describe(lab, left, rows=(0, 60)) @ worn(128) == pytest.approx(1)


def test_what_sticks_out_belongs_to_the_ends():
    """Nothing is lost when head and feet were misjudged."""
    assert worn(20, 200, rows=(10, 50)) @ worn(20, 200) > 0.9


def test_nobody_is_like_nobody():
    """An empty mask has no clothes."""
    nobody = worn(20, mask=np.zeros_like(ALL))

    assert nobody.shape == (LENGTH,)
    assert not nobody.any()
