"""Every check of the project: `nox -l` lists them, `nox -s tests` runs one."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import nox

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.error_on_missing_interpreters = False
nox.options.sessions = ["lint", "types", "tests", "lowest", "docs", "bench", "build"]

PROJECT = nox.project.load_toml("pyproject.toml")
EXTRAS = PROJECT["project"]["optional-dependencies"]
PYTHONS = nox.project.python_versions(PROJECT)
SCRIPTS = "Scripts" if os.name == "nt" else "bin"
BENCHMARKS = (
    *("overhead", "blocking", "search", "uploads", "fanout", "imports", "batch", "receiver"),
    *("limiter", "engine", "engine_sentences", "service", "faults", "telemetry", "vectors"),
)
PEERS = (
    *("openai", "anthropic", "twelvelabs", "google-genai"),
    *("stripe", "aiobotocore", "fal-client", "replicate"),
)
# Screenshots of a report are left there.
IN_BROWSER: dict[str, str | None] = {
    "MEMORIES_TEST_BROWSER": "1",
    "MEMORIES_TEST_SHOTS": "build/browser",
}

LOCKS = Path("constraints")
LOCKED = {
    # A file of LOCKS, and the groups that it holds; with the package's dependencies where True.
    "nox": (["nox"], False),
    "lint": (["lint"], False),
    "tests": (["test"], True),
    "types": (["test", "types", "nox"], True),
    "bench": (["bench"], True),
    "docs": (["docs"], True),
    "build": (["build"], False),
    "wheel": (["pytest"], True),
}


def group(name: str) -> list[str]:
    """Read a dependency group, which an older pip could not install by name."""
    return list(nox.project.dependency_groups(PROJECT, name))


def install(session: nox.Session, name: str) -> None:
    """Install what one file of LOCKS lists, each archive checked against its hash, and the package.

    The package is a folder and can have no hash: pip refuses it beside hashes. So it comes second,
    by itself, built by the locked hatchling, with nothing more to download.
    """
    session.install("--require-hashes", "-r", str(LOCKS / f"{name}.txt"))
    if LOCKED[name][1]:
        session.install("--no-deps", "--no-build-isolation", ".")


@nox.session
def lock(session: nox.Session) -> None:
    """Write LOCKS anew: exact versions with hashes, for every platform and Python; not in CI."""
    session.install(*group("lock"))
    project = PROJECT["project"]
    extras = [
        one
        for name in ("local", "cli", "redis", "arrow", "postgres", "otel", "vectors", "report")
        for one in EXTRAS[name]
    ]
    options = ["--universal", "--python-version", PYTHONS[0], "--generate-hashes", "--no-annotate"]
    for name, (groups, is_with_package) in LOCKED.items():
        wanted = [one for each in groups for one in group(each)]
        if is_with_package:
            wanted += [*project["dependencies"], *extras, *PROJECT["build-system"]["requires"]]
        source = Path(session.create_tmp(), f"{name}.in")
        source.write_text("\n".join(wanted))
        to = ["--output-file", str(LOCKS / f"{name}.txt"), *session.posargs]
        header = ["--custom-compile-command", "nox -s lock"]
        session.run("uv", "pip", "compile", "-q", *options, *header, *to, str(source))


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and format."""
    install(session, "lint")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Check types with mypy and pyright, both strict, and that every public name has one."""
    install(session, "types")
    session.run("mypy")
    session.run("pyright")
    session.run("pyright", "--verifytypes", "memories_async", "--ignoreexternal")


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the tests, the README's and the docs' code blocks among them, and ask for coverage.

    Three run side by side, since most wait more than they compute. What fails beside others on a
    small machine has to pass by itself. Where Chromium's driver is, a report is looked at as well.
    """
    install(session, "tests")
    cache = Path(session.virtualenv.location, "cache")
    pytest = ["python", "-m", "pytest", "-o", f"cache_dir={cache}"]
    env: dict[str, str | None] = {}
    if not session.posargs:
        pytest += ["--cov", "--cov-report=", "--cov-fail-under=0"]
        env = IN_BROWSER if shutil.which("chromedriver") else {}
    # Pytest writes it if a test fails.
    failed = cache / "v" / "cache" / "lastfailed"
    failed.unlink(missing_ok=True)
    beside = ["-n", "3", "--dist", "worksteal", *session.posargs]
    session.run(*pytest, *beside, env=env, success_codes=[0, 1])
    if failed.exists():
        appended = [] if session.posargs else ["--cov-append"]
        again = ["--last-failed", *session.posargs, "-n", "0", *appended]
        session.run(*pytest, *again, env=env)
    if not session.posargs:
        session.run("coverage", "report", "--skip-covered", "--show-missing")


