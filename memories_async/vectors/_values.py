"""The values that comparing vectors returns. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, TypeAlias

from attrs import frozen

from memories_async._protocol.value import Value

DuplicateKind: TypeAlias = Literal["same film or scene", "same seconds"]
"""The two things that a copy may mean; see `Vectors.duplicates`."""
UNSURE = "unsure"
"""The label of a vector whose neighbours do not agree."""


@frozen(slots=False)
class Neighbour(Value):
    """A vector near to another."""

    key: str
    cosine: float
    """From -1 to 1; 1 is the same direction. Rounded to 6 digits after the point."""


@frozen(slots=False)
class VectorPair(Value):
    """Two vectors and the cosine between them; the first was loaded first."""

    first: str
    second: str
    cosine: float


@frozen(slots=False)
class DuplicateGroup(Value):
    """Vectors that belong together."""

    keys: tuple[str, ...]
    """As they were loaded."""
    pairs: tuple[VectorPair, ...]
    """The pairs within the group whose cosine reaches the threshold, the nearest first."""

    def __len__(self) -> int:
        return len(self.keys)


@frozen(slots=False)
class Duplicates(Value):
    """Groups of vectors that belong together, the largest first; iterates over the groups."""

    groups: tuple[DuplicateGroup, ...]
    kind: DuplicateKind
    threshold: float
    """The smallest cosine of a pair."""
    note: str
    """What this answer can and cannot tell."""

    def __iter__(self) -> Iterator[DuplicateGroup]:
        """Iterate over the groups."""
        return iter(self.groups)

    def __len__(self) -> int:
        return len(self.groups)

    def __getitem__(self, position: int) -> DuplicateGroup:
        """Return one group."""
        return self.groups[position]


@frozen(kw_only=True, slots=False)
class Calibration(Value):
    """A threshold for `Vectors.duplicates`, and how good it was on known pairs."""

    threshold: float
    precision: float
    """Of the known pairs that reach the threshold, the share that are copies."""
    precision_at_least: float
    """The lower end of its 95 % interval (Wilson): what so few pairs can prove."""
    recall: float
    """Of the known copies, the share that reach the threshold."""
    recall_at_least: float
    copies: int
    """The pairs that it was measured with."""
    others: int
    groups: int
    """How many videos the copies are of: pairs of one video say little of another."""
    is_enough: bool
    """Whether the pairs are enough to trust the threshold."""
    note: str
    """Why they are not, or that the wanted precision was not reached; empty where all is well."""


@frozen(slots=False)
class Prediction(Value):
    """The label that the nearest labelled vectors give to a vector."""

    key: str
    label: str
    """`unsure` where the margin is too small."""
    margin: float
    """By how much the first label leads the second, as a share of all votes: 1 is unanimous."""
    nearest: float
    """The cosine of the nearest labelled vector."""


@frozen(kw_only=True, slots=False)
class Classification(Value):
    """Labels for vectors without one, and how often such labels were right; iterates over them."""

    predictions: tuple[Prediction, ...]
    """Of the vectors that had no label, as they were loaded."""
    accuracy: float | None
    """Of the labelled vectors that got a sure label from the others, the share that got their own;
    None where none did."""
    unsure: float
    """The share of the labelled vectors that the others left unsure."""
    labelled: Mapping[str, int]
    """How many vectors have each label."""

    def __iter__(self) -> Iterator[Prediction]:
        """Iterate over the predictions."""
        return iter(self.predictions)

    def __len__(self) -> int:
        return len(self.predictions)
