"""Labels vectors by their nearest labelled neighbours, which vote with their cosine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from memories_async.vectors._search import Rows, round_cosines
from memories_async.vectors._store import Doubles, VectorStore
from memories_async.vectors._values import UNSURE, Classification, Prediction

_AT_ONCE = 4 << 20
"""Cosines that are computed at once."""


def classify(
    store: VectorStore,
    keys: Sequence[str],
    labels: Mapping[int, str],
    k: int,
    min_margin: float,
) -> Classification:
    """Label every row that has no label, and each labelled row by the others."""
    rows: npt.NDArray[np.intp] = np.array(sorted(labels), np.intp)
    names = np.array([labels[row] for row in rows.tolist()], object)
    known = store.read_units(rows).astype(np.float32)
    size = max(1, min(1_024, _AT_ONCE // len(rows)))
    predictions: list[Prediction] = []
    right = sure = 0
    for some, block in store.iterate_unit_blocks(size):
        cosines = round_cosines((block @ known.T).astype(np.float64))
        for row, to_known in zip(range(some.start, some.stop), cosines, strict=True):
            near = find_labelled(to_known, rows != row if row in labels else None, k)
            found = vote(keys[row], names[near], to_known[near], min_margin)
            if row not in labels:
                predictions.append(found)
            elif found.label != UNSURE:
                sure += 1
                right += found.label == labels[row]
    return Classification(
        predictions=tuple(predictions),
        accuracy=right / sure if sure else None,
        unsure=1 - sure / len(labels),
        labelled=dict(Counter(labels.values())),
    )


def find_labelled(cosines: Doubles, allowed: npt.NDArray[np.bool_] | None, k: int) -> Rows:
    """Find the *k* nearest labelled rows, the first loaded among equal ones."""
    if allowed is not None:
        cosines = np.where(allowed, cosines, -np.inf)
    order = np.argsort(-cosines, kind="stable")[:k]
    return order[np.isfinite(cosines[order])]


def vote(
    key: str, labels: npt.NDArray[np.object_], cosines: Doubles, min_margin: float
) -> Prediction:
    """Let neighbours vote, each with its cosine where that is positive."""
    votes = Counter[str]()
    for label, cosine in zip(labels.tolist(), cosines.tolist(), strict=True):
        votes[label] += max(cosine, 0.0)
    (first, most), *rest = votes.most_common(2)
    total = votes.total()
    margin = (most - (rest[0][1] if rest else 0.0)) / total if total else 0.0
    is_sure = total > 0 and margin >= min_margin and margin > 0
    return Prediction(key, first if is_sure else UNSURE, round(margin, 4), float(cosines[0]))
