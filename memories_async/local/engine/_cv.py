"""OpenCV and numpy, or one sentence that says what to install; and the types of arrays.

Any installed `cv2` will do (headless or not): two of its packages would overwrite each other. Nothing
is used that OpenCV 5 has dropped.
"""

from __future__ import annotations

from typing import TypeAlias

try:
    import cv2
    import numpy as np
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"the embedded engine needs {error.name}: pip install 'memories_async[local]'",
        name=error.name,
    ) from error

from numpy.typing import NDArray

Picture: TypeAlias = NDArray[np.uint8]
"""Height x width x 3, blue first, as OpenCV reads them."""
Floats: TypeAlias = NDArray[np.float32]
Doubles: TypeAlias = NDArray[np.float64]
Bytes: TypeAlias = NDArray[np.uint8]
Numbers: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]

__all__ = [
    "Bytes",
    "Doubles",
    "Flags",
    "Floats",
    "Numbers",
    "Picture",
    "cv2",
    "np",
    "shrink",
    "unit",
]


def shrink(picture: Picture, longest: int) -> Picture:
    """Reduce *picture* so that its longer side has *longest* pixels; never enlarge."""
    height, width = picture.shape[:2]
    scale = longest / max(height, width)
    if scale >= 1:
        return picture
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def unit(rows: Floats) -> Floats:
    """Bring each row to length 1; a row of zeros stays one."""
    norms = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.asarray(rows / np.maximum(norms, 1e-9), np.float32)
