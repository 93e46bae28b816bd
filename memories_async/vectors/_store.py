"""The numbers of many vectors in a file that is mapped into memory, and the pass over all of them.

Pages of a large file are given back after each block, so resident memory does not grow with the number
of vectors. Halves become 32-bit floats a block at a time, since numpy multiplies halves many times slower.
"""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Self, TypeAlias

import numpy as np
import numpy.typing as npt
from attrs import define, field

Matrix: TypeAlias = npt.NDArray[np.floating[Any]]
Floats: TypeAlias = npt.NDArray[np.float32]
Doubles: TypeAlias = npt.NDArray[np.float64]

BLOCK = 16 << 20
"""Bytes of one block of 32-bit floats."""
_HALVES_BLOCK = 1 << 20
"""Smaller, so that a converted block is multiplied while it is in the processor's cache."""
_RESIDENT = 512 << 20
"""Bytes up to which a query leaves a file mapped: to map its pages again costs more than the product."""
_HALF_BITS = np.int32(-0x70002000)
"""The bits of a 32-bit float that a 16-bit one fills: the sign and 15 others."""
_HALF_SCALE = np.float32(2.0**112)
_NORMS = (1e-30, 1e30)
"""Between them, products of 32-bit floats neither vanish nor overflow."""
EMPTY, ZERO, NOT_FINITE = "empty", "zero", "not finite"


