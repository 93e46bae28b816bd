"""docs/local.md lists exactly what exists; its code blocks are run by `tests/docs/test_docs.py`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from memories_async.local.engine.search import prompt
from memories_async.local.engine.vision.colour_names import WORDS
from memories_async.local.state.faults import CallbackKind, Kind

pytest_plugins = ["pytester"]

PAGE = (Path(__file__).parents[3] / "docs" / "local.md").read_text()


def read_rows(heading: str) -> list[list[str]]:
    """The cells of the first table below a text."""
    lines = PAGE[PAGE.index(heading) :].splitlines()
    first = next(at for at, line in enumerate(lines) if line.startswith("|"))
    last = next(at for at in range(first, len(lines)) if not lines[at].startswith("|"))
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[first + 2 : last]]


def list_known_words() -> set[str]:
    """The page contains every word of the table of prompts."""
    return set(re.findall(r"[a-z]+", " ".join(cells[0] for cells in read_rows("| words |"))))


def test_every_known_word_is_listed():
    """The page hides none."""
    known = {*WORDS, *prompt._MOVING, *prompt._STILL, *prompt._BRIGHT, *prompt._DARK}
    known |= {*prompt._COLOUR, *prompt._NOT, *prompt._TURNS_BACK, "background"}

    assert known <= list_known_words() | set(re.findall(r"\*([a-z]+)\*", PAGE))


@pytest.mark.parametrize("word", sorted({*WORDS, *prompt._MOVING, *prompt._STILL}))
def test_each_listed_word_is_known(word):
    """By itself."""
    assert word in list_known_words()
    assert prompt.parse(word).ignored == ()


@pytest.mark.parametrize("asked", ["bright", "dim", "ignore the background", "ignore colors"])
def test_each_listed_phrase_is_known(asked):
    """As a whole."""
    assert prompt.parse(asked) != prompt.PromptIntent()
    assert prompt.parse(asked).ignored == ()


@pytest.mark.parametrize(
    ("heading", "kinds"), [("| `kind` |", Kind), ("| `callback` |", CallbackKind)]
)
def test_page_lists_every_fault(heading, kinds):
    """The page lists no other fault."""
    listed = {name for cells in read_rows(heading) for name in re.findall(r"`(\w+)`", cells[0])}

    assert listed == set(get_args(kinds))


def test_lowest_score_is_the_one_on_the_page():
    """Below it no clip is returned."""
    ranking = pytest.importorskip("memories_async.local.engine.search.ranking")

    assert f"leaves out clips under {ranking.KEEP:g}," in " ".join(PAGE.split())


def test_example_tests_on_the_page_pass(pytester, monkeypatch):
    """With the fixtures that the page overrides."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (conftest,) = (block for block in blocks if block.startswith("# conftest.py"))
    (test,) = (block for block in blocks if "memories_service)" in block)
    (pytester.path / "holiday.mp4").write_bytes(b"a film")
    pytester.makepyfile(conftest=conftest, test_mine=test)

    pytester.runpytest_inprocess("-p", "memories_async.pytest_plugin").assert_outcomes(passed=1)
