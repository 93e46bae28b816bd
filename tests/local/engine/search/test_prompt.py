"""Words of a prompt that pixels can answer are acted on; the rest is reported as ignored."""

from __future__ import annotations

import pytest

from memories_async.local.engine.search.prompt import PromptIntent, parse


@pytest.mark.parametrize(
    ("prompt", "intent"),
    [
        ("", PromptIntent()),
        ("red", PromptIntent(wanted=(("red",),))),
        ("focus on the red shirt", PromptIntent(wanted=(("red",),), ignored=("shirt",))),
        ("Gray or VIOLET", PromptIntent(wanted=(("grey",), ("purple",)))),
        ("no red, blue", PromptIntent(unwanted=(("red",),), wanted=(("blue",),))),
        ("without red but blue", PromptIntent(unwanted=(("red",),), wanted=(("blue",),))),
        ("the car isn't white", PromptIntent(unwanted=(("white",),), ignored=("car",))),
        ("ignore the background", PromptIntent(centre=True)),
        ("ignore background color", PromptIntent(centre=True)),
        ("ignore colour", PromptIntent(colourless=True)),
        ("moving", PromptIntent(moving=True)),
        ("not moving", PromptIntent(moving=False)),
        ("a still scene", PromptIntent(moving=False, ignored=("scene",))),
        ("not dark", PromptIntent(bright=True)),
        ("bright", PromptIntent(bright=True)),
        ("dark blue car", PromptIntent(wanted=(("blue",),), ignored=("dark", "car"))),
        ("someone in the background", PromptIntent(ignored=("someone", "background"))),
        ("the colour of her hat", PromptIntent(ignored=("colour", "her", "hat"))),
        ("don't show red", PromptIntent(unwanted=(("red",),), ignored=("show",))),
        ("don’t show red", PromptIntent(unwanted=(("red",),), ignored=("show",))),  # noqa: RUF001
        ("never red", PromptIntent(unwanted=(("red",),))),
        ("no people, red", PromptIntent(wanted=(("red",),), ignored=("no", "people"))),
        ("no people but red", PromptIntent(wanted=(("red",),), ignored=("no", "people"))),
        ("no people", PromptIntent(ignored=("no", "people"))),
        ("ignore", PromptIntent(ignored=("ignore",))),
        ("navy, crimson", PromptIntent(wanted=(("blue",), ("red",)))),
        ("a teal scarf", PromptIntent(wanted=(("blue-green",),), ignored=("scarf",))),
        ("a maroon coat", PromptIntent(wanted=(("red", "brown"),), ignored=("coat",))),
        ("red-brown dog", PromptIntent(wanted=(("red", "brown"),), ignored=("dog",))),
        ("reddish brown", PromptIntent(wanted=(("red", "brown"),))),
        ("blue-green", PromptIntent(wanted=(("blue-green",),))),
        ("greenish blue", PromptIntent(wanted=(("blue-green",),))),
        ("navy blue", PromptIntent(wanted=(("blue",),))),
        ("not reddish-brown", PromptIntent(unwanted=(("red", "brown"),))),
        ("red and brown", PromptIntent(wanted=(("red",), ("brown",)))),
        ("red-white flag", PromptIntent(wanted=(("red",), ("white",)), ignored=("flag",))),
        ("red orange yellow", PromptIntent(wanted=(("red", "orange"), ("yellow",)))),
        ("light green", PromptIntent(wanted=(("green",),), ignored=("light",))),
        ("dark red-brown", PromptIntent(wanted=(("red", "brown"),), ignored=("dark",))),
        ("find Jörg's dog!", PromptIntent(ignored=("find", "jörg's", "dog"))),
    ],
)
def test_prompt_is_parsed(prompt, intent):
    """Into what is acted on, and what is ignored."""
    assert parse(prompt) == intent


def test_documented_example_leaves_one_word_ignored():
    """The prompt of memories.ai docs, "Search Clips"."""
    intent = parse("focus on the red shirt, ignore background color")

    assert intent == PromptIntent(wanted=(("red",),), centre=True, ignored=("shirt",))
