"""Split a caption of `engine_sentences.py` into its claims, and judge each by the film's truth."""

from __future__ import annotations

import re
from collections.abc import Iterator

import attrs
import numpy as np
from engine_sentence_films import COLOURS, NEIGHBOURS, Made, Scene

from memories_async.local.engine.facts.caption import MARK

NEAR = 0.2
"""Seconds by which a told border may miss a cut: pictures are compared eight times a second."""
A_THIRD, AN_EIGHTH, PLAIN = 0.30, 0.10, 0.40
"""Shares at which a shot may be mostly, or partly, in a colour; and at which it has to be mostly."""
BANDS = {"dark": (0, 20), "dim": (20, 40), "mid-bright": (40, 65), "bright": (65, 100)}
AROUND = 2.0
NAME = "|".join(
    sorted(
        {
            name
            for names in (*COLOURS, *(true for _, true in NEIGHBOURS.values()))
            for name in names.split()
        },
        key=len,
        reverse=True,
    )
)
FORMS = {
    kind: re.compile(rf"(?:{form})(?=, |$)")
    for kind, form in {
        "colours": rf"(?:mostly|partly) (?:{NAME})(?:, (?:{NAME}))*(?: and (?:{NAME}))*",
        "many colours": "many colours",
        "brightness": "dark|dim|mid-bright|bright|between [a-z-]+ and [a-z-]+",
        "sharpness": "little sharp detail",
        "motion": r"(?:no|little|some|strong) motion(?: at times| at [-\d., and]+ s)?",
        "camera": "(?:still|moving) camera",
    }.items()
}


@attrs.frozen
class Claim:
    """One thing that a caption says, and whether it is true."""

    kind: str
    text: str
    is_true: bool


@attrs.frozen
class Judged:
    """The claims of one caption, and what it could have said."""

    film: Made
    text: str
    claims: tuple[Claim, ...]
    left_out: tuple[str, ...]


def judge(film: Made, text: str) -> Judged:
    """Judge each claim of the caption *text* by the truth of *film*."""
    claims: list[Claim] = []
    left_out: list[str] = []
    assert text.startswith(MARK)
    rest = text.removeprefix(MARK)
    shots = re.findall(r"(\d+\.\d+)-(\d+\.\d+) s: (.*?)\.(?= |$)", rest)
    rest = re.sub(r"\d+\.\d+-\d+\.\d+ s: .*?\.(?= |$)", "", rest)
    facts = re.search(
        r"([\d.]+) s, (\d+)x(\d+), ([\d.e+-]+) fps, (\d+) frames?, (\d+) shots?\.", rest
    )
    if facts is None:
        return Judged(film, text, (Claim("unknown", rest, is_true=False),), ("facts",))
    rest = rest.replace(facts[0], "")
    claims += judge_facts(film, facts)
    sentence = "The file is damaged or cut short: only a part could be decoded."
    if sentence in rest:
        claims.append(Claim("damage", sentence, not film.complete))
        rest = rest.replace(sentence, "")
    elif not film.complete:
        left_out.append("damage")
    nobody = "Persons were not searched for."
    claims.append(Claim("persons", nobody, nobody in rest))
    rest = rest.replace(nobody, "")
    borders = [float(begin) for begin, _, _ in shots[1:]]
    for shot in shots:
        some, missing = judge_shot(film, shot)
        claims += some
        left_out += missing
    left_out += [
        "border"
        for border in film.borders
        if film.complete and not any(_is_at(border, told, film.start) for told in borders)
    ]
    if rest.strip():
        claims.append(Claim("unknown", rest.strip(), is_true=False))
    return Judged(film, text, tuple(claims), tuple(left_out))


def judge_facts(film: Made, facts: re.Match[str]) -> Iterator[Claim]:
    """Judge the figures of the file; of one that is cut off only a part can be counted."""
    seconds, width, height, rate, frames, shots = facts.groups()
    right = abs(float(seconds) - film.duration) <= 0.06
    is_less = float(seconds) < film.duration
    yield Claim("duration", f"{seconds} s", right if film.complete else is_less)
    yield Claim("size", f"{width}x{height}", (int(width), int(height)) == film.size)
    yield Claim("rate", f"{rate} fps", abs(float(rate) / film.rate - 1) < 0.01)
    whole = int(frames) == film.frames
    yield Claim("frames", frames, whole if film.complete else int(frames) < film.frames)
    yield Claim("shots", f"{shots} shots", int(shots) == len(film.scenes))


def _is_at(border: tuple[float, float], told: float, start: float) -> bool:
    return border[0] + start - NEAR <= told <= border[1] + start + NEAR


