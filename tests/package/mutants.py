"""Break the pure core in one place at a time, and count how many breaks the tests notice.

A mutant is a copy of one module with one change: a comparison, a sign, a constant, a condition, a
returned value or a statement. It is killed when a test of that module fails, and survives otherwise.
A survivor that changes no behaviour is listed in `mutants_equal.txt` with the reason.

    nox -s mutants                               a sample of 200 over all modules
    nox -s mutants -- --sample 0 policy          every mutant of one module
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from pathlib import Path
from queue import Queue

from attrs import frozen

ROOT = Path(__file__).parents[2]
EQUAL = Path(__file__).with_name("mutants_equal.txt")
TARGETS = {
    "_protocol/call": ("tests/protocol", "tests/test_clips.py", "tests/test_captions.py"),
    "_protocol/reply": ("tests/protocol", "tests/faults/test_answers.py"),
    "_protocol/retry_after": ("tests/protocol",),
    "_http/failures": ("tests/http", "tests/faults/test_connection.py"),
    "budget": ("tests/batch/test_budget.py",),
    "ledger/_store": ("tests/ledger",),
    "limiter/_gcra": ("tests/limiter/test_gcra.py", "tests/limiter/test_rule.py"),
    "limiter/_rule": ("tests/limiter/test_gcra.py", "tests/limiter/test_rule.py"),
    "media": ("tests/test_media.py", "tests/http/test_multipart.py"),
    "policy": ("tests/test_policy.py", "tests/client/test_call_runner.py"),
    "receiver/_payload": ("tests/receiver/test_payload.py",),
    "receiver/_records": ("tests/receiver/test_records.py", "tests/receiver/test_payload.py"),
}
"""The modules that are broken, and the tests that are to notice."""
KILLED_AT_LEAST = 0.9
SECONDS = 90.0
"""A test run that takes longer counts as a kill: the mutant made something endless."""

_PAIRS = (
    *((ast.Lt, ast.LtE), (ast.Gt, ast.GtE), (ast.Eq, ast.NotEq), (ast.Is, ast.IsNot)),
    *((ast.In, ast.NotIn), (ast.And, ast.Or), (ast.Add, ast.Sub), (ast.Mult, ast.Div)),
)
_SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    **dict(_PAIRS),
    **{two: one for one, two in _PAIRS},
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
}


@frozen
class Mutant:
    """One change of one module."""

    module: str
    place: str
    """The function or class that it is in."""
    before: str
    after: str
    source: str

    def __str__(self) -> str:
        return f"{self.module} {self.place}: {self.before} -> {self.after}"


def list_mutants(module: str) -> Iterator[Mutant]:
    """Make every mutant of a module."""
    tree = ast.parse((ROOT / f"memories_async/{module}.py").read_text())
    for number, (node, place) in enumerate(_walk(tree, "module")):
        for change in _changes(node):
            twin = deepcopy(tree)
            target = next(n for i, (n, _) in enumerate(_walk(twin, "module")) if i == number)
            before = ast.unparse(target).partition("\n")[0]
            change(target)
            source = ast.unparse(ast.fix_missing_locations(twin))
            after = ast.unparse(target).partition("\n")[0]
            yield Mutant(module, place, before, after, source)


def _walk(node: ast.AST, place: str) -> Iterator[tuple[ast.AST, str]]:
    """Go through what runs, with the place of each node; annotations and docstrings do not run."""
    for name, value in ast.iter_fields(node):
        if name in {"annotation", "returns", "decorator_list", "type_params"}:
            continue
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST) or _is_text(child):
                continue
            named = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            inside = f"{place}.{child.name}".removeprefix("module.") if named else place
            if not (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"):
                yield child, inside
                yield from _walk(child, inside)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _changes(node: ast.AST) -> Iterator[Callable[[ast.AST], None]]:
    match node:
        case ast.Compare(ops=[op]) | ast.BoolOp(op=op) | ast.BinOp(op=op) if type(op) in _SWAPS:
            yield _swap
        case ast.If() | ast.IfExp():
            yield lambda n: setattr(n, "test", ast.UnaryOp(ast.Not(), n.test))
        case ast.Constant(value=bool()):
            yield lambda n: setattr(n, "value", not n.value)
        case ast.Constant(value=int() | float()):
            yield lambda n: setattr(n, "value", n.value + 1)
        case ast.Return(value=value) if value is not None and not _is_none(value):
            yield lambda n: setattr(n, "value", ast.Constant(None))
        case ast.Expr(value=ast.Call() | ast.Await()):
            yield lambda n: setattr(n, "value", ast.Constant(None))


def _is_none(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _swap(node: ast.AST) -> None:
    if isinstance(node, ast.Compare):
        node.ops[0] = _SWAPS[type(node.ops[0])]()
    else:
        node.op = _SWAPS[type(node.op)]()


def is_killed(mutant: Mutant, tree: Path) -> bool:
    """Run the tests of a mutant's module in a copy of the project."""
    module = tree / f"memories_async/{mutant.module}.py"
    original = module.read_text()
    module.write_text(mutant.source)
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
    environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        ended = subprocess.run(
            [*command, "-m", "not slow", *TARGETS[mutant.module]],
            cwd=tree,
            env=environment,
            timeout=SECONDS,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return True
    finally:
        module.write_text(original)
    return ended.returncode != 0


def judge(mutants: list[Mutant], *, jobs: int) -> list[Mutant]:
    """Run the tests over all mutants, and return the survivors."""
    trees: Queue[Path] = Queue()
    with tempfile.TemporaryDirectory() as folder:
        for number in range(jobs):
            tree = Path(folder, str(number))
            for name in ("memories_async", "tests", "pyproject.toml"):
                copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
                tree.mkdir(exist_ok=True)
                copy(ROOT / name, tree / name)
            trees.put(tree)

        def run(mutant: Mutant) -> Mutant | None:
            tree = trees.get()
            try:
                killed = is_killed(mutant, tree)
            finally:
                trees.put(tree)
            print("." if killed else f"\nsurvived: {mutant}", end="", flush=True)
            return None if killed else mutant

        with ThreadPoolExecutor(jobs) as threads:
            return [one for one in threads.map(run, mutants) if one is not None]


def main() -> int:
    """Judge a sample, say how many were killed, and fail below nine in ten."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("modules", nargs="*", default=[*TARGETS], help=" ".join(TARGETS))
    parser.add_argument("--sample", type=int, default=200, help="how many; 0 for every one")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    equal = {line.partition("  # ")[0] for line in EQUAL.read_text().splitlines()}
    mutants = [one for name in given.modules for one in list_mutants(name) if str(one) not in equal]
    if given.sample and given.sample < len(mutants):
        mutants = random.Random(given.seed).sample(mutants, given.sample)
    survivors = judge(mutants, jobs=given.jobs)
    total = Counter(one.module for one in mutants)
    alive = Counter(one.module for one in survivors)
    print()
    for name, count in sorted(total.items()):
        print(f"{name:24} {count - alive[name]:4} of {count:4} killed")
    share = 1 - len(survivors) / max(1, len(mutants))
    print(f"{len(mutants) - len(survivors)} of {len(mutants)} killed: {share:.1%}")
    return 0 if share >= KILLED_AT_LEAST else 1


if __name__ == "__main__":
    sys.exit(main())
