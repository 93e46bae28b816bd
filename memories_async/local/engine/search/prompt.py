"""What a search prompt asks that pixels can answer; every other word is reported as ignored.

Acted on: colour names; "ignore the background"; "ignore colour"; moving, still; bright, dark; and
each of them negated ("not", "no", "without", "ignore", "except", ... up to the next comma, "but"
or "focus"). Glue words ("the", "on", "focus", ...) ask nothing and are not reported.
"""

from __future__ import annotations

import re

from attrs import evolve, frozen

__all__ = ["COLOURS", "Wish", "understand"]

COLOURS = {
    "black": "black",
    "white": "white",
    "grey": "grey",
    "gray": "grey",
    "red": "red",
    "orange": "orange",
    "yellow": "yellow",
    "green": "green",
    "blue": "blue",
    "purple": "purple",
    "violet": "purple",
    "pink": "pink",
    "brown": "brown",
}
_MOVING = frozenset({"moving", "motion", "movement", "moves", "move"})
_STILL = frozenset({"still", "static", "motionless", "unmoving"})
_BRIGHT = frozenset({"bright", "brightly", "light", "lit"})
_DARK = frozenset({"dark", "dim"})
_COLOUR = frozenset({"colour", "color", "colours", "colors"})
_NOT = frozenset(
    {"not", "no", "without", "ignore", "ignoring", "except", "exclude", "excluding", "avoid", "non"}
)
_TURNS = frozenset({"but", "focus", "only", "instead", "with"})
_GLUE = frozenset(
    re.findall(
        r"\w+",
        "a an the on in of and or to at is are it its that which with for by please focus only but "
        "instead any all",
    )
)


@frozen(kw_only=True)
class Wish:
    """A prompt understood; `ignored` holds the words that were not."""

    wanted: tuple[str, ...] = ()
    """Colours of `colours.NAMES` that should be there."""
    unwanted: tuple[str, ...] = ()
    centre: bool = False
    colourless: bool = False
    moving: bool | None = None
    bright: bool | None = None
    ignored: tuple[str, ...] = ()


def understand(prompt: str) -> Wish:
    """Read *prompt*; never fails."""
    wish = Wish()
    for clause in re.split(r"[,.;:!?\n]+", prompt.lower()):
        wish = _clause(wish, re.findall(r"[^\W_]+(?:['’][^\W_]+)?", clause))  # noqa: RUF001
    return wish


def _clause(wish: Wish, words: list[str]) -> Wish:
    negated = False
    spare: list[str] = []
    for place, word in enumerate(words):
        if word in _NOT or word.endswith("n't"):
            negated = True
            spare.append(word)
            continue
        if word in _TURNS:
            negated = False
        rest = words[place + 1 :]
        changed = _word(wish, word, rest, negated=negated)
        if changed is not None:
            wish, spare = changed, []
        elif word not in _GLUE:
            # A negation counts as acted on once a word it governs was.
            wish = evolve(wish, ignored=(*wish.ignored, *spare, word))
            spare = []
    return evolve(wish, ignored=(*wish.ignored, *spare))


def _word(wish: Wish, word: str, rest: list[str], *, negated: bool) -> Wish | None:
    """Act on *word*, or give None."""
    if word in COLOURS:
        return _coloured(wish, COLOURS[word], negated=negated)
    if word in _COLOUR and negated:
        # "ignore background colour" speaks of the background, not of all colour.
        return wish if wish.centre else evolve(wish, colourless=True)
    if word == "background" and negated:
        return evolve(wish, centre=True)
    if word in _MOVING or word in _STILL:
        return evolve(wish, moving=(word in _MOVING) is not negated)
    if word in _BRIGHT or word in _DARK:
        # "dark blue" is a shade, not a dark scene.
        shade = bool(rest) and rest[0] in COLOURS
        return None if shade else evolve(wish, bright=(word in _BRIGHT) is not negated)
    return None


def _coloured(wish: Wish, name: str, *, negated: bool) -> Wish:
    if negated:
        return evolve(wish, unwanted=(*wish.unwanted, name))
    return evolve(wish, wanted=(*wish.wanted, name))