@define(eq=False)
class VectorStore:
    """Vectors as rows, as they were given, each with the factor that makes its length 1."""

    matrix: Matrix
    """C-contiguous, of 32-bit or 16-bit floats."""
    scales: Doubles
    _mapping: mmap.mmap | None = None
    _offset: int = 0
    """Where in the mapping the rows begin."""

    @classmethod
    def make_empty(cls) -> Self:
        """Make a store without vectors."""
        return cls(np.empty((0, 0), np.float32), np.empty(0))

    @property
    def count(self) -> int:
        """The number of vectors."""
        return len(self.scales)

    @property
    def dimensions(self) -> int:
        """The numbers in each vector."""
        width: int = self.matrix.shape[1]
        return width

    def iterate_blocks(
        self, size: int | None = None, *, begin: int = 0, resident: int | None = None
    ) -> Iterator[tuple[slice, Floats]]:
        """Iterate over the rows from *begin* on, in blocks that the next one may overwrite.

        A file of more than *resident* bytes is given back block by block.
        """
        is_released = self.matrix.nbytes > (_RESIDENT if resident is None else resident)
        is_half = self.matrix.dtype == np.float16
        if size is None:
            bytes_ = _HALVES_BLOCK if is_half else BLOCK
            size = max(1, bytes_ // (4 * self.dimensions))
        buffer = np.empty((size if is_half else 0, self.dimensions), np.float32)
        for first in range(begin, self.count, size):
            rows = slice(first, min(first + size, self.count))
            block = self.matrix[rows]
            if is_half:
                converted = buffer[: len(block)]
                widen(block, converted)
                yield rows, converted
            else:
                yield rows, np.asarray(block, np.float32)
            if is_released:
                self._release(rows)

    def iterate_unit_blocks(
        self, size: int | None = None, *, begin: int = 0
    ) -> Iterator[tuple[slice, Floats]]:
        """Iterate over copies of the rows from *begin* on, each of length 1."""
        for rows, block in self.iterate_blocks(size, begin=begin, resident=BLOCK):
            yield rows, block * self.scales[rows, None].astype(np.float32)

    def read_units(self, rows: npt.NDArray[np.intp] | slice) -> Doubles:
        """Read some rows as doubles, each of length 1."""
        picked: Doubles = self.matrix[rows].astype(np.float64)
        picked *= self.scales[rows, None]
        return picked

    def _release(self, rows: slice) -> None:
        """Give the pages of *rows* back to the system, which keeps them in its cache of files."""
        if self._mapping is not None and hasattr(mmap, "MADV_DONTNEED"):
            width = self.matrix.strides[0]
            begin = self._offset + rows.start * width
            aligned = begin - begin % mmap.PAGESIZE
            length = self._offset + rows.stop * width - aligned
            self._mapping.madvise(mmap.MADV_DONTNEED, aligned, length)


def map_file(file: IO[bytes], dtype: str, shape: tuple[int, int], offset: int) -> VectorStore:
    """Map the rows that stand in *file* from *offset* on; their factors are not known yet."""
    mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    flat = np.frombuffer(mapping, dtype, shape[0] * shape[1], offset)
    matrix: Matrix = flat.reshape(shape)
    return VectorStore(matrix, np.ones(shape[0]), mapping, offset)


def measure_file(path: Path, dtype: str) -> VectorStore | None:
    """Map a `.npy` file whose rows can be used as they are; None where they must be converted."""
    table = open_table(path)
    if table.dtype != np.dtype(dtype) or not table.flags.c_contiguous or not table.size:
        return None
    with path.open("rb") as file:
        store = map_file(file, dtype, (len(table), table.shape[1]), table.offset)
    for rows, _ in store.iterate_blocks():
        norms = measure_norms(store.matrix[rows])
        if not ((norms > _NORMS[0]) & (norms < _NORMS[1])).all():
            return None
        store.scales[rows] = 1.0 / norms
    return store


def open_table(path: Path) -> np.memmap[Any, np.dtype[Any]]:
    """Open a `.npy` file that holds rows of numbers."""
    try:
        table = np.lib.format.open_memmap(path, mode="r")
    except (ValueError, EOFError) as error:
        raise ValueError(f"{path} is not a table of numbers: {error}") from None
    if table.ndim != 2:  # noqa: PLR2004  # rows and numbers
        raise ValueError(f"{path} must hold one table of vectors, a row each")
    return table


def widen(halves: Matrix, floats: Floats) -> None:
    """Write finite 16-bit floats as 32-bit ones, by their bits: a quarter of numpy's time.

    Sign and fraction have their places; the exponent is then too small by 112, as 127 - 15.
    """
    bits = floats.view(np.int32)
    np.copyto(bits, halves.view(np.int16))
    np.left_shift(bits, 13, out=bits)
    np.bitwise_and(bits, _HALF_BITS, out=bits)
    np.multiply(floats, _HALF_SCALE, out=floats)


def measure_norms(block: Matrix) -> Doubles:
    """Compute the length of each row, in doubles."""
    doubles = block.astype(np.float64)
    norms: Doubles = np.sqrt(np.einsum("ij,ij->i", doubles, doubles))
    return norms


@define(eq=False)
class VectorWriter:
    """Writes vectors of one length to a temporary file, one at a time."""

    dtype: str
    dimensions: int
    _file: IO[bytes] = field(factory=tempfile.TemporaryFile)
    _scales: list[float] = field(factory=list[float])
    _next: int = 0
    """The row at which the file stands."""

    def write(self, row: int, vector: Doubles) -> str | None:
        """Write *vector* as *row*, an old one or the next.

        Returns why it cannot be compared, and writes nothing then.
        """
        with np.errstate(all="ignore"):
            norm = float(np.sqrt(vector @ vector))
        if not np.isfinite(norm) or norm > _NORMS[1]:
            return NOT_FINITE
        if norm < _NORMS[0]:
            return ZERO
        # Of length 1, so that no number is beyond what 16 bits can hold.
        stored = (vector / norm if self.dtype == "float16" else vector).astype(self.dtype)
        if row != self._next:
            self._file.seek(row * stored.nbytes)
        self._file.write(stored.tobytes())
        self._next = row + 1
        scale = 1.0 / float(measure_norms(stored[None])[0])
        self._scales[row : row + 1] = [scale]
        return None

    def finish(self) -> VectorStore:
        """Map what was written."""
        count = len(self._scales)
        if not count:
            return VectorStore.make_empty()
        self._file.flush()
        store = map_file(self._file, self.dtype, (count, self.dimensions), 0)
        store.scales[:] = self._scales
        return store

    def close(self) -> None:
        """Close the file; what is mapped stays until nobody uses it."""
        self._file.close()
