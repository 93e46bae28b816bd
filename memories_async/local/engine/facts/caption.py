"""Write a caption of measured facts: every sentence comes from a number, none from a meaning.

The prompt chooses the topics (duration, size, shots, colours, brightness, motion) and how much is
said ("brief", "detailed"); with `thinking` the caption says how each figure was obtained. Persons
are not searched for, and the caption says so.
"""

from __future__ import annotations

import re

from attrs import frozen

from memories_async.local.engine.facts.measure import ShotFacts, measure_shots
from memories_async.local.engine.protocol import CaptionRequest, CaptionText, count_tokens
from memories_async.local.engine.vision.index import PixelIndex

__all__ = ["MARK", "write_caption"]

MARK = "[local facts, no vision model]"
_TOPICS = {
    "file": "duration length long size resolution format rate fps frames file technical",
    "shots": "shot shots scene scenes cut cuts timeline moment moments segment segments when",
    "colours": "colour colours color colors coloured colored look looks",
    "light": "bright brightness light lighting dark",
    "motion": "motion move moves moving movement camera action still",
}
_BRIEF = frozenset({"brief", "briefly", "short", "shortly", "summary", "sentence", "concise"})
_MANY = 12
"""Shots described one by one, unless the prompt asks for detail."""
_SHORT = 0.5
"""Seconds below which times have two digits: a single frame would last no time otherwise."""
_MOSTLY = 1 / 3
"""Share of the picture from which it is mostly of one colour."""
_NAMED = 4
"""Colours named at most, mostly and partly."""
_HOW = (
    "How: duration and times from the frames' own time stamps; size from a decoded frame; cuts where "
    "small Lab pictures, eight a second, differ far more than around them; colours of each pixel of "
    "samples two a second, by the nearest of the values in CIELAB that people named in the xkcd "
    "colour survey: mostly is a third of the picture or more, partly an eighth; brightness as mean "
    "lightness of 0-100; motion as the share of small grey pictures that changes in an eighth of a "
    "second, beyond light, grain and compression: little under 5 %, some under 25 %, and none where "
    "half a minute shows no change; the camera from the picture's borders, in samples half a second "
    "apart and far apart, where they look alike, or points agree on how they moved."
)


def write_caption(
    index: PixelIndex, request: CaptionRequest, persons: str | None = None
) -> CaptionText:
    """Write what was measured, as *request* asks; *persons* tells of those that were searched for."""
    plan = _plan_caption(request.user_prompt)
    sentences = [MARK, *_describe_film(index, plan), *_describe_shots(index, plan)]
    if persons is not None:
        sentences.append(persons)
    elif request.persons:
        names = ", ".join(person.name for person in request.persons)
        sentences.append(
            f"Persons were given ({names}), but nobody is recognised here: none was searched for."
        )
    else:
        sentences.append("Persons were not searched for.")
    if request.thinking:
        sentences.append(_HOW)
    text = " ".join(sentences)
    read = [request.system_prompt, request.user_prompt, *(one.name for one in request.persons)]
    return CaptionText(
        text=text, input_tokens=sum(map(count_tokens, read)), output_tokens=count_tokens(text)
    )


@frozen(kw_only=True)
class _CaptionPlan:
    """What the prompt asks for."""

    topics: frozenset[str]
    is_brief: bool
    is_detailed: bool


def _plan_caption(prompt: str) -> _CaptionPlan:
    words = set(re.findall(r"\w+", prompt.lower()))
    asked = frozenset(topic for topic, names in _TOPICS.items() if words & set(names.split()))
    return _CaptionPlan(
        topics=asked or frozenset(_TOPICS),
        is_brief=bool(words & _BRIEF),
        is_detailed=bool(words & {"detail", "detailed", "details", "every", "all"}),
    )


def _describe_film(index: PixelIndex, plan: _CaptionPlan) -> list[str]:
    facts = index.facts
    parts = [f"{_format_seconds(facts.duration, facts.duration)} s"]
    if "file" in plan.topics:
        parts += [f"{facts.width}x{facts.height}", f"{facts.fps:g} fps"]
        parts.append(_count(facts.frames, "frame"))
    if "shots" in plan.topics:
        parts.append(_count(len(facts.shots), "shot"))
    sentences = [", ".join(parts) + "."]
    if not facts.complete:
        sentences.append("The file is damaged or cut short: only a part could be decoded.")
    return sentences


def _describe_shots(index: PixelIndex, plan: _CaptionPlan) -> list[str]:
    if not plan.topics - {"file"}:
        return []
    shots = measure_shots(index)
    most = 1 if plan.is_brief else len(shots) if plan.is_detailed else _MANY
    # Where only some are described, these are the longest, in their order.
    longest = sorted(shots, key=lambda one: one.shot.start_time - one.shot.end_time)[:most]
    parts = [_describe_shot(one, plan) for one in shots if one in longest]
    left = len(shots) - len(parts)
    if left:
        parts.append(f"{_count(left, 'shorter shot')} not told here.")
    return parts


def _describe_shot(one: ShotFacts, plan: _CaptionPlan) -> str:
    parts: list[str] = []
    if "colours" in plan.topics:
        parts.append(_describe_colours(one.colours))
    if "light" in plan.topics:
        parts.append(one.brightness + (", little sharp detail" if one.blurred else ""))
    if "motion" in plan.topics:
        parts += [said for said in (one.motion, one.camera) if said]
    start, end = one.shot.start_time, one.shot.end_time
    length = _format_seconds(end - start, end - start)
    what = ", ".join(parts) or f"{length} s long"
    return f"{_format_seconds(start, end - start)}-{_format_seconds(end, end - start)} s: {what}."


def _format_seconds(seconds: float, length: float) -> str:
    """Format a time of something that lasts *length*: what is short needs one more digit."""
    return f"{seconds:.{1 if length >= _SHORT else 2}f}"


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'s' * (number != 1)}"


def _describe_colours(colours: tuple[tuple[str, float], ...]) -> str:
    main = [name for name, share in colours if share >= _MOSTLY]
    more = [name for name, share in colours[:_NAMED] if share < _MOSTLY]
    parts = [("mostly", main), ("partly", more)]
    said = [f"{how} {' and '.join(names)}" for how, names in parts if names]
    return ", ".join(said) or "many colours"
