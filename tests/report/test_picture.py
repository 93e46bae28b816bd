"""The still image of a search: what is on it, that nothing overlaps, and what hostile text becomes."""

from __future__ import annotations

import sys
from io import BytesIO
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest

pytest.importorskip("jinja2", reason="a report needs Jinja2")
pytest.importorskip("av", reason="a report needs PyAV")
pytest.importorskip("numpy", reason="a report needs numpy")
pytest.importorskip("resvg_py", reason="a picture needs resvg-py")

import av
import numpy as np
import reports

from memories_async import Clip
from memories_async.report import Report, _picture

SVG = "{http://www.w3.org/2000/svg}"
GREEN, BLUE = 1, 2
"""The colours of the film's second and last third."""


@pytest.fixture
def film(tmp_path):
    """A film of nine seconds, whose thirds have colours."""
    return reports.make_film(tmp_path / "film.mp4", seconds=9)


@pytest.fixture
def report(tmp_path, film):
    """Make the report of one search in the film."""

    def report(*spans, prompt="the red car", video_no="VI1", video=film):
        image = tmp_path / "query.jpg"
        if not image.exists():
            with av.open(str(image), "w", format="mjpeg") as out:
                stream = out.add_stream("mjpeg", rate=1)
                stream.width, stream.height, stream.pix_fmt = 64, 96, "yuvj420p"
                pixels = np.full((96, 64, 3), (10, 200, 200), np.uint8)
                out.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
                out.mux(stream.encode(None))
        clips = [Clip(start_time=a, end_time=b, score=score) for a, b, score in spans]
        return Report.of_search(image, prompt=prompt, video_no=video_no, clips=clips, video=video)

    return report


@pytest.fixture
def layout(report, monkeypatch):
    """Draw a search; give its layout as the renderer gets it."""

    def layout(*spans, **search):
        given = []

        def render(*, svg_string, **_):
            given.append(svg_string)
            return b""

        monkeypatch.setattr(_picture, "load_renderer", lambda: render)
        report(*spans, **search).draw()
        return ET.fromstring(given[0])

    return layout


def read(picture):
    """Decode a picture to pixels."""
    with av.open(BytesIO(picture)) as opened:
        return next(opened.decode(video=0)).to_ndarray(format="rgb24")


def is_near(pixel, colour):
    """Whether two colours are alike, as video leaves them."""
    return bool(np.abs(pixel.astype(int) - colour).max() < 40)


def find_texts(element):
    """The texts of a layout, line by line."""
    return ["".join(one.itertext()) for one in element.iter(f"{SVG}text")]


def test_it_shows_query_strip_scores_and_stills(report) -> None:
    """At 1.5 times the size of its layout; the cards show the seconds of their clips, the best first."""
    pixels = read(report((7.0, 8.5, 0.9), (4.0, 5.0, 0.5)).draw())

    at = lambda x, y: pixels[int(y * 1.5), int(x * 1.5)]  # noqa: E731  # a place of the layout
    assert pixels.shape[1] == 1920
    assert is_near(at(100, 100), (10, 200, 200))
    assert np.argmax(at(314 + 930, 40)) == BLUE
    assert np.argmax(at(314 + 280, 300)) == BLUE, "the best clip is in the film's last third"
    assert np.argmax(at(314 + 316 + 280, 300)) == GREEN
    best, other = (0xC2, 0x41, 0x0C), (0x1D, 0x4E, 0xD8)
    floor = 32 + 64 + 96
    assert is_near(at(314 + 934 * 7.2 / 9, floor - 80), best)
    assert is_near(at(314 + 934 * 4.2 / 9, floor - 40), other)
    assert not is_near(at(314 + 934 * 4.2 / 9, floor - 60), other), "half as high as its score"


def test_text_is_there_without_fonts_of_the_machine(report, monkeypatch) -> None:
    """The letters come from the package's own fonts."""
    import resvg_py

    own = lambda **how: resvg_py.svg_to_bytes(skip_system_fonts=True, **how)  # noqa: E731
    monkeypatch.setattr(_picture, "load_renderer", lambda: own)

    pixels = read(report((1.0, 2.0, 0.9)).draw())

    # Below the query picture, 166.7 x 250 in its column, there is the prompt.
    prompt = pixels[int(335 * 1.5) : int(365 * 1.5), 48:420]
    assert (prompt < 100).any()


