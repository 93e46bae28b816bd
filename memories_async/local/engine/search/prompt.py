"""Parse a search prompt into what pixels can answer; every other word is reported as ignored.

Acted on: colour names; "ignore the background"; "ignore colour"; moving, still; bright, dark; and
each of them negated ("not", "no", "never", "without", "ignore", "don't", ... up to the next comma,
"but" or "focus"). A negation is reported as ignored only where no word that it governs is acted on. Stop words ("the", "on", "focus", ...) ask nothing and are not reported.
"""

from __future__ import annotations

import re

from attrs import evolve, frozen

__all__ = ["COLOURS", "PromptIntent", "parse"]

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
    re.findall(
        r"\w+",
        "not no non never nor neither none without ignore ignoring except exclude excluding avoid "
        "avoiding omit hide cannot dont doesnt isnt arent",
    )
)
_TURNS_BACK = frozenset({"but", "focus", "only", "instead", "with"})
_STOP_WORDS = frozenset(
    re.findall(
        r"\w+",
        "a an the on in of and or to at is are it its that which with for by please focus only but "
        "instead any all",
    )
)


@frozen(kw_only=True)
class PromptIntent:
    """What a prompt asks; `ignored` holds the words that are not acted on."""

    wanted: tuple[str, ...] = ()
    """Colours of `colours.NAMES` that should be there."""
    unwanted: tuple[str, ...] = ()
    centre: bool = False
    colourless: bool = False
    moving: bool | None = None
    bright: bool | None = None
    ignored: tuple[str, ...] = ()


def parse(prompt: str) -> PromptIntent:
    """Parse *prompt*; never fails."""
    intent = PromptIntent()
    for clause in re.split(r"[,.;:!?\n]+", prompt.lower()):
        intent = _parse_clause(intent, re.findall(r"[^\W_]+(?:['’][^\W_]+)?", clause))  # noqa: RUF001
    return intent


def _parse_clause(intent: PromptIntent, words: list[str]) -> PromptIntent:
    ignored: list[int] = []
    pending: list[int] = []
    """Negations that govern no word yet that was acted on."""
    is_negated = False
    for place, word in enumerate(words):
        if word in _NOT or re.search("n['’]t$", word):  # noqa: RUF001
            is_negated = True
            pending.append(place)
            continue
        if word in _TURNS_BACK:
            is_negated = False
            ignored += pending
            pending = []
        changed = _apply_word(intent, word, words[place + 1 :], negated=is_negated)
        if changed is not None:
            intent, pending = changed, []
        elif word not in _STOP_WORDS:
            ignored.append(place)
    spare = [words[place] for place in sorted(ignored + pending)]
    return evolve(intent, ignored=(*intent.ignored, *spare))


def _apply_word(
    intent: PromptIntent, word: str, rest: list[str], *, negated: bool
) -> PromptIntent | None:
    """Return *intent* with what *word* asks; None where it asks nothing known."""
    if word in COLOURS and negated:
        return evolve(intent, unwanted=(*intent.unwanted, COLOURS[word]))
    if word in COLOURS:
        return evolve(intent, wanted=(*intent.wanted, COLOURS[word]))
    if word in _COLOUR and negated:
        # "ignore background colour" concerns the background, not all colour.
        return intent if intent.centre else evolve(intent, colourless=True)
    if word == "background" and negated:
        return evolve(intent, centre=True)
    if word in _MOVING or word in _STILL:
        return evolve(intent, moving=(word in _MOVING) is not negated)
    if word in _BRIGHT or word in _DARK:
        # "dark blue" is a shade, not a dark scene.
        shade = bool(rest) and rest[0] in COLOURS
        return None if shade else evolve(intent, bright=(word in _BRIGHT) is not negated)
    return None
