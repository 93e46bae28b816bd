"""Sphinx: the site of the documentation. Build it with `nox -s docs`."""

from __future__ import annotations

import re
from typing import Any

from memories_async import __version__
from memories_async.views import View

project = "memories_async"
author = "The memories_async authors"
project_copyright = "2026, the memories_async authors"
version = release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"memories_async {version}"
html_static_path: list[str] = []
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
# A single pair of backticks in a docstring is code.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
nitpicky = False
# `Client` is the name of two classes, one of each kind; a type in a signature may mean either.
suppress_warnings = ["ref.python"]


_SOURCE = re.compile(
    r"str \| ~?[\w.]*PathLike\[str\] \| bytes \| bytearray \| memoryview \| ~?[\w.]*BinaryFile"
)
_FUNCTION = re.compile(r"<(?:built-in )?function ([\w.]+)[^>]*>")


def show_signature(*event: Any) -> tuple[str | None, str | None] | None:
    """Write `Source` for what every file argument accepts; a view's constructor is not public."""
    _, what, _, obj, _, arguments, answer = event
    if not arguments:
        return None
    if what == "class" and issubclass(obj, View):
        return "", None
    arguments = _FUNCTION.sub(r"\1", _SOURCE.sub("Source", arguments))
    return arguments.replace("NOTHING", "..."), answer


def setup(app: Any) -> None:
    """Register the hook."""
    app.connect("autodoc-process-signature", show_signature)
