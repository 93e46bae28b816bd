"""How the parts may know each other, what an import may cost, and that every public name speaks."""

from __future__ import annotations

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import memories_async
from memories_async import _methods, _views, blocking, client

PACKAGE = Path(memories_async.__file__).parent
PARTS = ("_pace", "_journal", "_ledger", "_batch")
CORE = sorted(
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
    for path in [
        *PACKAGE.glob("*.py"),
        *(one for part in PARTS for one in PACKAGE.glob(f"{part}/*.py")),
    ]
    if path.name != "__init__.py" or path.parent == PACKAGE
)
ENGINE = sorted(
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
    for path in PACKAGE.glob("local/engine/**/*.py")
    if path.name != "__init__.py"
)
PURE = [
    *("errors", "media", "_json", "_replies", "_retry_after", "_calls", "_decode", "_fields"),
    *("clips", "captions", "embeddings", "videos", "assets", "_policy", "_hosts", "_keys"),
    *("_pace.limits", "_pace.spacing", "_pace.rules", "_events", "_ports"),
]
SPEAKS_AIOHTTP = {"_attempt", "_transport", "_sessions", "_failures"}


def imported(name: str) -> set[str]:
    """The modules that a module of the core imports, by their full names."""
    tree = ast.parse((PACKAGE / f"{name.replace('.', '/')}.py").read_text())
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def siblings(name: str, among: list[str]) -> set[str]:
    """The modules *among* which a module belongs that it imports."""
    names = {one.removeprefix("memories_async.") for one in imported(name)}
    return names & set(among) - {name, "__init__"}


def tops(name: str) -> set[str]:
    """The packages that a module imports."""
    return {one.partition(".")[0] for one in imported(name)}


@pytest.mark.parametrize("part", [CORE, ENGINE], ids=["core", "engine"])
def test_imports_point_one_way(part):
    """No module knows, over any detour, one that knows it."""
    below = {name: siblings(name, part) for name in part if name not in {"__init__", "__main__"}}
    while below:
        lowest = {name for name, names in below.items() if not names & below.keys()}
        assert lowest, f"a circle among {sorted(below)}"
        below = {name: names for name, names in below.items() if name not in lowest}


@pytest.mark.parametrize("name", [name for name in PURE if name in CORE])
def test_decisions_are_pure(name):
    """Modules that decide reach for no loop, no network and no clock."""
    assert not tops(name) & {"aiohttp", "asyncio", "anyio", "socket", "ssl", "time", "random"}


@pytest.mark.parametrize("name", CORE)
def test_only_the_transport_speaks_to_aiohttps_client(name):
    """So that what it leaks is stopped in one place."""
    if name not in SPEAKS_AIOHTTP:
        assert "aiohttp" not in tops(name)


@pytest.mark.parametrize("name", CORE)
def test_the_core_knows_nothing_of_its_extras(name):
    """Neither the embedded service nor the command line, nor what they need."""
    if name != "__main__":
        known = {one for one in imported(name) if one.startswith("memories_async.")}
        assert not {one.split(".")[1] for one in known} & {"local", "cli"}


FORBIDDEN = "cv2 numpy click rich redis pyarrow requests hypothesis memories_async.local"
PROBE = "import sys; import memories_async; print([n for n in sys.argv[1:] if n in sys.modules])"


def test_importing_the_package_imports_no_extra():
    """A user of the client pays for the client."""
    names = [*FORBIDDEN.split(), "memories_async.cli", "sqlite3"]
    found = subprocess.run(
        [sys.executable, "-c", PROBE, *names], capture_output=True, check=True, text=True
    )

    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize("package", ["memories_async", "memories_async.local"])
def test_every_public_name_is_there(package):
    """Listed once, in order, and seen by whoever looks around; no other is."""
    there = importlib.import_module(package)

    assert sorted(set(there.__all__)) == sorted(there.__all__) == dir(there)
    assert all(hasattr(there, name) for name in there.__all__)
    assert not hasattr(there, "no_such_name")


def test_an_engine_is_had_without_the_service():
    """Its process needs no web server."""
    probe = PROBE.replace("memories_async;", "memories_async.local.engine.fixed;")
    names = ["aiohttp.web", "memories_async.local.service", "numpy"]
    found = subprocess.run(
        [sys.executable, "-c", probe, *names], capture_output=True, check=True, text=True
    )

    assert found.stdout.strip() == "[]"


def spoken(owner, where):
    """The functions, classes and properties that a user of *owner* meets."""
    for name, value in vars(owner).items():
        if name.startswith("_") or not (callable(value) or isinstance(value, property)):
            continue
        if inspect.isclass(owner) or getattr(value, "__module__", None) == owner.__name__:
            yield f"{where}.{name}", value
            if inspect.isclass(value):
                yield from spoken(value, f"{where}.{name}")


MODULES = [name for name in CORE if not name.startswith("_")]


@pytest.mark.parametrize("name", MODULES)
def test_every_public_name_speaks(name):
    """A sentence for each module, class, function, method and property."""
    module = importlib.import_module(f"memories_async.{name}")
    silent = [where for where, value in spoken(module, name) if not inspect.getdoc(value)]

    assert module.__doc__
    assert not silent


def public(kind) -> set[str]:
    """The names a class offers."""
    return {name for name in dir(kind) if not name.startswith("_")}


def test_both_clients_offer_the_same_names():
    """But for how they are closed, and what only makes sense on one side."""
    awaited, waited = public(client.Client), public(blocking.Client)

    assert awaited - waited <= {"aclose", "over"}
    assert waited - awaited <= {"close", "run"}


PAIRS = [
    (getattr(_views, name), getattr(_views, f"Blocking{name}"))
    for name in ("Clips", "Captions", "Embeddings", "Videos", "Assets")
    if hasattr(_views, name)
]


@pytest.mark.parametrize(("awaited", "waited"), PAIRS)
def test_both_views_offer_the_same_methods(awaited, waited):
    """One description makes both."""
    assert public(awaited) == public(waited) >= {"client"}


def test_views_know_their_descriptors():
    """On the class, the method is the description itself."""
    assert isinstance(_views.Clips.search, _methods.Sent)
    assert isinstance(_views.Clips.search_file, _methods.Ran)
    assert isinstance(_views.BlockingVideos.list, _methods.Paged)
