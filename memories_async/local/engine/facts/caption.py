"""A caption of measured facts: every sentence comes from a number, and none tells a meaning.

The prompt chooses what is told (duration, size, shots, colours, brightness, motion) and how much
("brief", "detailed"); with `thinking` the caption says how each figure was obtained. Persons are
not searched for, and the caption says so: without weights nobody can be recognised.
"""

from __future__ import annotations

import re

from attrs import frozen

from memories_async.local.engine.facts.facts import ShotFacts, measure
from memories_async.local.engine.protocol import CaptionRequest, CaptionText
from memories_async.local.engine.tokens import tokens
from memories_async.local.engine.vision.index import PixelIndex

__all__ = ["MARK", "caption"]

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
"""Shots told one by one, unless the prompt asks for detail."""
_HOW = (
    "How: duration and times from the frames' own time stamps; size from a decoded frame; cuts where "
    "small Lab pictures, eight a second, differ far more than around them; colours by hue, chroma "
    "and lightness of each pixel of samples two a second; brightness as mean lightness of 0-100; "
    "motion as mean change of lightness between pictures an eighth of a second apart; "
    "the camera from points found again half a second later."
)


@frozen(kw_only=True)
class _Plan:
    """What the prompt asks to be told."""

    topics: frozenset[str]
    brief: bool
    detailed: bool

    def tells(self, topic: str) -> bool:
        return topic in self.topics


def caption(index: PixelIndex, request: CaptionRequest) -> CaptionText:
    """Write what was measured, as *request* asks."""
    plan = _plan(request.user_prompt)
    sentences = [MARK, *_whole(index, plan), *_each(index, plan), _unsearched(request)]
    if request.thinking:
        sentences.append(_HOW)
    text = " ".join(sentences)
    read = [request.system_prompt, request.user_prompt, *(one.name for one in request.persons)]
    return CaptionText(
        text=text, input_tokens=sum(tokens(part) for part in read), output_tokens=tokens(text)
    )


def _plan(prompt: str) -> _Plan:
    words = set(re.findall(r"\w+", prompt.lower()))
    asked = frozenset(topic for topic, names in _TOPICS.items() if words & set(names.split()))
    return _Plan(
        topics=asked or frozenset(_TOPICS),
        brief=bool(words & _BRIEF),
        detailed=bool(words & {"detail", "detailed", "details", "every", "all"}),
    )


def _whole(index: PixelIndex, plan: _Plan) -> list[str]:
    facts = index.facts
    count = len(facts.shots)
    told = [f"{facts.duration:.1f} s"]
    if plan.tells("file"):
        told += [f"{facts.width}x{facts.height}", f"{facts.fps:g} fps", f"{facts.frames} frames"]
    if plan.tells("shots"):
        told.append(f"{count} shot{'s' * (count != 1)}")
    sentences = [", ".join(told) + "."]
    if not facts.complete:
        sentences.append("The file is damaged or cut short: only a part could be decoded.")
    return sentences


def _each(index: PixelIndex, plan: _Plan) -> list[str]:
    if not plan.topics - {"file"}:
        return []
    shots = measure(index)
    most = 1 if plan.brief else len(shots) if plan.detailed else _MANY
    # With little room, the longest shots are told, in their order.
    longest = sorted(shots, key=lambda one: one.shot.start_time - one.shot.end_time)[:most]
    told = [_shot(one, plan) for one in shots if one in longest]
    left = len(shots) - len(told)
    if left:
        told.append(f"{left} shorter shot{'s' * (left != 1)} not told here.")
    return told


def _unsearched(request: CaptionRequest) -> str:
    """Say that no person was searched for."""
    if not request.persons:
        return "Persons were not searched for."
    names = ", ".join(person.name for person in request.persons)
    return f"Persons were given ({names}), but nobody is recognised here: none was searched for."


def _shot(one: ShotFacts, plan: _Plan) -> str:
    told: list[str] = []
    if plan.tells("colours"):
        told.append("mostly " + " and ".join(name for name, _ in one.colours))
    if plan.tells("light"):
        told.append(one.brightness + (", little sharp detail" if one.blurred else ""))
    if plan.tells("motion"):
        told.append(one.motion)
        told += [one.camera] if one.camera else []
    what = ", ".join(told) or f"{one.shot.end_time - one.shot.start_time:.1f} s long"
    return f"{one.shot.start_time:.1f}-{one.shot.end_time:.1f} s: {what}."
