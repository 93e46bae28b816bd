"""Parse a search prompt into what pixels can answer; every other word is reported as ignored.

Acted on: colour names, also two side by side that are one colour ("red-brown"); "ignore the
background"; "ignore colour"; moving, still; bright, dark; and each of them negated ("not", "no",
"never", "without", "ignore", "don't", ... up to the next comma, "but" or "focus"). A negation is
reported as ignored only where no word that it governs is acted on. Stop words ("the", "on",
"focus", ...) ask nothing and are not reported.
"""

from __future__ import annotations

import re

from attrs import evolve, frozen

from memories_async.local.engine.vision.colour_names import BLENDS, NAMES, WORDS

__all__ = ["PromptIntent", "parse"]

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

    wanted: tuple[tuple[str, ...], ...] = ()
    """Colours that should be there: each as the names of `NAMES` that it may have."""
    unwanted: tuple[tuple[str, ...], ...] = ()
    centre: bool = False
    colourless: bool = False
    moving: bool | None = None
    bright: bool | None = None
    ignored: tuple[str, ...] = ()


def parse(prompt: str) -> PromptIntent:
    """Parse *prompt*; never fails."""
    intent = PromptIntent()
    for clause in re.split(r"[,.;:!?\n]+", prompt.lower()):
        words = re.findall(r"[^\W_]+(?:['’][^\W_]+)?", clause)  # noqa: RUF001
        intent = _parse_clause(intent, _join_blends(words))
    return intent


def _join_blends(words: list[str]) -> list[str]:
    """Join two words of colour side by side that mean one colour: "red brown", "bluish grey"."""
    joined: list[str] = []
    for word in words:
        before = joined[-1] if joined else ""
        pairs = [
            frozenset((one, other))
            for one in WORDS.get(before, ())
            for other in WORDS.get(word, ())
        ]
        # Two words for one name are one colour too: "navy blue".
        blends = any(pair in BLENDS or len(pair) == 1 for pair in pairs)
        if blends or (pairs and before.endswith("ish")):
            joined[-1] = f"{before} {word}"
        else:
            joined.append(word)
    return joined


def _find_names(colour: str) -> tuple[str, ...]:
    """Find the names that a *colour* of one or two words may have in a picture."""
    found = {name for word in colour.split() for name in WORDS.get(word, ())}
    if found == {"blue", "green"}:
        return ("blue-green",)
    return tuple(name for name in NAMES if name in found)


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
    names = _find_names(word)
    if names and negated:
        return evolve(intent, unwanted=(*intent.unwanted, names))
    if names:
        return evolve(intent, wanted=(*intent.wanted, names))
    if word in _COLOUR and negated:
        # "ignore background colour" concerns the background, not all colour.
        return intent if intent.centre else evolve(intent, colourless=True)
    if word == "background" and negated:
        return evolve(intent, centre=True)
    if word in _MOVING or word in _STILL:
        return evolve(intent, moving=(word in _MOVING) is not negated)
    if word in _BRIGHT or word in _DARK:
        # "dark blue" is a shade, not a dark scene.
        shade = bool(rest) and bool(_find_names(rest[0]))
        return None if shade else evolve(intent, bright=(word in _BRIGHT) is not negated)
    return None
