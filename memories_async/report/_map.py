"""The map of embeddings, with the neighbours of each, and groups of likely duplicates."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count

from attrs import field, frozen

from memories_async.ledger import Ledger
from memories_async.vectors import Vectors

SIZE = (800, 520)
"""Width and height of the map."""
RADIUS = 8
MOST_DOTS, MOST_GROUPS, MOST_IN_GROUP = 300, 30, 8
"""How many dots, groups of duplicates, and videos of a group the page shows."""
_NEIGHBOURS = 6
_CELL = 2 * RADIUS + 3


@frozen(kw_only=True)
class Dot:
    """One embedded video."""

    id: str
    key: str
    name: str
    x: int
    y: int
    still: str = field(default="", repr=False)
    near: tuple[tuple[str, str, str], ...] = ()
    """Id of its dot (empty where it has none), name and cosine of the nearest others."""


@frozen(kw_only=True)
class CopyGroup:
    """Videos that are likely copies."""

    members: tuple[tuple[str, str, str], ...] = field(repr=False)
    """Name, id and still of each."""
    size: int
    cosine: str
    """Of the nearest pair."""


@frozen(kw_only=True)
class VectorMap:
    """What is shown of the embeddings."""

    dots: tuple[Dot, ...] = ()
    count: int = 0
    groups: tuple[CopyGroup, ...] = ()
    group_count: int = 0
    threshold: float = 0.0
    note: str = ""
    """What duplicates can and cannot tell, or why there is no map."""
    skipped: int = 0


def build_map(
    ledger: Ledger, find_name: Callable[[str], str], find_still: Callable[[str], str]
) -> VectorMap:
    """Compare the embeddings of *ledger*; vectors that cannot be compared become a note."""
    try:
        vectors = Vectors.of(ledger, skip_invalid=True)
    except ValueError as error:
        return VectorMap(note=f"There is no map: {error}.")
    if not vectors.keys:
        return VectorMap()
    shown = [*vectors.keys[:MOST_DOTS]]
    ids = {key: f"v{at}" for at, key in enumerate(shown)}
    stills = {key: find_still(key) for key in shown}
    places = spread([(float(x), float(y)) for x, y in vectors.map()[:MOST_DOTS]])
    dots: list[Dot] = []
    for key, (x, y) in zip(shown, places, strict=True):
        near = vectors.similar(key, k=_NEIGHBOURS)
        named = [(ids.get(one.key, ""), find_name(one.key), f"{one.cosine:.3f}") for one in near]
        dots.append(
            Dot(
                id=ids[key], key=key, name=find_name(key), x=x, y=y, still=stills[key],
                near=tuple(named),
            )
        )  # fmt: skip
    found = vectors.duplicates()
    groups = [
        CopyGroup(
            members=tuple(
                (find_name(key), key, stills.get(key) or find_still(key))
                for key in group.keys[:MOST_IN_GROUP]
            ),
            size=len(group),
            cosine=f"{group.pairs[0].cosine:.3f}" if group.pairs else "",
        )
        for group in found.groups[:MOST_GROUPS]
    ]
    return VectorMap(
        dots=tuple(dots),
        count=len(vectors.keys),
        groups=tuple(groups),
        group_count=len(found),
        threshold=found.threshold,
        note=found.note,
    )


def spread(points: list[tuple[float, float]]) -> list[tuple[int, int]]:
    """Place each point near its own place, so that no dot lies under another."""
    if not points:
        return []
    columns, rows = SIZE[0] // _CELL, SIZE[1] // _CELL
    if len(points) > columns * rows:
        raise ValueError(f"points must be at most {columns * rows}, not {len(points)}")
    axes = [
        _scale([point[axis] for point in points], size) for axis, size in ((0, columns), (1, rows))
    ]
    taken: set[tuple[int, int]] = set()
    placed: list[tuple[int, int]] = []
    for column, row in zip(*axes, strict=True):
        cell = next(
            cell
            for cell in _spiral(column, row)
            if cell not in taken and 0 <= cell[0] < columns and 0 <= cell[1] < rows
        )
        taken.add(cell)
        placed.append((cell[0] * _CELL + _CELL // 2, SIZE[1] - cell[1] * _CELL - _CELL // 2))
    return placed


def _scale(values: list[float], size: int) -> list[int]:
    low, high = min(values), max(values)
    if high - low <= 0:
        return [size // 2] * len(values)
    return [1 + round((value - low) / (high - low) * (size - 3)) for value in values]


def _spiral(column: int, row: int) -> Iterator[tuple[int, int]]:
    """Yield a cell and those around it, ring by ring."""
    yield column, row
    for ring in count(1):
        for step in range(-ring, ring + 1):
            yield column + step, row - ring
            yield column + step, row + ring
        for step in range(-ring + 1, ring):
            yield column - ring, row + step
            yield column + ring, row + step
