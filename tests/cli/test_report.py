"""`memories-async report`: the page of a ledger, with the files of a folder."""

from __future__ import annotations

import webbrowser

import pytest

pytest.importorskip("jinja2", reason="a report needs Jinja2")
pytest.importorskip("av", reason="a report needs PyAV")

import reports

from memories_async.cli.report import find_media, format_size


@pytest.fixture
def folder(tmp_path):
    """A folder with a film."""
    folder = tmp_path / "films"
    folder.mkdir()
    reports.make_film(folder / "beach.mp4")
    return folder


@pytest.fixture
def place(tmp_path, folder):
    """A ledger with a search in that film, by the embedded service's id, and in another."""
    video = next(key for key in find_media([folder]) if key.startswith("VI"))
    rows = [reports.search(video=video), reports.search(video="VI2", prompt="other")]
    reports.write_ledger(tmp_path / "run.db", rows).close()
    return tmp_path / "run.db"


def test_the_page_is_written_with_the_films_of_the_folder(cli, place, folder, tmp_path) -> None:
    """Ids of the embedded service find their files; --video names the others."""
    out = tmp_path / "page.html"

    ended = cli(
        *("report", place, "--videos", folder, "--out", out, "--title", "Night run"),
        *("--video", f"VI2={folder / 'beach.mp4'}", "--json"),
    )

    assert ended.code == 0, ended.err
    page = out.read_text(encoding="utf-8")
    assert ended.json == {"out": str(out), "bytes": len(page.encode())}
    assert page.count('src="films/beach.mp4#t=') == 2
    assert "<title>Night run</title>" in page


def test_the_page_is_opened_when_told(cli, place, tmp_path, monkeypatch) -> None:
    """--open hands the file's URL to the browser."""
    opened = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    out = tmp_path / "page.html"

    ended = cli("report", place, "--out", out, "--open", "--embed-clips")

    assert ended.code == 0, ended.err
    assert str(out) in ended.out.replace("\n", "")
    assert opened == [out.as_uri()]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--out", "page.txt"], "must end in .html"),
        (["--out", "none/page.html"], "there is no folder none"),
        (["--video", "VI1"], "must be ID=FILE"),
        (["--video", "VI1=none.mp4"], "must be ID=FILE"),
    ],
    ids=["suffix", "folder", "pair", "file"],
)
def test_mistakes_are_told_before_anything_is_written(cli, place, words, reason) -> None:
    """An error names the option and what is wrong."""
    ended = cli("report", place, *words)

    assert ended.code == 2
    assert reason in " ".join(ended.err.split())


SEARCH = ("--prompt", "the red car", "--video-no")


def test_a_search_becomes_a_page(cli, service, picture, tmp_path, folder) -> None:
    """search --report writes prompt, times and clips that play from the named file."""
    out = tmp_path / "found.html"
    words = (*SEARCH, service.library[0].video_no, "--report", out)

    named = cli("search", picture, *words, "--video", folder / "beach.mp4")
    first = out.read_text(encoding="utf-8")
    found = cli("search", picture, *words, "--json")

    assert named.code == found.code == 0, named.err + found.err
    assert f"page written to {out}" in named.err
    assert "the red car" in first
    assert 'src="films/beach.mp4#t=' in first
    assert "holiday.mp4" in out.read_text(encoding="utf-8"), "the embedded service knows the file"


def test_a_page_that_cannot_be_written_is_told(cli, service, picture, tmp_path) -> None:
    """Before the call where that can be known, and with the answer where not."""
    words = (*SEARCH, service.library[0].video_no, "--report")
    (tmp_path / "folder.html").mkdir()

    early = cli("search", picture, *words, tmp_path / "found.txt")
    spent = service.account.points_spent
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("memories_async.report.Report.write", fail)
        late = cli("search", picture, *words, tmp_path / "found.html", "--json")

    assert early.code == 2
    assert "must end in .html" in early.err
    assert spent == 0
    assert late.code == 5
    assert late.json["clips"]
    assert "the page could not be written: full" in late.err


def fail(*_):
    raise OSError("full")


@pytest.mark.parametrize(
    ("size", "shown"),
    [(900, "1 kB"), (149_400, "149 kB"), (2_900_000, "2.9 MB")],
    ids=["byte", "kilo", "mega"],
)
def test_a_size_has_the_unit_that_shows_it(size, shown) -> None:
    """A small page has no 0.0 MB."""
    assert format_size(size) == shown
