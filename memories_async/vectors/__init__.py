"""What embeddings are for: similar videos, duplicates, classes, a map. Needs the extra `vectors`."""

from typing import TYPE_CHECKING

from memories_async._lazy import later

if TYPE_CHECKING:
    from memories_async.vectors._index import ApproximateIndex
    from memories_async.vectors._values import (
        Calibration,
        Classification,
        DuplicateGroup,
        DuplicateKind,
        Duplicates,
        Neighbour,
        Prediction,
        VectorPair,
    )
    from memories_async.vectors._vectors import Vectors
else:
    _find = later(
        __name__,
        {
            "ApproximateIndex": "._index",
            "Calibration": "._values",
            "Classification": "._values",
            "DuplicateGroup": "._values",
            "DuplicateKind": "._values",
            "Duplicates": "._values",
            "Neighbour": "._values",
            "Prediction": "._values",
            "VectorPair": "._values",
            "Vectors": "._vectors",
        },
    )

    def __getattr__(name: str) -> object:
        try:
            return _find(name)
        except ModuleNotFoundError as error:
            if error.name != "numpy":
                raise
            raise ModuleNotFoundError(
                "memories_async.vectors needs numpy: pip install 'memories_async[vectors]'",
                name="numpy",
            ) from error


__all__ = [
    "ApproximateIndex",
    "Calibration",
    "Classification",
    "DuplicateGroup",
    "DuplicateKind",
    "Duplicates",
    "Neighbour",
    "Prediction",
    "VectorPair",
    "Vectors",
]
