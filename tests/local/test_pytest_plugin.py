"""The pytest plugin: a service for each test that asks for the fixture."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

PLUGIN = "memories_async.pytest_plugin"
ROOT = Path(__file__).parents[2]
FIXED = """
import pytest
from memories_async.local.engine.fixed import FixedEngine

@pytest.fixture(scope="session")
def memories_engine():
    return FixedEngine()

@pytest.fixture(scope="session")
def memories_videos(tmp_path_factory):
    film = tmp_path_factory.mktemp("films") / "mine.mp4"
    film.write_bytes(b"a film")
    return (film,)
"""


@pytest.fixture
def run_tests(pytester, monkeypatch):
    """Run tests with the plugin, whether or not this installation registers it already."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makeini(
        "[pytest]\nfilterwarnings = error\nasyncio_mode = auto\n"
        "asyncio_default_fixture_loop_scope = function\n"
    )

    def run_tests(**sources):
        pytester.makepyfile(**sources)
        return pytester.runpytest_inprocess("-p", "pytest_asyncio.plugin", "-p", PLUGIN)

    return run_tests


def test_plugin_serves_a_blocking_test(run_tests):
    """A new service for each test, from the project's videos."""
    done = run_tests(
        conftest=FIXED,
        test_blocking="""
def test_one(memories_service):
    with memories_service.blocking_client() as client:
        client.embeddings.video(memories_service.library[0].asset_id)
    assert memories_service.account.calls == 1
    assert memories_service.library[0].path.name == "mine.mp4"

def test_two(memories_service):
    assert memories_service.account.calls == 0
    assert not memories_service.limits
""",
    )

    done.assert_outcomes(passed=2)


@pytest.mark.parametrize("scope", ["function", "module", "session"])
def test_plugin_serves_an_async_test_on_any_loop(run_tests, scope):
    """The service runs on a thread of its own."""
    done = run_tests(
        conftest=FIXED,
        test_async=f"""
import pytest

@pytest.mark.asyncio(loop_scope="{scope}")
async def test_one(memories_service):
    async with memories_service.client() as client:
        await client.embeddings.video(memories_service.library[0].asset_id)
    assert memories_service.account.calls == 1
""",
    )

    done.assert_outcomes(passed=1)


@pytest.fixture
def indexed(monkeypatch):
    """The videos that were decoded; OpenCV stays loaded when the inner run ends."""
    pixels = pytest.importorskip("memories_async.local.engine.pixels")
    pytest.importorskip("memories_async.local.engine.video.render")
    run_in_child, seen = pixels.run_in_child, []

    def count(task, path, *arguments, **settings):
        seen.append(path)
        return run_in_child(task, path, *arguments, **settings)

    monkeypatch.setattr(pixels, "run_in_child", count)
    return seen


def test_plugins_film_is_indexed_once_a_session(run_tests, indexed):
    """It has four scenes and can be captioned."""
    done = run_tests(
        test_film="""
import pytest

@pytest.mark.parametrize("time", [1, 2])
def test_film(memories_service, memories_engine, time):
    film = memories_service.library[0]
    with memories_service.blocking_client() as client:
        assert len(client.embeddings.video(film.asset_id)) == 1024
    facts = memories_engine.index(film.path).facts
    assert facts.duration >= 20
    assert len(facts.shots) == 4
""",
    )

    done.assert_outcomes(passed=2)
    assert len(indexed) == 1


def test_plugin_is_registered():
    """Under the name that `-p no:memories_async` switches off."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())

    assert project["project"]["entry-points"]["pytest11"] == {"memories_async": PLUGIN}


PROBE = """
import sys
import pytest
before = set(sys.modules)
import memories_async.pytest_plugin
print(sorted({name.partition(".")[0] for name in set(sys.modules) - before}))
"""


def test_importing_the_plugin_imports_nothing_else():
    """pytest loads it in every run."""
    found = subprocess.run(
        [sys.executable, "-c", PROBE], capture_output=True, check=True, text=True, cwd=ROOT
    )

    assert found.stdout.strip() == "['memories_async']"
