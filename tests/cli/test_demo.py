"""demo: the three calls on a real video, whatever the video is."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from attrs import evolve

from memories_async import Clip

pytest.importorskip("cv2", reason="the demonstration looks at pixels")

VIDEOS = Path(
    os.environ.get("MEMORIES_TEST_VIDEOS", Path(__file__).parents[3] / "shared" / "videos")
)


@pytest.fixture
def clip(tmp_path):
    """Render a small film."""
    from memories_async.local.engine.video.render import render

    def clip(seconds, name="small.mp4"):
        path = tmp_path / name
        render(path, seconds=seconds, scenes=2, size=(160, 90))
        return path

    return clip


@pytest.mark.slow
def test_demo_renders_a_video_if_none_is_given_and_proves_the_search(start):
    """The first command that anybody runs, as a program of its own."""
    out, told = start("demo").communicate()

    assert told == ""
    assert "4 shots" in out
    assert "The best clip has the frame at " in out
    assert "Persons were not searched for" in out
    assert "1,024 numbers, norm 1.000" in out
    assert "total" in out
    assert "3 requests" in out
    page = Path("".join(out.partition("The results as a page, with clips that play:")[2].split()))
    assert page.read_text().startswith("<!doctype html>")


def test_demo_shows_the_refusal_of_a_caption_of_a_short_video(cli, clip):
    """Exit code 0, the reason in the service's words, and no point spent on it."""
    ended = cli("demo", clip(3))

    assert ended.code == 0
    assert "No caption: " in ended.out
    assert "between 20 and 300" in ended.out


def test_demo_writes_one_json_document(cli, clip):
    """The second run needs no indexing, and everything is in it."""
    document = cli("demo", clip(3), "--json").json

    assert document["search"]["best_holds_frame"] is True
    assert document["caption"]["refusal"].endswith("between 20 and 300.")
    assert document["caption"]["points"] == 0
    assert len(document["embedding"]["embedding"]) == 1024
    assert document["account"] == {"requests": 3, "points_spent": 2, "points": 999_998}


def test_demo_writes_a_page(cli, clip, tmp_path):
    """--report shows the search with its picture, its clips, and the caption that came by callback."""
    pytest.importorskip("jinja2", reason="a report needs Jinja2")
    out = tmp_path / "demo.html"

    ended = cli("demo", clip(21), "--report", out)

    page = out.read_text(encoding="utf-8")
    assert ended.code == 0, ended.err
    assert str(out) in "".join(ended.out.split())
    assert 'src="data:video/mp4;base64,' in page
    assert "The picture that was searched for" in page
    assert "[local facts, no vision model]" in page


def test_a_page_without_a_folder_is_refused_before_the_demo(cli, clip, tmp_path, monkeypatch):
    """The option is named; a disk that is full later is told, too."""
    pytest.importorskip("jinja2", reason="a report needs Jinja2")

    def fail(*_):
        raise OSError("full")

    early = cli("demo", clip(3), "--report", tmp_path / "none" / "demo.html")
    monkeypatch.setattr("memories_async.report.Report.write", fail)
    late = cli("demo", clip(3), "--report", tmp_path / "demo.html")

    assert early.code == late.code == 2
    assert "--report: there is no folder" in early.err
    assert "--report: full" in late.err


def test_a_file_that_is_no_video_is_a_usage_error(cli, film):
    """In one line, with the engine's reason."""
    ended = cli("demo", film)

    assert ended.code == 2
    assert "holiday.mp4: the file is no video" in ended.err


