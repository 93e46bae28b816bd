"""Names of a package that are imported when they are first used."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module


def later(
    package: str, modules: Mapping[str, str], advice: Mapping[str, str] | None = None
) -> Callable[[str], object]:
    """Make the `__getattr__` of *package*; *modules* says in which module each name is.

    *advice* says, of names that are likely to be looked for, what there is instead. They raise
    `ImportError`: an `AttributeError` would lose its text in `from package import name`.
    """

    def found(name: str) -> object:
        if advice is not None and name in advice:
            raise ImportError(f"{package} has no {name!r}: {advice[name]}", name=name)
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = import_module(modules[name], package)
        value: object = getattr(module, name, module)
        setattr(sys.modules[package], name, value)
        return value

    return found