def judge_shot(film: Made, shot: tuple[str, str, str]) -> tuple[list[Claim], list[str]]:
    """Judge the sentence of one shot; and name what it leaves out."""
    begin, end, words = float(shot[0]), float(shot[1]), shot[2]
    ends = [(0.0, 0.0), (film.duration, film.duration), *film.borders]
    claims = [
        Claim(
            "times",
            f"{told} s",
            any(_is_at(one, told, film.start) for one in ends) or not film.complete,
        )
        for told in (begin, end)
    ]
    scenes = weigh_scenes(film, begin, end)
    told: set[str] = set()
    for kind, text in split_words(words):
        told.add(text if kind == "colour" else kind)
        claims.append(Claim(kind, text, judge_words(film, kind, text, (begin, end), scenes)))
    left_out = []
    if len({scene.camera for scene, _ in scenes} - {None}) == 1 and "camera" not in told:
        left_out.append("camera")
    if all(scene.is_sharp is False for scene, _ in scenes) and "sharpness" not in told:
        left_out.append("sharpness")
    for names in list_names(scenes):
        is_told = any(f"mostly {name}" in told for name in names)
        certain = measure_share(names, scenes, is_certain=True)
        if certain >= PLAIN and not is_told:
            left_out.append("colour")
    return claims, left_out


def split_words(words: str) -> Iterator[tuple[str, str]]:
    """Split what is said of a shot into kinds and texts."""
    while words:
        kind, said = next(
            ((kind, found[0]) for kind, form in FORMS.items() if (found := form.match(words))),
            ("unknown", words),
        )
        how, *names = re.split(r", | and | ", said) if kind == "colours" else (said,)
        yield from [("colour", f"{how} {name}") for name in names] or [(kind, said)]
        words = words.removeprefix(said).removeprefix(", ")


def judge_words(
    film: Made, kind: str, text: str, span: tuple[float, float], scenes: list[tuple[Scene, float]]
) -> bool:
    """Whether *text* is true of the scenes that the film shows in *span*."""
    if kind == "colour":
        how, name = text.split()
        share = measure_share(frozenset({name}), scenes)
        certain = measure_share(frozenset({name}), scenes, is_certain=True)
        return share >= A_THIRD if how == "mostly" else share >= AN_EIGHTH and certain <= PLAIN
    if kind == "many colours":
        return max(measure_share(names, scenes) for names in list_names(scenes)) < PLAIN
    if kind == "brightness":
        return judge_brightness(film, text, span)
    if kind == "motion":
        words, _, when = text.partition(" at ")
        # One scene that moves is enough for a span to have motion.
        is_so = all if words == "no motion" else any
        return is_so(words in scene.motion for scene, _ in scenes) and judge_times(when, scenes)
    if kind == "camera":
        return all(scene.camera == text.split(maxsplit=1)[0] for scene, _ in scenes)
    if kind == "sharpness":
        return all(scene.is_sharp is not True for scene, _ in scenes)
    return False


def judge_times(when: str, scenes: list[tuple[Scene, float]]) -> bool:
    """Whether something moves in each of the spans of *when*, and in no other where they are told."""
    spans = [scene.moves for scene, _ in scenes if scene.moves is not None]
    told = [(float(start), float(end)) for start, end in re.findall(r"([\d.]+)-([\d.]+)", when)]
    if not told or not spans:
        return True
    return len(told) == len(spans) and all(
        abs(start - begins) <= 2 * NEAR and abs(end - ends) <= 2 * NEAR
        for (start, end), (begins, ends) in zip(told, spans, strict=True)
    )


def judge_brightness(film: Made, text: str, span: tuple[float, float]) -> bool:
    """Whether the light is as *text* says, in the mean and in a third of the pictures.

    What it changes between is what the darkest and the brightest tenth of the pictures reach.
    """
    light = np.array([one for at, one in film.light if span[0] - 0.05 <= at <= span[1] + 0.05])
    if text.startswith("between "):
        words = text.removeprefix("between ").split(" and ")
        ends = np.percentile(light, (10, 90))
        return all(_is_within(end, word, AROUND) for end, word in zip(ends, words, strict=True))
    near = np.mean([_is_within(one, text, 3 * AROUND) for one in light])
    return _is_within(light.mean(), text, AROUND) and bool(near >= 1 / 3)


def _is_within(light: float, word: str, around: float) -> bool:
    low, high = BANDS[word]
    return bool(low - around <= light <= high + around)


def weigh_scenes(film: Made, begin: float, end: float) -> list[tuple[Scene, float]]:
    """Find the scenes between two seconds, and the share of that time which each of them has."""
    middles = [(first + last) / 2 + film.start for first, last in film.borders]
    edges = [film.start, *middles, film.start + film.duration]
    found = []
    for at, scene in enumerate(film.scenes):
        both = min(end, edges[at + 1]) - max(begin, edges[at])
        if both > 2 * NEAR or (len(film.scenes) == 1 and both >= 0):
            found.append((scene, both))
    found = found or [(film.scenes[0], 1.0)]
    total = sum(both for _, both in found) or 1.0
    return [(scene, both / total if total > 1e-6 else 1.0) for scene, both in found]


def list_names(scenes: list[tuple[Scene, float]]) -> set[frozenset[str]]:
    """List the colours of the scenes, each by all names that are true of it."""
    return {names for scene, _ in scenes for names, _ in scene.colours}


def measure_share(
    names: frozenset[str], scenes: list[tuple[Scene, float]], *, is_certain: bool = False
) -> float:
    """Measure the share of the pictures that may, or must, be called by one of *names*."""
    return sum(
        share * weight
        for scene, weight in scenes
        for known, share in scene.colours
        if (known <= names if is_certain else known & names)
    )