def test_an_unwritable_cache_folder_is_reported(cli, film, monkeypatch, tmp_path):
    """The cache is a file: one line, no traceback."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("MEMORIES_CACHE", str(tmp_path / "file"))

    ended = cli("demo", film)

    assert ended.code == 2
    assert "Not a directory" in ended.err


def test_the_demo_has_its_own_cache_folder(monkeypatch, tmp_path):
    """As the system's conventions have it."""
    from memories_async.cli._local import cache_folder

    monkeypatch.delenv("MEMORIES_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "memories_async"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "memories_async"


def test_a_film_is_rendered_once(tmp_path, monkeypatch):
    """The next demonstration starts at once."""
    from memories_async.cli import samples

    monkeypatch.setattr(samples, "_SECONDS", 0.5)

    first = samples.render_film(tmp_path)
    written = first.stat().st_mtime_ns

    assert samples.render_film(tmp_path).stat().st_mtime_ns == written
    assert [*tmp_path.iterdir()] == [first]


def test_a_frame_is_cut_at_the_requested_time(clip, tmp_path):
    """To the frame, and the only frame of a film is good enough."""
    from memories_async.cli.samples import read_frame, write_picture

    assert read_frame(clip(3), at=1.5).time == pytest.approx(1.5, abs=0.05)
    assert read_frame(clip(0.1, "tiny.mp4"), at=9).time == 0
    with pytest.raises(OSError, match="cannot be written"):
        write_picture(tmp_path / "gone" / "a.png", read_frame(clip(3), at=1.5).picture)


@pytest.mark.parametrize(
    ("clips", "told"),
    [
        ((), "No clip was found: the search missed the picture."),
        (((0, 4),), "The best clip has the frame at 2.00 s."),
        (((0, 10),), "but it is the whole video, which proves little."),
        (((5, 6), (1, 3)), "does not have the frame at 2.00 s; clip 2 has it."),
        (((5, 6),), "does not have the frame at 2.00 s; no other clip has it."),
    ],
)
def test_the_verdict_states_whether_the_clip_has_the_frame(scene, clips, told):
    """Also where it is not what one would like to show."""
    from memories_async.cli._demo_report import judge_clips

    found = tuple(Clip(start_time=start, end_time=end, score=0.9) for start, end in clips)

    assert told in judge_clips(found, scene)


@pytest.fixture
def scene():
    """A video of ten seconds, and a frame cut at two."""
    from memories_async.cli._demo_report import DemoVideo
    from memories_async.local import LocalVideo
    from memories_async.local.engine.protocol import Facts, Shot

    facts = Facts(
        duration=10, width=8, height=8, fps=25, frames=250, shots=(Shot(start_time=0, end_time=10),)
    )
    return DemoVideo(
        video=LocalVideo(path=Path("v.mp4"), video_no="VI1", asset_id="re_1"),
        facts=facts,
        picture=Path("p.jpg"),
        time=2.0,
        indexed=0.1,
    )


def test_refusals_of_every_step_are_shown(scene, capsys):
    """No step may break the others."""
    from memories_async import Caption, Tokens
    from memories_async.cli import _demo_report as show
    from memories_async.cli._demo_report import Step
    from memories_async.cli._screen import Screen

    many = tuple(Clip(start_time=n, end_time=n + 1, score=0.5) for n in range(9))
    screen = Screen()
    show.show_search(screen, Step(call="clips.search", seconds=0, points=0, refusal="No."), scene)
    show.show_search(screen, Step(call="clips.search", seconds=0, points=1, answer=many), scene)
    show.show_embedding(screen, Step(call="embeddings.video", seconds=0, points=0, refusal="No."))
    caption = Step(call="captions.upload_file", seconds=0, points=1, answer=Caption(text="A dog."))
    show.show_caption(screen, caption)

    shown = capsys.readouterr().out
    assert "No embedding: No." in shown
    assert "and 4 more" in shown
    assert "   A dog.\n" in shown
    assert "tokens" not in shown

    tokens = Tokens(input=1_000, output=2, total=1_002)
    show.show_caption(screen, evolve(caption, answer=Caption(text="A dog.", tokens=tokens)))
    assert "1,000 tokens read, 2 written" in capsys.readouterr().out


def test_a_video_too_large_is_refused_by_the_client(cli, clip, monkeypatch):
    """Before it is sent; the others go on."""
    from memories_async.cli import demo

    def refuse(*_, **__):
        raise ValueError("video must be at most 20,971,520 bytes, not 21,000,000")

    monkeypatch.setattr(demo.Demo, "caption", refuse)

    ended = cli("demo", clip(3))

    assert ended.code == 0
    assert "not sent: video must be at most" in ended.out


@pytest.mark.slow
@pytest.mark.skipif(not VIDEOS.is_dir(), reason=f"no clips at {VIDEOS}")
@pytest.mark.parametrize("name", ["nasa_13013.mp4", "flower.mp4", "car-detection.mp4"])
def test_works_on_real_footage(start, name):
    """Where the frame was cut, the best clip is."""
    out, _ = start("demo", VIDEOS / name, "--json").communicate()

    document = json.loads(out)
    assert document["search"]["best_holds_frame"] is True
    assert document["embedding"]["refusal"] is None
    assert (document["caption"]["refusal"] is None) == (document["video"]["duration"] > 20)
