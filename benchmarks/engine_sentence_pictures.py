"""What films of `engine_sentences.py` show: colours, rooms, a camera that moves, a head."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction

import cv2
import numpy as np
from engine_sentence_films import (
    ANY,
    COLOURS,
    GARDEN,
    HALL,
    MARKET,
    NEIGHBOURS,
    NONE,
    SIZE,
    SLIGHT,
    STUDIO,
    Place,
    Plan,
    Scene,
    build_place,
    crop,
    draw_head,
    fill,
    paste,
    plan_still,
)


def plan_colours() -> Iterator[Plan]:
    """One colour all over: named ones, and their neighbours."""
    table = {name: (value, name) for name, value in COLOURS.items()} | NEIGHBOURS
    quick = ("red", "pure blue", "navy", "CSS orange", "cyan", "wood", "skin", "teal")
    for name, (value, true) in table.items():
        yield Plan(
            name=name,
            kind="one colour",
            draw=lambda _, value=value: fill(value),
            scenes=(Scene(colours=((frozenset(true.split()), 1.0),), camera=None, is_sharp=False),),
            seconds=1.0,
            rate=Fraction(8),
            is_quick=name in quick,
        )


def plan_shares() -> Iterator[Plan]:
    """Two, three and four colours by their shares, as areas and as places."""
    for names, shares in (
        (("red", "white"), (0.6, 0.4)),
        (("blue", "yellow"), (0.85, 0.15)),
        (("green", "grey", "black"), (0.4, 0.35, 0.25)),
        (("white", "blue", "red"), (0.74, 0.13, 0.13)),
        (("orange", "purple", "brown", "pink"), (0.25, 0.25, 0.25, 0.25)),
    ):
        picture, left = fill(COLOURS[names[-1]]), 0.0
        for name, share in zip(names, shares, strict=True):
            begin, left = round(left * SIZE[0]), left + share
            picture[:, begin : round(left * SIZE[0])] = COLOURS[name][::-1]
        yield Plan(
            name=" ".join(f"{name} {share:.0%}" for name, share in zip(names, shares, strict=True)),
            kind="shares",
            draw=lambda _, picture=picture: picture,
            scenes=(
                Scene(
                    colours=tuple(
                        (frozenset({name}), share)
                        for name, share in zip(names, shares, strict=True)
                    ),
                    camera=None,
                    is_sharp=None,
                ),
            ),
            seconds=1.0,
            rate=Fraction(8),
            is_quick=len(names) == 3,
        )
    for at, (names, ground) in enumerate(((MARKET, 0.5), (GARDEN, 0.2), (HALL, 0.7))):
        yield plan_still(f"place {at}", "shares", build_place(40 + at, names, ground=ground))


def plan_rooms() -> Iterator[Plan]:
    """A camera that stands while a part of the picture moves."""
    room = build_place(3, STUDIO, ground=0.5)
    white = Place(
        picture=fill(COLOURS["white"]), labels=np.zeros(SIZE[::-1], np.uint8), names=("white",)
    )
    for ground, what in ((room, "room"), (white, "white wall")):
        for share, words in ((0.02, SLIGHT), (0.1, ANY), (0.3, ANY), (0.5, ANY)):
            side = (share * SIZE[0] * SIZE[1]) ** 0.5
            thing = build_place(9, MARKET, (round(side * 1.15), round(side / 1.15)))

            def draw(time: float, ground=ground, thing=thing) -> np.ndarray:
                x = 90 + 70 * np.sin(time * 2.1)
                y = 30 + 25 * np.sin(time * 1.7)
                return paste(ground.picture, thing.picture, x, y)

            colours = _mix((ground.list_colours(), 1 - share), (thing.list_colours(), share))
            yield Plan(
                name=f"{what}, {share:.0%} moves",
                kind="fixed camera",
                draw=draw,
                scenes=(
                    Scene(
                        colours=colours,
                        motion=words,
                        camera="still" if what == "room" else None,
                        is_sharp=None if share < 0.2 and what != "room" else True,
                    ),
                ),
                seconds=4.0,
                is_quick=share == 0.3,
            )

    ball = build_place(9, MARKET, (50, 50))
    yield Plan(
        name="room, something passes",
        kind="fixed camera",
        draw=lambda time: (
            paste(room.picture, ball.picture, 300 * (time - 2), 70)
            if 2 <= time < 2.9
            else room.picture
        ),
        scenes=(Scene(colours=room.list_colours(), motion=ANY, moves=(2.0, 2.9)),),
        seconds=6.0,
        is_quick=True,
    )


def _mix(*parts):
    return tuple((names, share * weight) for some, weight in parts for names, share in some)


def plan_cameras() -> Iterator[Plan]:
    """Pans in four directions and three speeds, zooms, and a hand that shakes."""
    wide = build_place(5, STUDIO, (900, 700), ground=0.4)
    ways = {"right": (1, 0), "left": (-1, 0), "down": (0, 1), "up": (0, -1)}
    for speed, seconds, rate in ((3.0, 16.0, 6), (12.0, 4.0, 24), (90.0, 2.5, 24)):
        for way, (across, down) in ways.items():
            yield _plan_view(
                f"pan {way}, {speed / SIZE[0]:.0%} of the width a second",
                wide,
                lambda time, x=across * speed, y=down * speed: (290 + x * time, 260 + y * time, 1),
                seconds=seconds,
                rate=Fraction(rate),
                is_quick=way == "right" and speed < 50,
            )
    for name, view in {
        "zoom in": lambda time: _zoom(1 + 0.15 * time),
        "zoom out": lambda time: _zoom(1.6 - 0.15 * time),
        "hand": lambda time: (290 + 9 * np.sin(7 * time), 260 + 7 * np.sin(5.3 * time + 1), 1),
    }.items():
        yield _plan_view(name, wide, view, is_quick=name == "zoom in")


def _plan_view(name: str, place: Place, view: Callable, *, seconds: float = 3.0, **more) -> Plan:
    """Plan a film of a camera that shows what *view* says of *place*: left, top and scale."""

    def show(picture: np.ndarray, time: float, flags: int) -> np.ndarray:
        left, top, scale = view(time)
        return crop(picture, left, top, scale=scale, flags=flags)

    labels = [
        show(place.labels, part * seconds, cv2.INTER_NEAREST) for part in np.linspace(0, 1, 9)
    ]
    colours = place.list_colours(np.stack(labels))
    return Plan(
        name=name,
        kind="camera",
        draw=lambda time: show(place.picture, time, cv2.INTER_LINEAR),
        scenes=(Scene(colours=colours, motion=ANY, camera="moving"),),
        seconds=seconds,
        **more,
    )


def _zoom(scale: float) -> tuple[float, float, float]:
    return 450 - SIZE[0] / scale / 2, 350 - SIZE[1] / scale / 2, scale


def plan_heads() -> Iterator[Plan]:
    """A head before a grey wall, that nods, speaks a little, or does not move."""
    skin = frozenset(["brown", "beige", "orange", "pink"])
    colours = ((frozenset({"grey"}), 0.93), (skin, 0.045), (frozenset({"black", "brown"}), 0.025))
    for name, nod, words in (
        ("nods", lambda time: 3 * np.sin(time * 6), SLIGHT),
        ("nods slightly", lambda time: 1.5 * np.sin(time * 5), SLIGHT),
        ("is at rest", lambda _: 0.0, NONE),
    ):
        yield Plan(
            name=f"head {name}",
            kind="head",
            draw=lambda time, nod=nod: draw_head(nod(time)),
            scenes=(Scene(colours=colours, motion=words, camera=None, is_sharp=None),),
            is_quick=name == "nods",
        )
