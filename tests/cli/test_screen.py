"""What is shown: to a person at a terminal, to a pipe; and text from elsewhere is never obeyed."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from memories_async.cli._exits import Exit, Problem
from memories_async.cli._screen import Screen, clean


def _terminal(width=80):
    """A screen that takes itself for a terminal, and what was written on it."""
    pages = io.StringIO(), io.StringIO()
    consoles = [
        Console(file=page, force_terminal=True, width=width, markup=False, highlight=False)
        for page in pages
    ]
    return Screen(out=consoles[0], err=consoles[1]), *pages


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("a\x1b[31mred\x07", "a\N{REPLACEMENT CHARACTER}[31mred\N{REPLACEMENT CHARACTER}"),
        ("a\tb\rc", "a b c"),
        ("two\nlines", "two\nlines"),
        ("\N{RIGHT-TO-LEFT OVERRIDE}txt.exe", "\N{REPLACEMENT CHARACTER}txt.exe"),
        ("a\ud800b", "a\N{REPLACEMENT CHARACTER}b"),
        ("नी\N{ZERO WIDTH JOINER}x", "नी\N{ZERO WIDTH JOINER}x"),
    ],
)
def test_control_characters_are_replaced(given, shown):
    """No text can move the cursor, recolour the screen or turn itself around."""
    assert clean(given) == shown


def test_markup_in_text_is_only_text(capsys):
    """`[bold]` and `:smile:` come out as they went in."""
    screen, page, _ = _terminal()

    screen.say("[bold red]x[/] :smile:")
    screen.table(("a",), [("[link=http://x]y[/link]",)])
    Screen().say("[bold]x[/]")

    assert "[bold red]x[/] :smile:" in page.getvalue()
    assert "[link=http://x]y[/link]" in page.getvalue()
    assert capsys.readouterr().out == "[bold]x[/]\n"


def test_a_pipe_gets_plain_aligned_text_that_is_never_cut(capsys):
    """No frames, no colours, no width."""
    screen = Screen()

    screen.table(("name", "size>"), [("x" * 200, "7"), ("東京", "12")], indent=2)
    screen.facts([("a", "b\nc")])
    screen.say("one\ntwo", indent=1)

    assert capsys.readouterr().out.splitlines() == [
        f"  {'name':<200}  size",
        f"  {'x' * 200}     7",
        f"  東京{' ' * 196}    12",
        "a  b c",
        " one",
        " two",
    ]


def test_a_terminal_gets_a_table_within_its_width():
    """Numbers to the right, long text folded."""
    screen, page, _ = _terminal(width=40)

    screen.table(("n>", "text"), [("1", "y" * 60), ("22", "z")])
    screen.facts([("name", "value")], indent=3)

    lines = page.getvalue().splitlines()
    assert all(len(line) <= 120 for line in lines)
    assert any("\x1b[2m" in line and "n" in line for line in lines)
    assert "y" * 60 not in page.getvalue()
    assert any(line.startswith("   ") and "value" in line for line in lines)


def test_an_empty_table_is_not_shown(capsys):
    """Not even its head."""
    Screen().table(("a", "b"), [])

    assert capsys.readouterr().out == ""


def test_with_json_only_the_document_is_shown(capsys):
    """Whoever parses stdout finds one document, and nothing on stderr but problems."""
    screen = Screen(json=True)

    screen.say("x")
    screen.table(("a",), [("b",)])
    screen.note("x")
    with screen.status("x"):
        screen.document({"a": "\x1b[31m"})

    assert capsys.readouterr() == ('{"a": "\\u001b[31m"}\n', "")


def test_a_terminal_shows_a_spinner_during_a_wait():
    """A spinner, where there is a terminal, and only there."""
    screen, _, page = _terminal()

    with screen.status("searching ..."):
        screen.note("a note\x1b[2J")

    assert "searching ..." in page.getvalue()
    assert "a note\N{REPLACEMENT CHARACTER}[2J" in page.getvalue()


def test_a_problem_is_wrapped_at_words_on_a_terminal():
    """And is one line on a pipe."""
    screen, _, page = _terminal(width=40)

    screen.problem(Problem(exit=Exit.REFUSED, kind="Refused", sentence="word " * 20), command="x")

    assert all(len(line) <= 80 for line in page.getvalue().splitlines())


def test_a_reader_that_went_away_stops_the_command():
    """rich would end the process with 1, which means something else here."""

    class Gone(io.StringIO):
        def write(self, _):
            raise BrokenPipeError

    screen = Screen()
    screen.err.file = Gone()

    with pytest.raises(BrokenPipeError):
        screen.note("x")


def test_bar_counts_what_is_done_on_a_terminal_only():
    """A pipe gets nothing."""
    screen, _, page = _terminal()
    piped = Screen(err=Console(file=io.StringIO()))

    with screen.count_bar("indexing [b]x[/]") as told:
        told(2, 7)
    with piped.count_bar("indexing") as untold:
        assert untold is None

    assert "indexing [b]x[/]" in page.getvalue()
    assert "2/7" in page.getvalue()
