"""search --picture: the answer drawn, with everything that could go wrong told before it is paid."""

from __future__ import annotations

import json
import sys
from io import BytesIO

import pytest
from attrs import evolve

pytest.importorskip("jinja2", reason="a report needs Jinja2")
pytest.importorskip("resvg_py", reason="a picture needs resvg-py")
av = pytest.importorskip("av", reason="a report needs PyAV")

import reports  # noqa: E402

from memories_async.local import LocalService  # noqa: E402
from memories_async.local.engine.fixed import FixedEngine  # noqa: E402

SECONDS = 12
SEARCH = ("--prompt", "focus on the red shirt")


@pytest.fixture
def film(tmp_path):
    """A film of three colours, four seconds each."""
    return reports.make_film(tmp_path / "colours.mp4", seconds=SECONDS)


@pytest.fixture
def engine():
    """Finds three stretches, the best one in the film's last third."""
    from memories_async.local.engine.protocol import Match

    spans = ((9.0, 11.0, 0.9), (5.0, 6.0, 0.5), (0.0, 0.0, 0.0))
    facts = evolve(FixedEngine().facts, duration=float(SECONDS))
    return FixedEngine(
        facts=facts,
        clips=tuple(Match(start_time=a, end_time=b, score=score) for a, b, score in spans),
    )


def measure(path):
    """Width of a picture, and the name of its codec."""
    with av.open(BytesIO(path.read_bytes())) as opened:
        return opened.streams.video[0].width, opened.streams.video[0].codec.canonical_name


def test_search_draws_its_answer(cli, film, picture, video, tmp_path):
    """The table is shown, too; the embedded service names the video's file."""
    out = tmp_path / "found.png"

    ended = cli("search", picture, "--video-no", video.video_no, *SEARCH, "--picture", out)

    assert ended.code == 0, ended.err
    assert "9.00" in ended.out
    assert f"picture written to {out}" in ended.err
    assert measure(out) == (1920, "png")


def test_search_draws_from_the_named_file(cli, film, picture, service, tmp_path):
    """The real service does not name a file on this machine; a page can be written as well."""
    out, page, copy = tmp_path / "found.jpg", tmp_path / "found.html", tmp_path / "copy.mp4"
    copy.write_bytes(film.read_bytes())
    number = service.library[0].video_no
    words = ("search", picture, "--video-no", number, *SEARCH, "--picture", out, "--json")

    ended = cli(*words, "--video", copy, "--report", page, "--embed-clips")

    assert len(ended.json["clips"]) == 3
    assert measure(out) == (1920, "mjpeg")
    assert 'src="data:video/mp4' in page.read_text(encoding="utf-8")


def test_a_file_that_is_not_the_video_is_refused(cli, picture, service, tmp_path):
    """By its length, before the search is charged; the question for it is free."""
    other = reports.make_film(tmp_path / "other.mp4", seconds=5)
    number = service.library[0].video_no
    words = ("search", picture, "--video-no", number, *SEARCH)
    cli(*words)  # the embedded service knows the length of what it has indexed

    for option, out in (("--picture", "o.png"), ("--report", "o.html")):
        ended = cli(*words, option, tmp_path / out, "--video", other)

        assert ended.code == 2
        told = f"--video other.mp4 is not {number}: it is 5.0 s long, and {number} 12.0 s"
        assert told in ended.err
    assert service.account.paid == 1


@pytest.mark.parametrize(
    ("out", "told"),
    [
        ("found.gif", "--picture must end in .png or .jpg, not 'found.gif'"),
        ("nowhere/found.png", "--picture: there is no folder"),
    ],
    ids=["suffix", "folder"],
)
def test_a_wrong_target_costs_nothing(cli, picture, video, service, tmp_path, out, told):  # noqa: PLR0917
    """The error is reported before the search is sent."""
    words = ("search", picture, "--video-no", video.video_no, *SEARCH)

    ended = cli(*words, "--picture", tmp_path / out)

    assert ended.code == 2
    assert told in " ".join(ended.err.split())
    assert service.account.calls == 0


def test_a_video_that_cannot_be_read_costs_nothing(cli, picture, service, tmp_path):
    """The file is named."""
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no film")
    words = ("search", picture, "--video-no", "VI1", *SEARCH, "--picture", tmp_path / "o.png")

    ended = cli(*words, "--video", broken)

    assert ended.code == 2
    assert "--picture cannot be drawn: broken.mp4 cannot be decoded" in ended.err
    assert service.account.calls == 0


def test_a_renderer_that_is_missing_costs_nothing(cli, picture, video, service, monkeypatch):
    """The extra is named."""
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    words = ("search", picture, "--video-no", video.video_no, *SEARCH)

    ended = cli(*words, "--picture", "o.png")

    assert ended.code == 2
    assert "needs resvg_py: pip install 'memories_async[report]'" in " ".join(ended.err.split())
    assert service.account.calls == 0


@pytest.mark.parametrize("host", ["https://127.0.0.1:1", "https://memories.invalid"])
def test_search_asks_for_the_file_if_the_service_cannot_name_it(
    cli, picture, monkeypatch, tmp_path, host
):
    """No other host is asked for the file."""
    monkeypatch.setenv("MEMORIES_API_KEY", "local-1")
    monkeypatch.setenv("MEMORIES_V1_BASE_URL", host)

    ended = cli(
        "search", picture, "--video-no", "VI1", *SEARCH, "--picture", tmp_path / "found.png"
    )

    assert ended.code == 2
    assert "--picture needs the file of VI1: add --video FILE" in ended.err


def test_an_unknown_video_has_no_file(cli, picture, service, tmp_path):
    """The service does not list the video."""
    words = ("search", picture, "--video-no", "VI1", *SEARCH)

    assert "add --video FILE" in cli(*words, "--picture", tmp_path / "o.png").err


def test_a_picture_that_fails_leaves_the_answer(cli, picture, video, tmp_path):
    """It was paid and is shown; only the exit code tells the difference."""
    words = ("search", picture, "--video-no", video.video_no, *SEARCH, "--json")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("memories_async.report.Report.write_picture", fail)
        ended = cli(*words, "--picture", tmp_path / "o.png")

    assert ended.code == 5
    assert len(json.loads(ended.out)["clips"]) == 3
    assert "the picture could not be written: full" in ended.err


def fail(*_):
    raise OSError("full")


def test_the_service_lists_where_its_videos_are(film):
    """For programs on the same machine."""
    import urllib.request

    with LocalService([film], engine=FixedEngine()) as service:
        listed = json.load(urllib.request.urlopen(f"{service.url}/_local/library"))

    assert listed[0]["path"] == str(film.resolve())
