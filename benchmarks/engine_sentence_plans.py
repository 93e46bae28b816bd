"""How films of `engine_sentences.py` are cut, lit and stored; and the list of all films."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import cv2
import numpy as np
from attrs import evolve
from engine_sentence_films import (
    ANY,
    COLOURS,
    GARDEN,
    HALL,
    MARKET,
    NONE,
    SLIGHT,
    STUDIO,
    Plan,
    Scene,
    add_grain,
    build_place,
    crop,
    fill,
    plan_still,
)
from engine_sentence_pictures import plan_cameras, plan_colours, plan_heads, plan_rooms, plan_shares


def list_plans() -> list[Plan]:
    """List all films; `is_quick` marks those of `--quick` and of the tests."""
    parts = (
        *(plan_colours, plan_shares, plan_rooms, plan_cameras, plan_heads),
        *(plan_borders, plan_light, plan_stills, plan_files),
    )
    return [plan for part in parts for plan in part()]


def plan_borders() -> Iterator[Plan]:
    """Cuts, dissolves, fades and flashes at known times."""
    places = [
        build_place(20 + at, names, ground=0.3)
        for at, names in enumerate((STUDIO, GARDEN, MARKET, HALL))
    ]
    scenes = tuple(Scene(colours=place.list_colours()) for place in places)

    def cut(time: float) -> np.ndarray:
        return places[int(time // 2)].picture

    def dissolve(time: float, length: float) -> np.ndarray:
        share = float(np.clip((time - 2) / length, 0, 1))
        return cv2.addWeighted(places[0].picture, 1 - share, places[1].picture, share, 0)

    plan = Plan(name="three cuts", kind="borders", draw=cut, scenes=scenes, seconds=8.0)
    yield evolve(plan, borders=((2, 2), (4, 4), (6, 6)), is_quick=True)
    for length in (0.5, 1.0, 2.0):
        yield evolve(
            plan,
            name=f"dissolve of {length} s",
            draw=lambda time, length=length: dissolve(time, length),
            borders=((2, 2 + length),),
            scenes=tuple(evolve(scene, motion=NONE | SLIGHT) for scene in scenes[:2]),
            seconds=5.0,
            is_quick=length == 1.0,
        )
    yield evolve(
        plan,
        name="a short shot",
        draw=lambda time: places[1 if 2 <= time < 2.75 else 0].picture,
        borders=((2, 2), (2.75, 2.75)),
        scenes=(scenes[0], scenes[1], scenes[0]),
        seconds=5.0,
    )
    yield evolve(
        plan,
        name="a flash",
        draw=lambda time: fill((255, 255, 255)) if 1.49 < time < 1.53 else places[2].picture,
        borders=(),
        scenes=(evolve(scenes[2], motion=NONE | SLIGHT),),
        seconds=3.0,
    )
    yield evolve(
        plan,
        name="fade through black",
        draw=lambda time: (places[int(time >= 2.5)].picture * min(1.0, abs(time - 2.5))).astype(
            np.uint8
        ),
        borders=((1.5, 3.5),),
        scenes=tuple(_darken(scene) for scene in scenes[:2]),
        seconds=5.0,
    )


def _darken(scene: Scene) -> Scene:
    """Tell of *scene* what is true when it fades: each of its colours may be called black or grey."""
    colours = tuple((names | {"black", "grey"}, share) for names, share in scene.colours)
    return evolve(scene, colours=colours, motion=NONE | ANY)


def plan_light() -> Iterator[Plan]:
    """Dark, dim and bright pictures; light that rises and falls."""
    place = build_place(60, STUDIO, ground=0.4)
    black = ((frozenset({"black"}), 1.0),)
    for name, gain, colours in (("night", 0.1, black), ("overexposed", 2.6, None)):
        known = colours or tuple(
            (names | {"white", "pink", "orange", "yellow"}, share)
            for names, share in place.list_colours()
        )
        yield Plan(
            name=name,
            kind="light",
            draw=lambda _, gain=gain: np.clip(place.picture * gain, 0, 255).astype(np.uint8),
            scenes=(Scene(colours=known, is_sharp=None),),
            seconds=2.0,
            is_quick=name == "night",
        )
    scene = _darken(Scene(colours=place.list_colours(), is_sharp=None))
    for name, gain in {
        "from black": lambda time: min(1.0, time / 2),
        "to black": lambda time: max(0.0, 1 - time / 4),
        "sunset": lambda time: 1.4 - time * 0.3,
    }.items():
        yield Plan(
            name=f"light, {name}",
            kind="light",
            draw=lambda time, gain=gain: np.clip(place.picture * gain(time), 0, 255).astype(
                np.uint8
            ),
            scenes=(scene,),
            seconds=4.0,
            is_quick=name == "from black",
        )


def plan_stills() -> Iterator[Plan]:
    """Still pictures: sharp, blurred, and with grain."""
    place = build_place(70, GARDEN, ground=0.3)
    plan = plan_still("still picture", "still", place, is_quick=True)
    yield plan
    blurred = cv2.GaussianBlur(place.picture, (0, 0), 14)
    muddy = tuple((names | set(COLOURS), share) for names, share in place.list_colours())
    unsharp = Scene(colours=muddy, camera=None, is_sharp=False)
    yield evolve(plan, name="out of focus", draw=lambda _: blurred, scenes=(unsharp,))
    for strength in (4.0, 9.0):
        yield evolve(
            plan,
            name=f"grain of {strength:g}",
            draw=lambda time, strength=strength: add_grain(place.picture, time, strength),
            is_quick=strength == 4.0,
        )


def plan_files() -> Iterator[Plan]:
    """Files of every kind: rates, time stamps, sizes, what is missing."""
    place, other = build_place(80, HALL, ground=0.4), build_place(81, GARDEN, ground=0.4)
    scenes = tuple(Scene(colours=one.list_colours()) for one in (place, other))
    plan = Plan(
        name="",
        kind="file",
        draw=lambda time: (place if time < 1.5 else other).picture,
        scenes=scenes,
        borders=((1.5, 1.5),),
    )
    for rate in ("24000/1001", "12.5", "60000/1001", "5"):
        yield evolve(plan, name=f"{float(Fraction(rate)):.5g} fps", rate=Fraction(rate))
    uneven = [Fraction(at, 30) for at in range(90) if at % 10 != 9]
    yield evolve(
        plan, name="uneven times", times=uneven, rate=Fraction(30), container="mp4", is_quick=True
    )
    yield evolve(plan, name="begins at 60 s", start=60, is_quick=True)
    yield evolve(plan, name="mp4", container="mp4")
    yield evolve(plan, name="gif", container="gif", codec="gif", rate=Fraction(10))
    yield evolve(
        plan, name="interlaced", container="mp4", options={"x264-params": "tff=1"}, is_quick=True
    )
    yield evolve(
        plan, name="upright", size=(180, 320), draw=lambda time: cv2.rotate(plan.draw(time), 0)
    )
    yield evolve(
        plan, name="odd size", size=(318, 178), draw=lambda time: plan.draw(time)[1:-1, 1:-1]
    )
    single = plan_still("", "file", place)
    single = evolve(single, scenes=(Scene(colours=place.list_colours(), camera=None),))
    yield evolve(single, name="one frame", seconds=0.04, rate=Fraction(25), is_quick=True)
    yield evolve(single, name="two frames", seconds=0.08, rate=Fraction(25))
    wide = build_place(82, MARKET, (700, 200), ground=0.4)
    cut_short = evolve(
        single,
        draw=lambda time: crop(wide.picture, 40 * time, 5),
        scenes=(Scene(colours=wide.list_colours(), motion=ANY, camera="moving"),),
        seconds=6.0,
    )
    yield evolve(cut_short, name="whole", container="mp4")
    yield evolve(cut_short, name="cut short", cut=0.4, is_quick=True)
