"""The layers of the whole package, what an import may cost, and that every public name is documented."""

from __future__ import annotations

import ast
import importlib
import inspect
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import memories_async
from memories_async import blocking, client

PACKAGE = Path(memories_async.__file__).parent
LAYERS = (
    # From the bottom: a module imports its own layer and those before it. A folder is one layer.
    *("_version", "_lazy", "_files", "_instances", "errors"),
    *("_protocol.media_types", "_protocol.open_file", "media", "_protocol"),
    *("videos", "assets", "clips", "captions", "embeddings"),
    *("policy", "events", "limiter", "calls", "budget"),
    *("_http", "_database", "ledger", "_client.loop_thread", "receiver", "_client", "batch"),
    *("film", "_flows", "views", "client", "blocking", "telemetry", "ray", "vectors", "report"),
    "__init__",
    *("local.egress", "local.engine", "local.state", "local.jobs", "local.pipeline"),
    *("local.routes", "local", "pytest_plugin", "cli", "__main__"),
)
FACE = "__init__"
"""What the package itself is called here; it imports lazily, so its own imports are no layer's."""
PURE = (
    *("errors", "media", "clips", "captions", "embeddings", "videos", "assets", "policy"),
    *("events", "events._values", "events._log"),
    *("_protocol.wire_json", "_protocol.reply", "_protocol.retry_after", "_protocol.call"),
    *("_protocol.decode", "_protocol.network", "_protocol.keys", "_protocol.messages"),
    "_protocol.media_types",
    *("limiter._limits", "limiter._gcra", "limiter._rule"),
)
USES_AIOHTTP_CLIENT = {"_http.direct", "_http.reference", "_http.transport", "_http.failures"}


def name_module(path: Path) -> str:
    """The dotted name of a module below the package: `ledger` for its `__init__`."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == FACE and len(parts) > 1 else parts)


MODULES = {name_module(path): path for path in sorted(PACKAGE.rglob("*.py"))}
CORE = [
    name
    for name in MODULES
    if name.partition(".")[0] not in {"local", "cli", "pytest_plugin", "ray"}
]


@cache
def read_imports(name: str) -> frozenset[str]:
    """The full names of all that a module imports, each name of a `from` import by itself."""
    imported: set[str] = set()
    for node in ast.walk(ast.parse(MODULES[name].read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} has a relative import"
            imported |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(imported)


def resolve(imported: str) -> str | None:
    """The module of the package that an import loads, or None where it is another package's."""
    top, _, rest = imported.partition(".")
    if top != "memories_async":
        return None
    while rest and rest not in MODULES:
        rest = rest.rpartition(".")[0]
    return rest or FACE


def own_imports(name: str) -> set[str]:
    """The modules of the package that a module imports."""
    return {found for one in read_imports(name) if (found := resolve(one))} - {name}


def layer_of(name: str) -> int:
    """The number of a module's layer: that of the longest name in the table that holds it."""
    holding = [one for one in LAYERS if name == one or name.startswith(f"{one}.")]
    assert holding, f"{name} has no layer"
    return LAYERS.index(max(holding, key=len))


def packages_of(name: str) -> set[str]:
    """The top-level packages that a module imports."""
    return {one.partition(".")[0] for one in read_imports(name)}


def test_every_import_points_down():
    """No module imports a layer above its own."""
    wrong = [
        f"{name} imports {other}"
        for name in MODULES
        if name != FACE
        for other in own_imports(name)
        if layer_of(other) > layer_of(name)
    ]

    assert not wrong


def test_no_import_leads_back():
    """No module imports, by any path, one that imports it."""
    below = {name: own_imports(name) for name in MODULES if name != FACE}
    while below:
        lowest = {name for name, names in below.items() if not names & below.keys()}
        circle = {name: sorted(names & below.keys()) for name, names in below.items()}
        assert lowest, f"a circle among {circle}"
        below = {name: names for name, names in below.items() if name not in lowest}


@pytest.mark.parametrize("name", PURE)
def test_modules_that_decide_are_pure(name):
    """They use no loop, no network and no clock."""
    assert not packages_of(name) & {
        "aiohttp",
        "asyncio",
        "anyio",
        "socket",
        "ssl",
        "time",
        "random",
    }


@pytest.mark.parametrize("name", CORE)
def test_only_the_transport_imports_the_client_of_aiohttp(name):
    """So that its exceptions, which hold the key, are caught in one place."""
    if name not in USES_AIOHTTP_CLIENT and not name.startswith("receiver."):
        assert "aiohttp" not in packages_of(name)


PROBE = "import sys; import memories_async; print([n for n in sys.argv[1:] if n in sys.modules])"
LIST_IMPORTED = "print('\\n'.join(sys.modules.keys() - before))"
"""Prints the modules that were imported since `before`, one a line."""


def run_and_list(code: str) -> set[str]:
    """Run *code* in a Python of its own and return the names of the modules that it imported."""
    program = f"import sys; before = set(sys.modules)\n{code}\n{LIST_IMPORTED}"
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, text=True
    )
    return {*found.stdout.partition(">>>")[2].split()}


def test_importing_the_package_imports_nothing_else():
    """Its names are imported when they are used: at most 60 ms of CPU, of which Python needs 13."""
    imported = run_and_list("import memories_async; print('>>>')")
    tops = {name.partition(".")[0] for name in imported}

    assert tops - {"memories_async"} <= sys.stdlib_module_names
    assert not tops & {"asyncio", "attrs", "json", "logging", "socket", "sqlite3", "ssl"}
    assert {name for name in imported if name.startswith("memories_async")} == {
        *("memories_async", "memories_async._lazy", "memories_async._version")
    }


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_the_commands_help_imports_no_client(option):
    """It shows at once: at most 200 ms of CPU, so no event loop, no HTTP and no engine."""
    code = f"sys.argv = ['memories-async', {option!r}]\nfrom memories_async.cli import main\n"
    code += "try: main()\nexcept SystemExit: print('>>>')"
    tops = {name.partition(".")[0] for name in run_and_list(code)}

    assert not tops & {"aiohttp", "anyio", "asyncio", "cattrs", "cv2", "numpy", "rich", "sqlite3"}


@pytest.mark.parametrize("package", ["memories_async", "memories_async.local"])
def test_every_public_name_is_there(package):
    """The public names are listed once, in order, and appear in `dir`; no other name does."""
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


PUBLIC = [name for name in CORE if not name.startswith("_") and "._" not in name]


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_documented(name):
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

    assert awaited - waited <= {"aclose"}
    assert waited - awaited <= {"close", "run"}


GROUPS = ("clips", "captions", "embeddings", "videos", "assets")


@pytest.mark.parametrize("name", GROUPS)
def test_both_clients_offer_the_same_methods(name):
    """One description makes both forms."""
    awaited = getattr(client.Client(api_key="local-x"), name)
    waited = getattr(blocking.Client(api_key="local-x"), name)

    assert type(awaited) is type(waited)
    for method in public(type(awaited)) - {"client", "thread"}:
        assert getattr(awaited, method).__doc__ == getattr(waited, method).__doc__
