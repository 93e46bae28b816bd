"""What does exact search cost beside a bare numpy product, how much memory, and what do others take?

One thread, CPU time. A file of vectors is written first, clustered as copies of films are.
"""

from __future__ import annotations

import importlib.util
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import _harness as harness
import numpy as np

from memories_async.vectors import Vectors

WIDTH, NEAREST = 1024, 10
THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")


def write_vectors(path: Path, count: int, dtype: str = "float32") -> Path:
    """Write *count* vectors of length 1 in groups of 10."""
    table = np.lib.format.open_memmap(path, "w+", dtype, (count, WIDTH))
    draw = np.random.default_rng(17)
    for first in range(0, count, 10_000):
        rows = min(10_000, count - first)
        block = draw.standard_normal((-(-rows // 10), WIDTH), np.float32).repeat(10, axis=0)[:rows]
        block += 0.7 * draw.standard_normal((rows, WIDTH), np.float32)
        table[first : first + rows] = block / np.linalg.norm(block, axis=1, keepdims=True)
    table.flush()
    return path


def compare(contenders: dict[str, Callable[[Any], Any]], queries: Any) -> dict[str, list[float]]:
    """Take the CPU seconds of a query by each contender, in turn, in each round in another order."""
    costs: dict[str, list[float]] = {name: [] for name in contenders}
    names = [*contenders]
    for at, query in enumerate(queries):
        for name in names[at % len(names) :] + names[: at % len(names)]:
            begun = time.process_time()
            contenders[name](query)
            costs[name].append(time.process_time() - begun)
    return {name: some[1:] for name, some in costs.items()}


def ask_bare(path: Path) -> Callable[[Any], Any]:
    """Search with numpy alone, over the mapped file."""
    table = np.load(path, mmap_mode="r")

    def ask(query: Any) -> Any:
        scores = table @ query
        found = np.argpartition(scores, -NEAREST)[-NEAREST:]
        return found[np.argsort(-scores[found])]

    return ask


def ask_fresh(path: Path) -> Callable[[Any], Any]:
    """Search with numpy alone, and give the memory of the mapped file back each time."""

    def ask(query: Any) -> Any:
        return ask_bare(path)(query)

    return ask


def time_queries(path: Path, halves: Path | None, rounds: int) -> dict[str, list[float]]:
    """Compare with a bare product, and with our own halves."""
    vectors = Vectors.of(path)
    asks = {"bare": ask_bare(path), "ours": lambda query: vectors.similar(query, NEAREST)}
    if path.stat().st_size > 512 << 20:
        asks["fresh"] = ask_fresh(path)
    if halves is not None:
        half = Vectors.of(halves, dtype="float16")
        asks["halves"] = lambda query: half.similar(query, NEAREST)
        asks["bare halves"] = ask_bare(halves)
    picked = [vectors[key] for key in vectors.keys[:: len(vectors) // (rounds + 1)][: rounds + 1]]
    assert vectors.keys[asks["bare"](picked[1])[0]] == asks["ours"](picked[1])[0].key
    return compare(asks, picked)


def peak_of_query(path: Path) -> float:
    """Return the MB that queries need beyond what the keys and factors take."""
    vectors = Vectors.of(path)
    query = vectors[vectors.keys[5]]
    with harness.Peak() as peak:
        for _ in range(3):
            vectors.similar(query, NEAREST)
    return peak.extra


def peak_of_duplicates(path: Path) -> tuple[float, float, int]:
    """Return MB, CPU seconds over those of the bare products of the same size, and groups found."""
    vectors = Vectors.of(path)
    begun = time.process_time()
    with harness.Peak() as peak:
        found = vectors.duplicates(0.55)
    spent = time.process_time() - begun
    block, products = np.ones((1024, WIDTH), np.float32), -(-len(vectors) // 1024)
    begun = time.process_time()
    for _ in range(20):
        block @ block.T
    bare = (time.process_time() - begun) / 20 * products * (products + 1) / 2
    return peak.extra, spent / bare, len(found)


def time_index(path: Path, rounds: int) -> tuple[dict[str, list[float]], float, str]:
    """Compare exact search with faiss, and measure its recall."""
    vectors = Vectors.of(path)
    index = vectors.index()
    asks = {
        "ours": lambda query: vectors.similar(query, NEAREST),
        "faiss": lambda query: index.similar(query, NEAREST),
    }
    picked = [vectors[key] for key in vectors.keys[: rounds + 1]]
    return compare(asks, picked), index.recall, index.kind


def time_usearch(path: Path, rounds: int) -> dict[str, list[float]]:
    """Compare with usearch's own exact search."""
    from usearch.index import MetricKind, search

    vectors = Vectors.of(path)
    table = np.load(path)
    asks = {
        "ours": lambda query: vectors.similar(query, NEAREST),
        "theirs": lambda query: search(table, query, NEAREST, MetricKind.IP, exact=True, threads=1),
    }
    return compare(asks, table[: rounds + 1])


def time_lancedb(path: Path, rounds: int) -> dict[str, list[float]]:
    """Compare with LanceDB's search without an index, in a database on disk."""
    import lancedb
    import pyarrow as pa

    vectors = Vectors.of(path)
    table = np.load(path, mmap_mode="r")
    with tempfile.TemporaryDirectory() as place:
        parts = (
            pa.FixedSizeListArray.from_arrays(pa.array(table[at : at + 10_000].reshape(-1)), WIDTH)
            for at in range(0, len(table), 10_000)
        )
        schema = pa.schema([("vector", pa.list_(pa.float32(), WIDTH))])
        batches = (pa.record_batch([part], schema=schema) for part in parts)
        there = lancedb.connect(place).create_table("t", batches, schema=schema)
        asks = {
            "ours": lambda query: vectors.similar(query, NEAREST),
            "theirs": lambda q: there.search(q).distance_type("cosine").limit(NEAREST).to_arrow(),
        }
        return compare(asks, np.array(table[: rounds + 1]))


def report_ratio(name: str, costs: dict[str, list[float]], a: str, b: str, **target: Any) -> None:
    """Print the ratio of *a* to *b*."""
    harness.report(name, harness.ratios(costs[a], costs[b]), **target)


def main() -> None:
    """Compare, and print a line for each measure."""
    quick = harness.quick(__doc__)
    os.environ.update(dict.fromkeys(THREADS, "1"))
    rounds = 7 if quick else 15
    sizes = (5_000, 10_000) if quick else (10_000, 100_000, 1_000_000)
    with tempfile.TemporaryDirectory() as place:
        files = {size: write_vectors(Path(place, f"{size}.npy"), size) for size in sizes}
        middle = sizes[1]
        halves = write_vectors(Path(place, "halves.npy"), middle, "float16")
        for size, path in files.items():
            costs = harness.apart(time_queries, path, halves if size == middle else None, rounds)
            yardstick = "a float32 product of the mapped file, and argpartition"
            report_ratio(f"query_{size}", costs, "ours", "bare", yardstick=yardstick, at_most=1.3)
            if "fresh" in costs:
                yardstick = "the same over a new mapping, which gives the memory back as well"
                name = f"query_{size}_bounded"
                report_ratio(name, costs, "ours", "fresh", yardstick=yardstick, at_most=1.3)
            print(f"# {size}: {np.median(costs['ours']) * 1e3:.2f} ms of CPU")
            if size == middle:
                name = f"query_{size}_float16"
                report_ratio(name, costs, "halves", "ours", yardstick="ours in 32 bits", at_most=4)
                yardstick = "numpy's product of halves"
                report_ratio(name, costs, "bare halves", "halves", yardstick=yardstick, at_least=2)
        peak = harness.apart(peak_of_query, files[sizes[-1]])
        yardstick = f"before the query, {sizes[-1]:,} vectors of 32 bits"
        harness.report("query_peak", [peak], unit="MB", yardstick=yardstick, at_most=64)
        peak, ratio, groups = harness.apart(peak_of_duplicates, files[middle])
        yardstick = f"{middle:,} vectors, {groups:,} groups"
        harness.report("duplicates_peak", [peak], unit="MB", yardstick=yardstick, at_most=256)
        yardstick = f"the bare products of all blocks of {middle:,} vectors"
        harness.report("duplicates_cpu", [ratio], yardstick=yardstick, at_most=1.5)
        if importlib.util.find_spec("faiss"):
            costs, recall, kind = harness.apart(time_index, files[middle], rounds)
            yardstick = f"faiss {kind} of {middle:,}"
            report_ratio("query_faiss", costs, "ours", "faiss", yardstick=yardstick, at_least=2)
            harness.report("recall_faiss", [recall], yardstick=yardstick, at_least=0.9)
        for name, work in (("usearch", time_usearch), ("lancedb", time_lancedb)):
            if importlib.util.find_spec(name):
                costs = harness.apart(work, files[middle], rounds)
                yardstick = f"ours, {middle:,} vectors, without an index"
                report_ratio(
                    f"query_{name}", costs, "theirs", "ours", yardstick=yardstick, at_least=1
                )


if __name__ == "__main__":
    main()
