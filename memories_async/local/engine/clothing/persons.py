"""What a caption says of the persons in a request: nobody is recognised, whatever is compared.

Without the wish to compare clothing, that none was searched for. With it, where clothing like that
in somebody's picture was seen, or why it could not be looked for.
"""

from __future__ import annotations

from memories_async.local.engine._cv import Floats, np
from memories_async.local.engine.clothing.blobs import fixed
from memories_async.local.engine.clothing.matching import LIKE, Worn, who_wore
from memories_async.local.engine.clothing.silhouette import worn_in
from memories_async.local.engine.protocol import CaptionRequest, ReferencePerson, UnreadableImage
from memories_async.local.engine.video.picture import decode
from memories_async.local.engine.vision.index import PixelIndex

__all__ = ["HOW", "clothing_told", "unsearched"]

HOW = (
    "Clothing: a figure is what differs from the emptiest view of a still camera; its colours in six "
    "stripes, over its whole way through the picture, were compared with those of the person cut out "
    f"of the middle of the given picture, and called similar from {LIKE:g}. "
    "On the one film of six persons, one at a time, to which this was fitted, the right one was "
    "named with precision 0.99 and recall 0.94 of all moments, given pictures of all six from the "
    "same film; given those of three, with precision 0.91 (0.50 for the worst choice), the other "
    "three being strangers. For somebody who was not there, a stranger in the same colours was named "
    "in 10 of 30 trials. Expect less of any other film."
)
"""How clothing was compared, and how often it was the right person: `benchmarks/clothing.py`."""


def unsearched(request: CaptionRequest) -> list[str]:
    """Say that no person was searched for."""
    if not request.persons:
        return ["Persons were not searched for."]
    return [f"{_given(request)}: none was searched for."]


def clothing_told(index: PixelIndex, request: CaptionRequest) -> list[str]:
    """Say for each person when clothing like that in the picture was seen, and that this is all."""
    if not request.persons:
        return unsearched(request)
    looked = fixed(index)
    if not looked.any():
        why = "no shot is long enough and surely from a fixed camera"
        return [f"{_given(request)}, and clothing could not be looked for: {why}."]
    pictures, reasons = _pictures(request.persons)
    worn = who_wore(index, pictures)
    where = "" if looked.all() else " in the shots of a fixed camera"
    return [
        *(f"The clothing of {name} could not be looked for: {why}." for name, why in reasons),
        *(_seen(name, [one for one in worn if one.name == name], where) for name in pictures),
    ]


def _pictures(
    persons: tuple[ReferencePerson, ...],
) -> tuple[dict[str, Floats], list[tuple[str, str]]]:
    """Describe the clothing in each person's pictures; and say of the others why not."""
    described: dict[str, Floats] = {}
    reasons: list[tuple[str, str]] = []
    for person in persons:
        try:
            found = _clothes(person)
        except UnreadableImage as error:
            reasons.append((person.name, error.reason))
        else:
            before = described.get(person.name, found[:0])
            described[person.name] = np.concatenate((before, found))
    return described, reasons


def _clothes(person: ReferencePerson) -> Floats:
    if person.image is None:
        raise UnreadableImage("no picture was given")
    return worn_in(decode(person.image))


def _seen(name: str, worn: list[Worn], where: str) -> str:
    if not worn:
        return f"No clothing similar to the picture of {name} was found{where}."
    times = " and ".join(f"{one.start_time:.1f}-{one.end_time:.1f} s" for one in worn)
    values = sorted({f"{one.likeness:.2f}" for one in worn})
    value = values[0] if len(values) == 1 else f"{values[0]} to {values[-1]}"
    return (
        f"Clothing similar to the picture of {name} at {times} (similarity {value}), "
        "not an identification."
    )


def _given(request: CaptionRequest) -> str:
    names = ", ".join(person.name for person in request.persons)
    return f"Persons were given ({names}), but nobody is recognised here"
