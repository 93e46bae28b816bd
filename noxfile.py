"""Every check of the project: `nox -l` lists them, `nox -s tests` runs one."""

from __future__ import annotations

from pathlib import Path

import nox

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.error_on_missing_interpreters = False
nox.options.sessions = ["lint", "types", "tests", "lowest", "docs", "bench", "build"]

PROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = nox.project.python_versions(PROJECT)
BENCHMARKS = (
    *("overhead", "blocking", "search", "uploads", "fanout", "imports"),
    *("batch", "receiver", "limiter", "engine", "service"),
)


def group(name: str) -> list[str]:
    """Read a dependency group, which an older pip could not install by name."""
    return list(nox.project.dependency_groups(PROJECT, name))


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and format."""
    session.install(*group("lint"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Check types with mypy and pyright, both strict, and that every public name has one."""
    session.install(".[all]", *group("test"), *group("types"), "nox")
    session.run("mypy")
    session.run("pyright")
    session.run("pyright", "--verifytypes", "memories_async", "--ignoreexternal")


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the tests, the README's and the docs' code blocks among them, and ask for coverage."""
    session.install(".[all]", *group("test"))
    session.run("coverage", "run", "-m", "pytest", *session.posargs)
    if not session.posargs:
        session.run("coverage", "report", "--skip-covered", "--show-missing")


@nox.session(venv_backend="uv|virtualenv")
def lowest(session: nox.Session) -> None:
    """Run the core's and the engine's tests with the oldest dependencies that the project allows."""
    oldest = [d.split(",")[0].replace(">=", "==") for d in PROJECT["project"]["dependencies"]]
    # The engine takes whatever OpenCV there is, of both major releases.
    session.install(".[all]", *oldest, "opencv-python-headless==4.12.*", *group("test"))
    some = [*map(str, sorted(Path("tests").glob("test_*.py"))), "tests/wire", "tests/faults"]
    some.append("tests/local/engine")
    session.run("pytest", "-q", "-m", "not slow", *(session.posargs or some))


@nox.session
def mutants(session: nox.Session) -> None:
    """Break the pure core in one place at a time, and ask that the tests notice; not in CI."""
    session.install(".[all]", *group("test"))
    session.run("python", "tests/package/mutants.py", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Run the benchmarks; with `-- --quick` or by default just long enough that they cannot rot."""
    session.install(".[all]", *group("bench"))
    for name in BENCHMARKS:
        session.run("python", f"benchmarks/{name}.py", *(session.posargs or ["--quick"]))


@nox.session
def docs(session: nox.Session) -> None:
    """Build the site of the documentation; a warning is an error."""
    session.install(".[all]", *group("docs"))
    session.run("sphinx-build", "-qW", "-b", "html", "docs", "build/docs")


@nox.session
def build(session: nox.Session) -> None:
    """Build the wheel and the source archive."""
    session.install("build")
    session.run("python", "-m", "build", "--outdir", session.create_tmp())
