"""Are the sentences of a caption true? Each claim about films of known truth is judged.

A caption is split into its claims (size, rate, frames, shots, their times, each colour, brightness,
motion, camera, sharpness, damage, persons). Whatever this file cannot read counts as false. Counted
beside the claims are the things that a film shows plainly and its caption does not tell. `--quick`
takes a third of the films, and indexes them in this process.
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import attrs
import numpy as np
from engine_sentence_films import Made, Plan, Scene, make
from engine_sentence_plans import list_plans

from memories_async.local.engine.facts.caption import MARK, write_caption
from memories_async.local.engine.pixels import PixelEngine
from memories_async.local.engine.protocol import CaptionRequest
from memories_async.local.engine.vision.indexing import index_video

ASKED = CaptionRequest(user_prompt="Describe the video in detail.", system_prompt="")
NEAR = 0.2
"""Seconds by which a told border may miss a cut: pictures are compared eight times a second."""
A_THIRD, PLAIN = 0.30, 0.40
"""Share at which a colour may be called one that a shot is mostly in, and at which it has to be."""
A_PART = 0.1
"""Share at which a shot may be called partly of a colour."""
BANDS = {"dark": (0, 20), "dim": (20, 40), "mid-bright": (40, 65), "bright": (65, 100)}
AROUND = 2.0
HOW_MUCH = {"mostly": "colour", "partly": "part"}
SENSES = {
    "many colours": "part",
    "little sharp detail": "sharpness",
    "motion": "motion",
    "camera": "camera",
}
"""Kinds of what is said, by all of it or by its last word."""


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
        told.add(kind if kind != "colour" else f"colour {text.split()[-1]}")
        claims.append(Claim(kind, text, judge_words(film, kind, text, (begin, end), scenes)))
    left_out = []
    if len({scene.camera for scene, _ in scenes} - {None}) == 1 and "camera" not in told:
        left_out.append("camera")
    if all(scene.is_sharp is False for scene, _ in scenes) and "sharpness" not in told:
        left_out.append("sharpness")
    for names in {names for scene, _ in scenes for names, _ in scene.colours}:
        is_told = any(f"colour {name}" in told for name in names)
        if measure_share(names, scenes) >= PLAIN and not is_told:
            left_out.append("colour")
    return claims, left_out


def split_words(words: str) -> Iterator[tuple[str, str]]:
    """Split what is said of a shot into kinds and texts."""
    for part in words.split(", "):
        first, last = part.split()[0], part.split()[-1]
        if first in HOW_MUCH:
            for name in part.removeprefix(f"{first} ").split(" and "):
                yield HOW_MUCH[first], name
        elif part in BANDS or first == "between":
            yield "brightness", part
        else:
            yield SENSES.get(part, SENSES.get(last, "unknown")), part


def judge_words(
    film: Made, kind: str, text: str, span: tuple[float, float], scenes: list[tuple[Scene, float]]
) -> bool:
    """Whether *text* is true of the scenes that the film shows in *span*."""
    if kind == "colour":
        return measure_share(frozenset({text.rsplit(maxsplit=1)[-1]}), scenes) >= A_THIRD
    if kind == "part" and text == "many colours":
        return all(
            share * weight < A_THIRD for scene, weight in scenes for _, share in scene.colours
        )
    if kind == "part":
        return measure_share(frozenset({text}), scenes) >= A_PART
    if kind == "brightness":
        return judge_brightness(film, text, span)
    if kind == "motion":
        # One scene that moves is enough for a span to have motion.
        told_none = text == "no motion"
        return (all if told_none else any)(text in scene.motion for scene, _ in scenes)
    if kind == "camera":
        return all(scene.camera == text.split(maxsplit=1)[0] for scene, _ in scenes)
    if kind == "sharpness":
        return all(scene.is_sharp is not True for scene, _ in scenes)
    return False


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


def measure_share(names: frozenset[str], scenes: list[tuple[Scene, float]]) -> float:
    """Measure the share of the pictures that may be called one of *names*."""
    return sum(
        share * weight
        for scene, weight in scenes
        for known, share in scene.colours
        if known & names
    )


def caption(film: Made, engine: PixelEngine | None) -> str:
    """Caption *film* by *engine*, or in this process."""
    if engine is None:
        return write_caption(index_video(film.path), ASKED).text
    return engine.caption(engine.index(film.path), ASKED).text


def run(plan: Plan, folder: Path, engine: PixelEngine | None = None) -> Judged:
    """Make the film of *plan*, caption it, and judge the caption."""
    film = make(plan, folder)
    return judge(film, caption(film, engine))


def main() -> None:
    """Count and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a third of the films, in one process")
    parser.add_argument("--kind", help="films of this kind only")
    parser.add_argument("--show", action="store_true", help="print each false claim")
    asked = parser.parse_args()
    plans = [
        plan
        for plan in list_plans()
        if asked.kind in (None, plan.kind) and (plan.is_quick or not asked.quick)
    ]
    with tempfile.TemporaryDirectory() as folder:
        engine = None if asked.quick else PixelEngine(Path(folder, "cache"))
        rows = [run(plan, Path(folder), engine) for plan in plans]
    for row in rows if asked.show else ():
        wrong = [f"{one.kind}: {one.text}" for one in row.claims if not one.is_true]
        if wrong or row.left_out:
            print(
                json.dumps(
                    {
                        "film": row.film.name,
                        "false": wrong,
                        "left out": row.left_out,
                        "caption": row.text,
                    }
                )
            )
    report(rows)


def report(rows: list[Judged]) -> None:
    """Print what was said, and what of it is true, by kind of claim and by kind of film."""
    claims = [(row.film.kind, claim) for row in rows for claim in row.claims]
    missing = Counter(what for row in rows for what in row.left_out)
    for kind in sorted({claim.kind for _, claim in claims} | set(missing)):
        some = [claim for _, claim in claims if claim.kind == kind]
        tell(
            "claims",
            kind=kind,
            said=len(some),
            true=sum(one.is_true for one in some),
            left_out=missing[kind],
        )
    for kind in dict.fromkeys(row.film.kind for row in rows):
        some = [claim for film, claim in claims if film == kind]
        films = [row for row in rows if row.film.kind == kind]
        tell(
            "films",
            kind=kind,
            films=len(films),
            said=len(some),
            true=sum(one.is_true for one in some),
            left_out=sum(len(row.left_out) for row in films),
        )
    true = sum(claim.is_true for _, claim in claims)
    tell("all", films=len(rows), said=len(claims), true=true, left_out=sum(missing.values()))


def tell(measure: str, **more: object) -> None:
    """Print one measure."""
    print(json.dumps({"measure": measure, **more}), flush=True)


if __name__ == "__main__":
    main()
