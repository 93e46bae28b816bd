"""Imports within the engine point one way, folder by folder."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from memories_async.local import engine

FOLDER = Path(engine.__file__).parent
PACKAGE = engine.__name__
LAYERS = (
    # From the bottom; modules of one layer may import each other, the layer test of the package
    # sees that they make no circle.
    {"protocol", "content_cache", "_cv", "npz"},
    {"processes"},
    {"video"},
    {"vision"},
    {"search", "facts"},
    {"models"},
    {"_pixel_answers", "pixels", "fixed", "onnx", "openai"},
)


def read_parts(path):
    """Return the parts of the engine, such as `video`, that a module imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PACKAGE):
            rest = node.module.removeprefix(PACKAGE).lstrip(".")
            yield from [rest.split(".")[0]] if rest else [one.name for one in node.names]


def find_layer(part):
    """Return the number of the layer that holds a part of the engine."""
    return next(number for number, layer in enumerate(LAYERS) if part in layer)


MODULES = [
    path
    for path in sorted(FOLDER.rglob("*.py"))
    if path.parent != FOLDER or path.stem != "__init__"
]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(FOLDER)))
def test_a_module_imports_no_layer_above_its_own(path):
    """A child process that decodes imports no search; the service's process imports no OpenCV."""
    part = path.relative_to(FOLDER).parts[0].removesuffix(".py")

    above = {one for one in read_parts(path) if find_layer(one) > find_layer(part)}

    assert not above


def test_search_and_facts_are_independent():
    """Neither imports the other: a caption needs no search."""
    for part, other in (("search", "facts"), ("facts", "search")):
        imported = {one for path in (FOLDER / part).glob("*.py") for one in read_parts(path)}
        assert other not in imported
