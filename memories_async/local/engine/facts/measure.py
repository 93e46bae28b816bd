"""Measure each shot: its colours, light, motion and camera."""

from __future__ import annotations

from attrs import frozen

from memories_async.local.engine._cv import Floats, np
from memories_async.local.engine.facts.motion import name_motion
from memories_async.local.engine.protocol import Shot
from memories_async.local.engine.vision.colour_names import NAMES
from memories_async.local.engine.vision.index import PixelIndex

__all__ = ["ShotFacts", "measure_shots"]

_SEEN = 1 / 8
"""Share of the picture from which a colour is named."""
_LIGHTS = ((20.0, "dark"), (40.0, "dim"), (65.0, "mid-bright"), (101.0, "bright"))
_USUAL = (10, 90)
"""Percentiles between which the light of a shot counts."""
_BLURRED = 12.0
_CAMERAS = {(True, False): "still camera", (False, True): "moving camera", (False, False): ""}


@frozen(kw_only=True)
class ShotFacts:
    """One shot, measured."""

    shot: Shot
    colours: tuple[tuple[str, float], ...]
    """Names and shares of the picture, most first."""
    light: float
    """Mean lightness, 0..100."""
    brightness: str
    """One word, or "between ... and ..." where the light changes much."""
    motion: str
    """How much moves, and when where that is a part of the shot; empty where the pictures do not tell."""
    camera: str
    """"still camera", "moving camera", or empty where the pictures do not tell."""
    blurred: bool


def measure_shots(index: PixelIndex) -> tuple[ShotFacts, ...]:
    """Measure every shot of *index*."""
    return tuple(_measure_shot(number, index) for number in range(len(index.facts.shots)))


def _measure_shot(number: int, index: PixelIndex) -> ShotFacts:
    shot, staging = index.facts.shots[number], index.staging
    samples, signals = index.samples, index.signals
    inside = _find_inside(samples.times, shot)
    moments = _find_inside(signals.times, shot)
    light = signals.light[moments]
    shares = samples.colours[inside].mean(axis=0).tolist()
    ranked = sorted(zip(NAMES, shares, strict=True), key=lambda one: -one[1])
    return ShotFacts(
        shot=shot,
        colours=tuple(one for one in ranked if one[1] >= _SEEN),
        light=float(light.mean()),
        brightness=_name_light(light),
        motion=name_motion(index, number, moments),
        camera=_CAMERAS[bool(staging.still[number]), bool(staging.moving[number])],
        blurred=float(np.median(samples.sharpness[inside])) < _BLURRED,
    )


def _find_inside(times: Floats, shot: Shot) -> list[int]:
    """Find which of *times* lie within *shot*, or the nearest one."""
    found = np.flatnonzero((times >= shot.start_time) & (times < shot.end_time))
    if not len(found):
        middle = (shot.start_time + shot.end_time) / 2
        found = np.array([int(np.abs(times - middle).argmin())])
    return [int(place) for place in found]


def _name_light(light: Floats) -> str:
    """Name the mean; or what the light changes between, where most pictures are unlike the mean."""
    low, high = (float(np.percentile(light, part)) for part in _USUAL)
    names = [word for _, word in _LIGHTS]
    first, mean, last = (
        sum(value >= limit for limit, _ in _LIGHTS) for value in (low, float(light.mean()), high)
    )
    return names[mean] if last - first <= 1 else f"between {names[first]} and {names[last]}"