@nox.session
def scale(session: nox.Session) -> None:
    """Kill workers, ledgers and servers under Ray and Dask; `-- -m "not slow"` runs the quick part."""
    session.install(".[all,ray]", "dask[distributed]", *group("test"))
    session.run("python", "-m", "pytest", "tests/scale", *session.posargs)


@nox.session
def browser(session: nox.Session) -> None:
    """Look at a report in Chromium, which `tests` does too, where there is one."""
    install(session, "tests")
    session.run("python", "-m", "pytest", "-rs", "tests/browser", *session.posargs, env=IN_BROWSER)


@nox.session(venv_backend="uv|virtualenv")
def lowest(session: nox.Session) -> None:
    """Run the core's and the engine's tests with the oldest dependencies that the project allows."""
    oldest = [d.split(",")[0].replace(">=", "==") for d in PROJECT["project"]["dependencies"]]
    # The engine takes whatever OpenCV there is, of both major releases.
    session.install(".[all]", *oldest, "opencv-python-headless==4.12.*", *group("test"))
    some = [*map(str, sorted(Path("tests").glob("test_*.py"))), "tests/wire", "tests/faults"]
    # What captions make of the measures takes a minute, and depends on no version.
    some += ["tests/local/engine", "--ignore=tests/local/engine/facts"]
    session.run("pytest", "-q", "-m", "not slow", *(session.posargs or some))


@nox.session
def newest(session: nox.Session) -> None:
    """Run the wire's, the faults' and the client's tests with the newest dependencies.

    aiohttp may be a pre-release, so that its next release breaks nobody; not in CI.
    """
    session.install("--upgrade", ".[all]", *group("test"))
    session.install("--upgrade", "--pre", "--no-deps", "aiohttp")
    some = ["tests/wire", "tests/faults", "tests/client", "tests/http"]
    session.run("pytest", "-q", "-m", "not slow", *(session.posargs or some))


@nox.session
def mutants(session: nox.Session) -> None:
    """Break the pure core in one place at a time, and ask that the tests notice; not in CI."""
    install(session, "tests")
    session.run("python", "tests/package/mutants.py", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Run the benchmarks; with `-- --quick` or by default just long enough that they cannot rot."""
    install(session, "bench")
    for name in BENCHMARKS:
        session.run("python", f"benchmarks/{name}.py", *(session.posargs or ["--quick"]))


@nox.session
def peers(session: nox.Session) -> None:
    """Measure the newest SDKs that people know beside this one, and write the page; not in CI."""
    session.install("--upgrade", ".", "tenacity")
    for name in PEERS:
        # A peer that cannot be installed is said so on the page.
        session.install("--upgrade", name, success_codes=range(256))
    session.run("python", "benchmarks/peers.py", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the site of the documentation; a warning is an error."""
    install(session, "docs")
    session.run("sphinx-build", "-qW", "-b", "html", "docs", "build/docs")


@nox.session
def audit(session: nox.Session) -> None:
    """Look up known vulnerabilities of the locked versions; asks the network, so not in CI."""
    session.install(*group("audit"))
    for name in session.posargs or LOCKED:
        session.run("pip-audit", "--require-hashes", "-r", str(LOCKS / f"{name}.txt"))


@nox.session
def build(session: nox.Session) -> None:
    """Build the source archive, the wheel from it, and the SBOM; try the wheel where it is alone."""
    install(session, "build")
    dist = Path("dist").absolute()
    shutil.rmtree(dist, ignore_errors=True)
    # Without --sdist and --wheel, the wheel is built from the source archive.
    session.run("python", "-m", "build", "--no-isolation", "--outdir", str(dist))
    (wheel,) = dist.glob("*.whl")
    with tempfile.TemporaryDirectory() as outside:
        python = str(Path(outside, "env", SCRIPTS, "python"))
        session.run("python", "-m", "venv", str(Path(outside, "env")))
        pip = (python, "-m", "pip", "install", "-q")
        locked = str(LOCKS / "wheel.txt")
        session.run(*pip, "--require-hashes", "-r", locked, external=True)
        # What the wheel says of its dependencies holds: nothing is missing, nothing is downloaded.
        session.run(*pip, "--no-index", f"{wheel}[all]", external=True)
        session.run(python, "-m", "pip", "check", external=True)
        smoke = str(Path("tests/package/smoke.py").absolute())
        with session.chdir(outside):
            session.run(python, "-I", smoke, external=True)
        sbom = ["--output-format", "JSON", "--output-file", str(wheel.with_suffix(".cdx.json"))]
        session.run("cyclonedx-py", "environment", "--pyproject", "pyproject.toml", *sbom, python)