@pytest.mark.parametrize(
    ("count", "cards", "more"),
    [(0, 0, ""), (1, 1, ""), (6, 6, ""), (7, 6, "and 1 more clip"), (60, 6, "and 54 more clips")],
    ids=["none", "one", "six", "seven", "sixty"],
)
def test_the_best_six_are_shown_and_the_others_counted(layout, count, cards, more) -> None:
    """Nothing found is drawn, too."""
    svg = layout(*((at / 10, at / 10 + 0.5, 1 - at / 100) for at in range(count)))

    texts = find_texts(svg)
    assert sum(", score " in one for one in texts) == cards
    assert [one for one in texts if one.startswith("and ")] == ([more] if more else [])
    assert ("No clip matches." in texts) == (count == 0)
    bars = [one for one in svg.iter(f"{SVG}rect") if one.get("class") == "bar"]
    assert len(bars) == min(count, 40)


def test_hostile_and_long_text_stays_text_in_its_place(layout, tmp_path) -> None:
    """Markup, bidi marks and terminal codes; long names are cut; no line is under another or too wide."""
    film = reports.make_film(tmp_path / f"{'<b>&' * 40}.mp4")
    prompt = f"{reports.HOSTILE} {'W' * 200} {'word ' * 200}"

    svg = layout((0.0, 1.0, 0.9), prompt=prompt, video_no=reports.HOSTILE * 3, video=film)

    assert {one.tag.removeprefix(SVG) for one in svg.iter()} <= {
        *("svg", "style", "rect", "image", "text", "tspan", "a", "title", "line"),
    }
    texts = [one for one in svg.iter(f"{SVG}text") if one.get("x") == "0"]
    lines = ["".join(one.itertext()) for one in texts]
    assert "<img src=x" in lines
    assert not set("".join(lines)) & set("\u202e\x1b\n")
    assert sum("…" in one for one in lines) == 3, "prompt, film and id are cut"
    ys = [float(one.get("y")) for one in texts]
    assert all(below - above >= 20 for above, below in pairwise(ys))
    assert float(svg.get("height")) > ys[-1] + 20


def test_any_script_is_wrapped_within_its_room() -> None:
    """Wide letters count as wide, accents as nothing; a word that is too long is broken."""
    assert _picture.wrap("", 250, size=17, most=3) == []
    assert _picture.wrap("漢字" * 30, 250, size=17, most=2) == ["漢字" * 7, f"{'漢字' * 6}漢…"]
    assert _picture.wrap("e\u0301" * 10, 120, size=17, most=3) == ["e\u0301" * 10]
    assert _picture.wrap("W" * 30, 250, size=17, most=3) == ["W" * 14, "W" * 14, "WW"]
    assert _picture.wrap("one-by-one.mp4", 100, size=17, most=3) == ["one-by-", "one.mp4"]
    assert _picture.wrap("one two", 70, size=17, most=3, is_bold=True) == ["one", "two"]


def test_a_search_without_files_has_times_and_scores(layout) -> None:
    """The timeline ends with the last clip."""
    svg = layout((1.0, 2.0, 0.5), (6.0, 8.0, 0.2), video=None)

    texts = find_texts(svg)
    assert texts[:3] == ["the red car", "VI1", "2 clips"]
    assert {"0:00", "0:02", "0:04", "0:06", "0:08"} <= {*texts}
    assert not [one for one in texts if "score" in one]


def test_the_newest_search_of_a_ledger_is_drawn(tmp_path, film) -> None:
    """As PNG or JPEG, by the suffix; the file is its owner's only."""
    rows = [reports.search(prompt="older"), reports.search(prompt="newer")]
    ledger = reports.write_ledger(tmp_path / "run.db", rows)
    made = Report(ledger, media={"VI1": film})

    png, jpeg = made.write_picture(tmp_path / "a.png"), made.write_picture(tmp_path / "a.JPG")

    assert png.read_bytes().startswith(b"\x89PNG")
    assert jpeg.read_bytes().startswith(b"\xff\xd8")
    assert np.abs(read(png.read_bytes()).astype(int) - read(jpeg.read_bytes())).mean() < 3
    assert png.stat().st_mode & 0o077 == 0


def test_what_cannot_be_drawn_is_an_error(tmp_path, report, monkeypatch) -> None:
    """Another suffix, a ledger without searches, and a machine without resvg."""
    ledger = reports.write_ledger(tmp_path / "run.db", [])

    with pytest.raises(ValueError, match=r"path must end in \.png or \.jpg, not 'a\.gif'"):
        report().write_picture(tmp_path / "a.gif")
    with pytest.raises(ValueError, match=r"Report of run\.db has no search that was answered"):
        Report(ledger).draw()
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    with pytest.raises(
        ModuleNotFoundError, match=r"resvg-py: pip install 'memories_async\[report\]'"
    ):
        report().draw()
