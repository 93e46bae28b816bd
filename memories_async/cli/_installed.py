"""What is installed: this package, what it stands on, and which extras are complete."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

from memories_async._version import __version__

_CORE = ("aiohttp", "attrs", "cattrs", "anyio")
_OPENCV = tuple(
    f"opencv-{kind}python{head}" for kind in ("", "contrib-") for head in ("-headless", "")
)
_EXTRAS: dict[str, tuple[tuple[str, ...], ...]] = {
    "local": (("numpy",), _OPENCV),
    "cli": (("click",), ("rich",)),
    "fast": (("orjson",),),
    "redis": (("redis",),),
    "arrow": (("pyarrow",),),
    "onnx": (("onnxruntime",),),
}
"""For each extra what it needs; of several names in one place any will do."""


def versions() -> dict[str, str]:
    """Name what runs here."""
    return {
        "memories_async": __version__,
        "python": f"{platform.python_version()} on {platform.system()} {platform.machine()}",
        **{name: version(name) for name in _CORE},
    }


def extras() -> dict[str, str | None]:
    """Name what each extra has brought; None where something is missing."""
    return {name: _brought(needs) for name, needs in _EXTRAS.items()}


def _brought(needs: tuple[tuple[str, ...], ...]) -> str | None:
    found = [next(filter(None, map(_present, names)), None) for names in needs]
    return None if None in found else ", ".join(map(str, found))


def _present(name: str) -> str | None:
    try:
        return f"{name} {version(name)}"
    except PackageNotFoundError:
        return None
