"""Global features of a picture: colours, edges and layout as four short vectors.

They make the shortlist of a search, the likeness of neighbouring frames, and the embedding. The
features of the mirrored picture follow from those of the picture (`mirror`).
"""

from __future__ import annotations

import itertools

from attrs import frozen

from memories_async.local.engine._cv import Floats, Numbers, Picture, cv2, np, unit

__all__ = ["LENGTHS", "Looks", "describe", "stack"]

_WORK = (160, 90)
_HALF = (80, 45)
_CELLS = 8
_ANGLES = 8
_THUMB = (16, 9)
_WAVES = 16
_PART = 8
"""A picture may fill an eighth of the other one and still have all its colours held."""
LENGTHS = (512, 512, 432, 256)
"""Numbers in colours, edges, thumb and waves."""


@frozen(kw_only=True)
class Looks:
    """Features of one picture or, with one row each, of many; rows of length 1."""

    colours: Floats
    """Soft histogram over 8 x 8 x 8 Lab bins; its square root."""
    edges: Floats
    """Directions of gradients in 8 x 8 cells."""
    thumb: Floats
    """16 x 9 Lab picture without its mean."""
    waves: Floats
    """Lowest 16 x 16 frequencies of the lightness, without the mean."""

    def compare(self, other: Looks) -> Floats:
        """Compare this picture with each row of *other*; rows x 4.

        Cosines of colours, edges and thumb; and the share of this picture's colours that the other
        one holds as well, if only in a small part of it.
        """
        held = np.minimum(self.colours**2, _PART * other.colours**2).sum(axis=-1)
        columns = (
            other.colours @ self.colours,
            other.edges @ self.edges,
            other.thumb @ self.thumb,
            held,
        )
        return np.stack(columns, axis=-1)

    @property
    def richness(self) -> float:
        """The entropy of this picture's colours, 0 to about 6: how varied they are."""
        share = self.colours.astype(np.float64) ** 2
        return float(-(share * np.log(np.maximum(share, 1e-12))).sum())

    def mirror(self) -> Looks:
        """Return the features of the same pictures seen in a mirror."""
        return Looks(
            colours=self.colours,
            edges=self.edges[..., _EDGE_MIRROR],
            thumb=self.thumb[..., _THUMB_MIRROR],
            waves=self.waves * _WAVE_MIRROR,
        )


def describe(picture: Picture) -> Looks:
    """Compute the features of *picture*; about 1.5 ms."""
    small = cv2.resize(picture, _WORK, interpolation=cv2.INTER_AREA)
    lab = np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2LAB), np.float32)
    half = np.asarray(cv2.resize(lab, _HALF, interpolation=cv2.INTER_AREA), np.float32)
    light = np.ascontiguousarray(lab[..., 0])
    return Looks(
        colours=_measure_colours(half),
        edges=_measure_edges(light),
        thumb=_measure_layout(lab),
        waves=_measure_waves(light),
    )


def stack(many: list[Looks]) -> Looks:
    """Join the features of several pictures, one row each."""
    return Looks(
        colours=np.stack([one.colours for one in many]),
        edges=np.stack([one.edges for one in many]),
        thumb=np.stack([one.thumb for one in many]),
        waves=np.stack([one.waves for one in many]),
    )


def _measure_colours(lab: Floats) -> Floats:
    """Count each pixel in the two nearest bins along each axis, so that borders are soft."""
    # The chroma of real pictures keeps to the middle: 64..192 is cut into bins, the rest joins.
    scaled = np.stack(
        (
            lab[..., 0] * (7 / 255),
            np.clip((lab[..., 1] - 72) * (7 / 112), 0, 7),
            np.clip((lab[..., 2] - 72) * (7 / 112), 0, 7),
        ),
        axis=-1,
    ).reshape(-1, 3)
    low = np.minimum(scaled.astype(np.int64), 6)
    part = scaled - low
    counts = np.zeros(512)
    base = low @ np.array((64, 8, 1))
    shares = (1 - part, part)
    for light, a, b in itertools.product((0, 1), repeat=3):
        weight = shares[light][:, 0] * shares[a][:, 1] * shares[b][:, 2]
        counts += np.bincount(base + (64 * light + 8 * a + b), weight, minlength=512)
    return unit(np.sqrt(counts).astype(np.float32))


def _measure_edges(light: Floats) -> Floats:
    """Sum gradients by direction (sign ignored) in cells, each normalised by its energy."""
    across = np.asarray(cv2.Sobel(light, cv2.CV_32F, 1, 0), np.float32)
    down = np.asarray(cv2.Sobel(light, cv2.CV_32F, 0, 1), np.float32)
    size, angle = cv2.cartToPolar(across, down)
    angle = np.asarray(angle, np.float32) * (_ANGLES / np.pi)
    low = angle.astype(np.int64)
    part = (angle - low) * size
    boxes = _EDGE_CELL + low % _ANGLES, _EDGE_CELL + (low + 1) % _ANGLES
    count = _CELLS * _CELLS * _ANGLES
    grid = np.bincount(boxes[0].reshape(-1), (size - part).reshape(-1), count)
    grid += np.bincount(boxes[1].reshape(-1), part.reshape(-1), count)
    grid = grid.reshape(_CELLS * _CELLS, _ANGLES)
    energy = np.sqrt((grid**2).sum(axis=-1, keepdims=True))
    even = grid / (energy + 0.3 * float(energy.mean()) + 1e-3)
    return unit(even.reshape(-1).astype(np.float32))


def _measure_layout(lab: Floats) -> Floats:
    """Subtract the mean, so that brightness does not count; colour counts double."""
    small = np.asarray(cv2.resize(lab, _THUMB, interpolation=cv2.INTER_AREA), np.float32)
    small = small - small.mean(axis=(0, 1), keepdims=True)
    small[..., 1:] *= 2
    return unit(small.reshape(-1))


def _measure_waves(light: Floats) -> Floats:
    square = cv2.resize(light, (64, 64), interpolation=cv2.INTER_AREA)
    waves = np.asarray(cv2.dct(square), np.float32)[:_WAVES, :_WAVES].copy()
    waves[0, 0] = 0
    return unit((np.sign(waves) * np.sqrt(np.abs(waves))).reshape(-1))


def _mirror_edges() -> list[int]:
    """Return where each number of `Looks.edges` comes from in a mirror."""
    # A mirrored gradient at angle a points at pi - a: direction k becomes (ANGLES - k) mod ANGLES.
    places = np.arange(LENGTHS[1]).reshape(_CELLS, _CELLS, _ANGLES)
    turned = places[:, ::-1, (_ANGLES - np.arange(_ANGLES)) % _ANGLES]
    return [int(place) for place in turned.reshape(-1)]


def _number_cells() -> Numbers:
    """Return each pixel's cell number, times the angles in a cell."""
    width, height = _WORK
    rows = np.arange(height) * _CELLS // height
    columns = np.arange(width) * _CELLS // width
    return (rows[:, None] * _CELLS + columns[None, :]) * _ANGLES


_EDGE_CELL = _number_cells()
_EDGE_MIRROR = _mirror_edges()
_THUMB_MIRROR = np.arange(LENGTHS[2]).reshape(_THUMB[1], _THUMB[0], 3)[:, ::-1].reshape(-1)
_WAVE_MIRROR = np.tile(np.where(np.arange(_WAVES) % 2, -1, 1), _WAVES).astype(np.float32)
