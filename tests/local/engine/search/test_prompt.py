"""A prompt is acted on where pixels can answer it, and the rest is said to be ignored."""

from __future__ import annotations

import pytest

from memories_async.local.engine.search.prompt import Wish, understand


@pytest.mark.parametrize(
    ("prompt", "wish"),
    [
        ("", Wish()),
        ("red", Wish(wanted=("red",))),
        ("focus on the red shirt", Wish(wanted=("red",), ignored=("shirt",))),
        ("Gray or VIOLET", Wish(wanted=("grey", "purple"))),
        ("no red, blue", Wish(unwanted=("red",), wanted=("blue",))),
        ("without red but blue", Wish(unwanted=("red",), wanted=("blue",))),
        ("the car isn't white", Wish(unwanted=("white",), ignored=("car",))),
        ("ignore the background", Wish(centre=True)),
        ("ignore background color", Wish(centre=True)),
        ("ignore colour", Wish(colourless=True)),
        ("moving", Wish(moving=True)),
        ("not moving", Wish(moving=False)),
        ("a still scene", Wish(moving=False, ignored=("scene",))),
        ("not dark", Wish(bright=True)),
        ("bright", Wish(bright=True)),
        ("dark blue car", Wish(wanted=("blue",), ignored=("dark", "car"))),
        ("someone in the background", Wish(ignored=("someone", "background"))),
        ("the colour of her hat", Wish(ignored=("colour", "her", "hat"))),
        ("no people", Wish(ignored=("no", "people"))),
        ("ignore", Wish(ignored=("ignore",))),
        ("find Jörg's dog!", Wish(ignored=("find", "jörg's", "dog"))),
    ],
)
def test_reads(prompt, wish):
    """What is acted on, and what is not."""
    assert understand(prompt) == wish


def test_the_documented_example_leaves_one_word():
    """The prompt printed in the service's own page."""
    wish = understand("focus on the red shirt, ignore background color")

    assert wish == Wish(wanted=("red",), centre=True, ignored=("shirt",))
