"""Sphinx: the site of the documentation. Build it with `nox -s docs`."""

from __future__ import annotations

from memories_async import __version__

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
autodoc_preserve_defaults = True
nitpicky = False
