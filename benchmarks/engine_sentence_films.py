"""Films whose truth follows from how they are made, for `engine_sentences.py`.

Places are collages of named colours, so the share of each is counted, not seen. A film is a function
of the second; its borders, its camera and what moves in it are stated beside that function. The
lightness is that of the pictures as drawn, before any codec.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import attrs
import av
import cv2
import numpy as np

SIZE = (320, 180)
COLOURS = {
    "red": (200, 25, 30),
    "orange": (250, 130, 20),
    "yellow": (245, 220, 40),
    "green": (35, 135, 50),
    "blue": (35, 70, 210),
    "purple": (120, 40, 150),
    "pink": (255, 150, 190),
    "brown": (105, 62, 30),
    "black": (14, 14, 14),
    "grey": (128, 128, 128),
    "white": (245, 245, 245),
}
"""Red, green, blue of what nobody would call by another name."""
NEIGHBOURS = {
    "pure blue": ((0, 0, 255), "blue"),
    "navy": ((0, 0, 128), "blue"),
    "royal blue": ((65, 105, 225), "blue"),
    "sky": ((135, 206, 235), "blue"),
    "cyan": ((0, 255, 255), "blue blue-green"),
    "teal": ((0, 128, 128), "green blue blue-green"),
    "pure green": ((0, 255, 0), "green"),
    "olive": ((128, 128, 0), "green yellow brown"),
    "gold": ((255, 215, 0), "yellow orange"),
    "CSS orange": ((255, 165, 0), "orange"),
    "pure red": ((255, 0, 0), "red"),
    "maroon": ((128, 0, 0), "red brown"),
    "magenta": ((255, 0, 255), "pink purple"),
    "pure purple": ((128, 0, 128), "purple"),
    "hot pink": ((255, 105, 180), "pink"),
    "wood": ((193, 154, 107), "brown beige"),
    "skin": ((181, 135, 111), "brown beige"),
    "skin, light": ((224, 180, 150), "brown beige orange pink"),
    "beige": ((245, 245, 220), "white beige yellow"),
    "silver": ((192, 192, 192), "grey white"),
    "dark grey": ((50, 50, 50), "grey black"),
}
"""Colours beside those, and the names that are true of each."""
ANY = frozenset({"little motion", "some motion", "strong motion", "much motion"})
SLIGHT = frozenset({"little motion", "some motion"})
NONE = frozenset({"no motion"})
Draw = Callable[[float], np.ndarray]


@attrs.frozen(kw_only=True)
class Scene:
    """What one shot shows."""

    colours: tuple[tuple[frozenset[str], float], ...]
    """Names that are true of a colour, and its share of the picture."""
    motion: frozenset[str] = NONE
    """The words that are true of it."""
    camera: str | None = "still"
    """still, moving, or None where the pictures cannot tell."""
    moves: tuple[float, float] | None = None
    """Seconds between which something moves, where that is a part of the shot."""
    is_sharp: bool | None = True
    """None where one may say both."""


@attrs.frozen(kw_only=True)
class Made:
    """A film on disk, and what is true of it."""

    name: str
    kind: str
    path: Path
    duration: float
    start: float
    size: tuple[int, int]
    rate: float
    frames: int
    borders: tuple[tuple[float, float], ...]
    """From when to when one shot passes into the next; the same second for a cut."""
    scenes: tuple[Scene, ...]
    light: tuple[tuple[float, float], ...]
    """Second and mean lightness, 0 to 100, of each frame."""
    complete: bool = True


@attrs.frozen(kw_only=True)
class Plan:
    """How to make a film."""

    name: str
    kind: str
    draw: Draw
    scenes: tuple[Scene, ...]
    seconds: float = 3.0
    rate: Fraction = Fraction(24)
    size: tuple[int, int] = SIZE
    borders: tuple[tuple[float, float], ...] = ()
    container: str = "mkv"
    codec: str = "libx264"
    times: Sequence[Fraction] | None = None
    start: int = 0
    options: dict[str, str] = attrs.field(factory=dict)
    cut: float = 0.0
    """Share of the file that is cut off at its end."""
    is_quick: bool = False


def make(plan: Plan, folder: Path) -> Made:
    """Write the film of *plan*."""
    path = folder / f"{plan.name.replace(' ', '-').replace(',', '')}.{plan.container}"
    count = max(1, round(plan.seconds * plan.rate))
    times = plan.times or [Fraction(at) / plan.rate for at in range(count)]
    light = []
    with av.open(str(path), "w") as film:
        options = {"preset": "ultrafast", "crf": "12", "g": "24"} | plan.options
        stream = film.add_stream(
            plan.codec, rate=plan.rate, options=options if plan.codec == "libx264" else {}
        )
        stream.width, stream.height = plan.size
        stream.pix_fmt = "yuv420p" if plan.codec == "libx264" else "rgb8"
        tick = Fraction(1, 90_000) if plan.codec == "libx264" else Fraction(1, 100)
        stream.codec_context.time_base = tick
        for time in times:
            picture = plan.draw(float(time))
            light.append((float(time) + plan.start, measure_light(picture)))
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="bgr24")
            frame.pts, frame.time_base = round((time + plan.start) / tick), tick
            film.mux(stream.encode(frame))
        film.mux(stream.encode(None))
    if plan.cut:
        content = path.read_bytes()
        path.write_bytes(content[: round(len(content) * (1 - plan.cut))])
    step = times[-1] - times[-2] if len(times) > 1 else 1 / plan.rate
    duration = float(times[-1] + step - times[0])
    return Made(
        name=plan.name,
        kind=plan.kind,
        path=path,
        duration=duration,
        start=float(plan.start),
        size=plan.size,
        rate=len(times) / duration if plan.times else float(plan.rate),
        frames=len(times),
        borders=plan.borders,
        scenes=plan.scenes,
        light=tuple(light),
        complete=not plan.cut,
    )


def measure_light(picture: np.ndarray) -> float:
    """Measure the mean lightness, CIE L*, by its definition."""
    linear = (cv2.resize(picture, (80, 45), interpolation=cv2.INTER_AREA) / 255.0) ** 2.2
    shine = linear @ np.array((0.0722, 0.7152, 0.2126))
    return float(np.where(shine > 0.00886, 116 * np.cbrt(shine) - 16, 903.3 * shine).mean())


def fill(colour: tuple[int, int, int], size: tuple[int, int] = SIZE) -> np.ndarray:
    """Fill a picture with *colour* (red, green, blue)."""
    return np.full((size[1], size[0], 3), colour[::-1], np.uint8)


STUDIO = ("grey", "brown", "white", "blue")
GARDEN = ("green", "yellow", "black", "pink")
MARKET = ("red", "white", "orange", "black")
HALL = ("blue", "purple", "white", "grey")
"""Colours of places."""


@attrs.frozen(kw_only=True)
class Place:
    """A picture of named colours, and which colour each of its pixels has."""

    picture: np.ndarray
    labels: np.ndarray
    names: tuple[str, ...]

    def list_colours(self, labels: np.ndarray | None = None) -> tuple:
        """List the names, with the share of the picture that each has."""
        labels = self.labels if labels is None else labels
        shares = np.bincount(labels.reshape(-1), minlength=len(self.names)) / labels.size
        return tuple(
            (frozenset({name}), float(share))
            for name, share in zip(self.names, shares, strict=True)
            if share > 0.005
        )


def build_place(
    seed: int, names: Sequence[str], size: tuple[int, int] = SIZE, *, ground: float = 0.0
) -> Place:
    """Build a place of many shapes in the colours *names*; the first is its wall.

    With *ground* about that share of it stays wall. Shapes differ a little in lightness and have a
    fine texture, as things have: there is something to recognise.
    """
    random = np.random.default_rng(seed)
    width, height = size
    labels = np.zeros((height, width), np.uint8)
    shade = np.zeros((height, width), np.float32)
    count = round(width * height / 700)
    for at in range(count):
        label = 0 if random.random() < ground else int(random.integers(len(names)))
        x, y = int(random.integers(width)), int(random.integers(height))
        w, h = (int(random.integers(10, 46)) for _ in range(2))
        value, tone = label, float(random.uniform(-9, 9))
        if at % 3:
            cv2.rectangle(labels, (x - w // 2, y - h // 2), (x + w // 2, y + h // 2), value, -1)
            cv2.rectangle(shade, (x - w // 2, y - h // 2), (x + w // 2, y + h // 2), tone, -1)
        else:
            cv2.ellipse(labels, (x, y), (w // 2, h // 2), 0, 0, 360, value, -1)
            cv2.ellipse(shade, (x, y), (w // 2, h // 2), 0, 0, 360, tone, -1)
    table = np.array([COLOURS[name][::-1] for name in names], np.float32)
    fine = cv2.GaussianBlur(random.normal(0, 14, (height, width)).astype(np.float32), (3, 3), 0)
    picture = table[labels] + (shade + fine)[..., None]
    return Place(
        picture=np.clip(picture, 0, 255).astype(np.uint8), labels=labels, names=tuple(names)
    )


def crop(
    picture: np.ndarray, x: float, y: float, *, scale: float = 1.0, flags: int = cv2.INTER_LINEAR
) -> np.ndarray:
    """Show the part of *picture* whose corner is at *x*, *y*; *scale* above 1 is closer."""
    matrix = np.array([[1 / scale, 0, x], [0, 1 / scale, y]], np.float32)
    return cv2.warpAffine(
        picture, matrix, SIZE, flags=flags | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REFLECT
    )


def add_grain(picture: np.ndarray, time: float, strength: float) -> np.ndarray:
    """Add the grain of a film or a sensor, another one in each frame."""
    random = np.random.default_rng(round(time * 1000))
    grain = random.normal(0, strength, (*picture.shape[:2], 1))
    return np.clip(picture + grain, 0, 255).astype(np.uint8)


def paste(picture: np.ndarray, thing: np.ndarray, x: float, y: float) -> np.ndarray:
    """Lay *thing* over *picture* with its corner near *x*, *y*."""
    shown = picture.copy()
    height, width = thing.shape[:2]
    left = int(np.clip(x, 0, picture.shape[1] - width))
    top = int(np.clip(y, 0, picture.shape[0] - height))
    shown[top : top + height, left : left + width] = thing
    return shown


def draw_head(nod: float, *, tall: float = 60) -> np.ndarray:
    """Draw a head before a grey wall; *nod* shifts it by so many pixels."""
    picture = fill((150, 150, 150))
    x, y, r = 160, 90 + nod, tall / 2
    for colour, at, axes in (
        ((60, 40, 30), (x, y - r * 0.15), (r * 0.82, r * 1.1)),
        ((224, 180, 150), (x, y + r * 0.1), (r * 0.7, r * 0.9)),
        ((40, 30, 30), (x - r * 0.28, y), (r * 0.1, r * 0.07)),
        ((40, 30, 30), (x + r * 0.28, y), (r * 0.1, r * 0.07)),
        ((150, 60, 60), (x, y + r * 0.5), (r * 0.25, r * 0.07)),
    ):
        centre = (round(at[0] * 16), round(at[1] * 16))
        size = (round(axes[0] * 16), round(axes[1] * 16))
        cv2.ellipse(picture, centre, size, 0, 0, 360, colour[::-1], -1, cv2.LINE_AA, 4)
    return picture


def plan_still(name: str, kind: str, place: Place, *, is_quick: bool = False) -> Plan:
    """Plan a film of one still picture."""
    return Plan(
        name=name,
        kind=kind,
        draw=lambda _: place.picture,
        scenes=(Scene(colours=place.list_colours()),),
        seconds=2.0,
        is_quick=is_quick,
    )
