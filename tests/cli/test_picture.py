"""search --picture: the answer drawn, with everything that could go wrong told before it is paid."""

from __future__ import annotations

import json

import pytest
from attrs import evolve

from memories_async import Clip

cv2 = pytest.importorskip("cv2")
np = pytest.importorskip("numpy")

from memories_async.cli import _canvas, _picture  # noqa: E402
from memories_async.cli._stills import take_stills  # noqa: E402
from memories_async.local import LocalService  # noqa: E402
from memories_async.local.engine.fixed import FixedEngine  # noqa: E402

SECONDS, RATE = 12, 10
COLOURS = ((200, 40, 40), (40, 200, 40), (40, 40, 200))
"""One for each third of the film."""
SEARCH = ("--prompt", "focus on the red shirt")


@pytest.fixture
def film(tmp_path):
    """A film of three colours, four seconds each."""
    path = tmp_path / "colours.mp4"
    out = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), RATE, (160, 90))
    for at in range(SECONDS * RATE):
        out.write(np.full((90, 160, 3), COLOURS[at * 3 // (SECONDS * RATE)], np.uint8))
    out.release()
    return path


@pytest.fixture
def picture(tmp_path):
    """A query that is taller than wide."""
    path = tmp_path / "query.png"
    cv2.imwrite(str(path), np.full((80, 40, 3), (10, 200, 200), np.uint8))
    return path


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


def near(pixel, colour):
    """Whether two colours are alike, as video leaves them."""
    return bool(np.abs(np.array(pixel, int) - colour).max() < 25)


def clip(start, end, score):
    return Clip(start_time=start, end_time=end, score=score)


@pytest.fixture
def drawn(film, picture, tmp_path):
    """Draw clips, and give the pixels."""

    def drawn(*clips, prompt="red"):
        out = tmp_path / "out.png"
        asked = _picture.AnsweredSearch(image=picture, prompt=prompt, video=film, clips=clips)
        _picture.draw_search(asked, out)
        return cv2.imread(str(out))

    return drawn


def test_search_draws_its_answer(cli, film, picture, video, tmp_path):
    """The table is shown, too; the embedded service names the video's file."""
    out = tmp_path / "found.png"

    ended = cli("search", picture, "--video-no", video.video_no, *SEARCH, "--picture", out)

    assert ended.code == 0
    assert "9.00" in ended.out
    assert f"picture written to {out}" in ended.err
    assert cv2.imread(str(out)).shape[1] == 1600


def test_search_draws_from_the_named_file(cli, film, picture, service, tmp_path):
    """The real service does not name a file on this machine."""
    out, copy = tmp_path / "found.jpg", tmp_path / "copy.mp4"
    copy.write_bytes(film.read_bytes())
    number = service.library[0].video_no
    words = ("search", picture, "--video-no", number, *SEARCH, "--picture", out, "--json")

    ended = cli(*words, "--video", copy)

    assert len(ended.json["clips"]) == 3
    assert out.read_bytes().startswith(b"\xff\xd8")


def test_the_picture_shows_the_frames_that_matched(drawn):
    """The best first, each from the middle of its clip; the strip in full colour there alone."""
    sheet = drawn(clip(5.0, 6.0, 0.5), clip(9.0, 11.0, 0.9))
    left, top, width, height = _picture._STRIP
    middle = top + height // 2

    assert near(sheet[_picture._CARDS + 100, left + 150], COLOURS[2])
    assert near(sheet[_picture._CARDS + 100, left + 150 + _picture._CARD], COLOURS[1])
    assert near(sheet[middle, left + width * 10 // 12], COLOURS[2])
    assert not near(sheet[middle, left + width * 2 // 12], COLOURS[0])


@pytest.mark.parametrize("wanted", [0, 1, 2])
def test_the_frame_of_a_clip_is_the_one_most_like_the_query(film, wanted):
    """It is not always the middle frame."""
    image = np.full((90, 160, 3), COLOURS[wanted], np.uint8)

    found = take_stills(film, ((0.0, 12.0), (4.5, 7.5)), image)

    assert near(found.frames[0][40, 40], COLOURS[wanted])
    assert near(found.frames[1][40, 40], COLOURS[1])


def test_a_file_that_is_not_the_video_is_refused(cli, picture, service, tmp_path):
    """By its length, before the search is charged; the question for it is free."""
    other = tmp_path / "other.mp4"
    out = cv2.VideoWriter(str(other), cv2.VideoWriter.fourcc(*"mp4v"), RATE, (160, 90))
    for _ in range(5 * RATE):
        out.write(np.zeros((90, 160, 3), np.uint8))
    out.release()
    number = service.library[0].video_no
    words = ("search", picture, "--video-no", number, *SEARCH)
    cli(*words)  # the embedded service knows the length of what it has indexed

    ended = cli(*words, "--picture", tmp_path / "o.png", "--video", other)

    assert ended.code == 2
    assert f"--video other.mp4 is not {number}: it is 5.0 s long, and {number} 12.0 s" in ended.err
    assert service.account.paid == 1


def test_a_bar_is_as_high_as_its_score(drawn):
    """The bar is as wide as the clip is long."""
    sheet = drawn(clip(9.0, 11.0, 0.9), clip(5.0, 6.0, 0.5))
    left, top, width, height = _picture._CHART
    across = left + width * 19 // 24
    coloured = [not near(row, (255, 255, 255)) for row in sheet[top + 4 : top + height, across]]

    assert abs(sum(coloured) - 0.9 * height) <= 6


@pytest.mark.parametrize("count", [0, 1, 9])
def test_the_sheet_grows_with_what_was_found(drawn, count):
    """Nothing found is drawn too, and of many clips the best eight."""
    sheet = drawn(*(clip(at, at + 0.5, 0.5) for at in range(count)))
    rows = {0: 0, 1: 1, 9: 2}[count]

    tall = round(_picture._CARD * 90 / 160) + _picture._CAPTION
    assert sheet.shape[0] == _picture._CARDS + rows * tall + 24


def test_clips_beyond_the_end_are_drawn_at_the_end(drawn):
    """The service's times may exceed the file's length."""
    left, top, width, _ = _picture._STRIP
    sheet = drawn(clip(50.0, 60.0, 7.0), clip(-3.0, -1.0, -1.0))

    assert near(sheet[top + 2, left + width - 4], _picture._BEST)
    assert near(sheet[top + 2, left + 4], _picture._OTHER)


@pytest.mark.parametrize("prompt", ["red " * 12, "red " * 400, "das rote Hemd\nÄÖÜ", "\N{SNOWMAN}"])
@pytest.mark.parametrize("fonts", [True, False])
def test_any_prompt_can_be_written(drawn, monkeypatch, prompt, fonts):
    """Length, script and the version of OpenCV do not matter."""
    if not fonts:
        monkeypatch.delattr(cv2, "FontFace", raising=False)
    sheet = drawn(prompt=prompt)

    assert (sheet[110:150, 215 : -_picture._EDGE] < 100).any()
    assert (sheet[:340, -_picture._EDGE + 2 :] == 255).all()


def test_text_that_is_too_long_is_cut():
    """The text ends with dots and fits into its space."""
    short = _canvas.shorten("a long sentence " * 9, 200, size=20)

    assert short.endswith("...")
    assert 150 < _canvas.measure(short, size=20) <= 200


def test_stills_cover_a_film_of_unknown_length(film):
    """Evenly, with a bounded number of them."""
    image = np.full((90, 160, 3), COLOURS[0], np.uint8)
    found = take_stills(film, ((10.0, 10.0), (1.0, 1.0), (99.0, 99.0)), image)

    assert 32 <= len(found.overview) < 64
    assert found.duration == pytest.approx(SECONDS, abs=0.2)
    for time, colour in ((1, 0), (6, 1), (11, 2), (12, 2)):
        assert near(found.at(time)[40, 40], COLOURS[colour])
    assert [near(one[40, 40], COLOURS[at]) for one, at in zip(found.frames, (2, 0, 2), strict=True)]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00"), (9.96, "0:10"), (61.25, "1:01.2"), (3600, "1:00:00"), (3725.5, "1:02:05.5")],
)
def test_times_are_written_as_minutes_and_seconds(seconds, text):
    """Tenths where there are any."""
    assert _picture.format_time(seconds) == text


@pytest.mark.parametrize(
    ("out", "told"),
    [
        ("found.gif", "--picture must name a .png or .jpg file, not found.gif"),
        ("nowhere/found.png", "--picture: there is no folder"),
    ],
)
def test_a_wrong_target_costs_nothing(cli, picture, video, service, tmp_path, out, told):  # noqa: PLR0917
    """The error is reported before the search is sent."""
    words = ("search", picture, "--video-no", video.video_no, *SEARCH)

    ended = cli(*words, "--picture", tmp_path / out)

    assert ended.code == 2
    assert told in ended.err
    assert service.account.calls == 0


def test_a_video_that_cannot_be_read_costs_nothing(cli, picture, service, tmp_path):
    """Nor does a picture that cannot be decoded."""
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no film")
    words = ("search", picture, "--video-no", "VI1", *SEARCH, "--picture", tmp_path / "o.png")

    ended = cli(*words, "--video", broken)

    assert ended.code == 2
    assert "--picture cannot be drawn: the file is no video" in ended.err
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
    out = tmp_path / "found.png"
    out.symlink_to(tmp_path / "gone" / "found.png")
    words = ("search", picture, "--video-no", video.video_no, *SEARCH, "--json")

    ended = cli(*words, "--picture", out)

    assert ended.code == 5
    assert len(json.loads(ended.out)["clips"]) == 3
    assert "the picture could not be drawn: " in ended.err


def test_the_service_lists_where_its_videos_are(film):
    """For programs on the same machine."""
    import urllib.request

    with LocalService([film], engine=FixedEngine()) as service:
        listed = json.load(urllib.request.urlopen(f"{service.url}/_local/library"))

    assert listed[0]["path"] == str(film.resolve())
