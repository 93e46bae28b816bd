"""Names of a package that are imported when they are first used."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module


def later(package: str, modules: Mapping[str, str]) -> Callable[[str], object]:
    """Make the `__getattr__` of *package*; *modules* says in which module each name is."""

    def found(name: str) -> object:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = import_module(modules[name], package)
        value: object = getattr(module, name, module)
        setattr(sys.modules[package], name, value)
        return value

    return found
