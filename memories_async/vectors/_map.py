"""Two coordinates for each vector, for pictures: the two directions in which they differ most."""

from __future__ import annotations

import numpy as np

from memories_async.vectors._store import Doubles, VectorStore

_AXES = 2


def project(store: VectorStore) -> Doubles:
    """Project the vectors, each of length 1, on their first two principal components.

    The components come from the singular values of the covariance, so memory does not grow with the
    number of vectors; those of fewer vectors than they have numbers come from these themselves. Of
    each, the largest number is positive: a picture is not mirrored next time.
    """
    points = np.zeros((store.count, _AXES))
    if not store.count:
        return points
    mean = np.zeros(store.dimensions)
    for _, block in store.iterate_unit_blocks():
        mean += block.sum(axis=0, dtype=np.float64)
    mean /= store.count
    if store.count < store.dimensions:
        centred = np.concatenate([block - mean for _, block in store.iterate_unit_blocks()])
        components = np.linalg.svd(centred, full_matrices=False)[2].T
    else:
        spread = np.zeros((store.dimensions, store.dimensions))
        for _, block in store.iterate_unit_blocks():
            centred = (block - mean).astype(np.float32)
            spread += centred.T @ centred
        components = np.linalg.svd(spread / store.count, hermitian=True)[0]
    axes = components[:, :_AXES]
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), range(axes.shape[1])])
    for rows, block in store.iterate_unit_blocks():
        points[rows, : axes.shape[1]] = (block - mean) @ axes
    return points
