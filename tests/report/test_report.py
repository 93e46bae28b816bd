"""The page of a ledger: what is on it, what hostile text becomes, how large it is, what it loads."""

from __future__ import annotations

import re
from base64 import b64decode
from html.parser import HTMLParser

import pytest

pytest.importorskip("jinja2", reason="a report needs Jinja2")
pytest.importorskip("av", reason="a report needs PyAV")
pytest.importorskip("numpy", reason="a report needs numpy")

import reports

from memories_async import Caption, Clip
from memories_async.report import Report, index_media
from memories_async.report._content import MOST_CAPTIONS, MOST_SEARCHES, MOST_UNKNOWN
from memories_async.report._map import MOST_DOTS, RADIUS, spread
from memories_async.report._page import format_span
from memories_async.report._report import MAX_PAGE
from memories_async.report._timeline import build_ticks, format_time, place_clips

VOID = {"meta", "img", "link", "br", "rect", "circle", "path", "input", "image", "line"}


class Page(HTMLParser):
    """A page as a browser reads it: elements with attributes, text, ids."""

    def __init__(self, html) -> None:
        super().__init__()
        self.elements, self.open, self.text = [], [], []
        self.feed(html)
        self.close()
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] not in {"script", "style"}:
            self.text.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def words(self):
        return " ".join(" ".join(self.text).split())


@pytest.fixture
def film(tmp_path):
    """A film of six seconds."""
    return reports.make_film(tmp_path / "film.mp4")


@pytest.fixture
def picture(tmp_path):
    """A query picture."""
    import av
    import numpy as np

    path = tmp_path / "query.jpg"
    with av.open(str(path), "w", format="mjpeg") as out:
        stream = out.add_stream("mjpeg", rate=1)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        pixels = np.full((48, 64, 3), (10, 200, 200), np.uint8)
        out.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        out.mux(stream.encode(None))
    return path


@pytest.fixture
def ledger(tmp_path):
    """Write a ledger of some rows."""
    return lambda *rows: reports.write_ledger(tmp_path / "run.db", rows)


def test_a_search_has_its_picture_a_timeline_and_clips_that_play(ledger, film, picture) -> None:
    """Each clip is a bar at its time that leads to a video at its second; the best comes first."""
    media = {"VI1": film, reports.hash_file(picture): picture}
    clips = ((0.0, 1.0, 0.4), (3.0, 4.5, 0.9))
    row = reports.search(image=reports.hash_file(picture), clips=clips)

    page = Page(Report(ledger(row), media=media).render(film.parent))

    assert "the red car" in page.words
    assert "the red car film.mp4 · 0:06 · 2 clips VI1" in page.words
    videos = page.all("video")
    assert [one["src"] for one in videos] == ["film.mp4#t=3.000,4.500", "film.mp4#t=0.000,1.000"]
    assert all("controls" in one and one["poster"].startswith("data:image/jpeg") for one in videos)
    bars = [one for one in page.all("rect") if one["class"] == "bar"]
    assert [(one["x"], one["width"], one["height"]) for one in bars] == [
        ("0.0%", "16.67%", "38.4"),
        ("50.0%", "25.0%", "86.4"),
    ]
    links = [one for one in page.all("a") if one["href"].startswith("#s0-")]
    assert [one["aria-label"][:9] for one in links] == ["Play 0:00", "Play 0:03"]
    assert "The picture that was searched for" in [one["alt"] for one in page.all("img")]
    strip = [one for one in page.all("image") if one["href"].startswith("data:image/jpeg")]
    assert len(strip) == 10


def test_stills_show_the_second_of_their_clip(film) -> None:
    """A still at one second has the colour that the film has then, whatever the order of the times."""
    import av
    import numpy as np

    from memories_async.report._pictures import Pictures

    stills = Pictures().take_stills(film, [5.0, 1.0, 3.0], width=80)

    for still, channel in zip(stills, (2, 0, 1), strict=True):
        from io import BytesIO

        with av.open(BytesIO(b64decode(still.partition(",")[2]))) as image:
            pixels = next(image.decode(video=0)).to_ndarray(format="rgb24")
        assert int(np.argmax(pixels.mean(axis=(0, 1)))) == channel


def test_the_still_of_a_clip_looks_like_the_query(film, tmp_path) -> None:
    """Of five frames; the middle one where nothing can be compared, or where many searches are shown."""
    from memories_async.report import _page
    from memories_async.report._pictures import Pictures

    (still,) = Pictures().take_stills(film, [5.7], width=320)
    image = b64decode(still.partition(",")[2])
    spans = [(0.0, 6.0), (0.0, 2.0), (1.0, 1.0)]

    assert Pictures().choose_times(film, spans, image) == [5.4, 1.8, 1.0]
    assert Pictures().choose_times(film, spans, b"no picture") == [3.0, 1.0, 1.0]
    assert Pictures().choose_times(tmp_path / "gone.mp4", spans, image) == [3.0, 1.0, 1.0]
    for count, chosen in ((_page._FEW, True), (_page._FEW + 1, False)):
        rows = [reports.search(clips=[(0.0, 6.0, 0.9)], image="ab") for _ in range(count)]
        (tmp_path / "q.jpg").write_bytes(image)
        with reports.write_ledger(tmp_path / f"{count}.db", rows) as made:
            page = Page(Report(made, media={"VI1": film, "ab": tmp_path / "q.jpg"}).render())
        poster = page.all("video")[0]["poster"]
        assert (poster == Pictures().take_stills(film, [5.4], width=320)[0]) == chosen


def test_embedded_clips_are_in_the_page(ledger, film) -> None:
    """With embed_clips nothing refers to a file, and a clip begins at 0."""
    report = Report(ledger(reports.search()), media={"VI1": film}, embed_clips=True)

    page = Page(report.render())

    (video,) = page.all("video")
    assert video["src"].startswith("data:video/mp4;base64,")
    assert "film.mp4#" not in report.render()
    (card,) = [one for one in page.all("li") if "data-start" in one]
    assert (card["data-start"], card["data-end"]) == ("0.0", "1.0")


def test_hostile_text_is_text(ledger, tmp_path) -> None:
    """Markup, templates, bidi marks and terminal codes do nothing in any field."""
    bad = reports.HOSTILE
    film = reports.make_film(tmp_path / "<b>&\u202ex.mp4")
    rows = [
        reports.search(video=bad, prompt=bad, item=bad),
        reports.search(video="VI1", prompt="plain"),
        reports.caption(bad, prompt=bad, source=bad, persons=[bad], item=bad),
        reports.embedding(bad, [1, 0], item=bad),
        reports.embedding("re_2", [1, 0.01], item=bad),
        {"call": bad, "asked": {}, "state": "unknown", "message": bad, "item": bad},
    ]

    html = Report(ledger(*rows), media={"VI1": film}, title=bad).render(tmp_path)

    page = Page(html)
    assert "onerror" not in {name for _, attributes in page.elements for name in attributes}
    assert len(page.all("script")) == 1
    assert "b" not in {tag for tag, _ in page.elements}
    assert "49" not in page.words.partition("Made by")[2]
    assert '<img src=x onerror="alert(1)">&{{ 7 * 7 }}</script>' in page.words
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00-\x08\x0b-\x1f\x7f-\x9f]", html)
    assert page.all("video")[0]["src"].startswith("%3Cb%3E%26%E2%80%AEx.mp4#t=")


def test_the_policy_allows_the_own_script_and_nothing_else(ledger) -> None:
    """Script and style run by their hashes; no element loads anything from elsewhere."""
    import hashlib
    from base64 import b64encode

    html = Report(ledger(reports.search(), reports.caption())).render()

    page = Page(html)
    policy = next(
        one["content"]
        for one in page.all("meta")
        if one.get("http-equiv", "").startswith("Content")
    )
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        inside = re.search(f"<{tag}>(.*?)</{tag}>", html, re.DOTALL)[1]
        digest = b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert not any("style" in one or "onclick" in one for _, one in page.elements)
    assert not re.search(r"(src|href)=\"?(https?:)?//", html)


def test_captions_show_text_persons_and_tokens(ledger, film) -> None:
    """A caption in the reply, one that came by callback, and one that is not known."""
    task = {"call": "captions.upload", "asked": {"video_url": "http://v/x.mp4"}}
    rows = [
        reports.caption("A red car.", persons=["Alice", "Bob"], source=reports.hash_file(film)),
        {**task, "data": {"task_id": "t1"}},
        {**task, "data": {"task_id": "t2"}},
    ]

    media = index_media([film])
    html = Report(
        ledger(*rows), media=media, captions={"t1": Caption(text="By callback.")}
    ).render()

    words = Page(html).words
    assert "A red car. film.mp4 · 3 tokens · persons looked for: Alice, Bob" in words
    assert "By callback." in words
    assert "Submitted as task t2; its caption came by callback" in words
    assert "Still of film.mp4" in html


def test_the_table_of_calls_has_the_states_that_occur(ledger) -> None:
    """So that it is not wider than needed."""
    row = {"call": "clips.search", "asked": {}, "state": "refused", "message": "no"}

    assert (
        "call done refused clips.search 1 1"
        in Page(Report(ledger(row, reports.search())).render()).words
    )


def test_unknown_outcomes_say_what_to_do(ledger) -> None:
    """Key, call and reason of each, and the commands that settle it."""
    row = {"call": "clips.search", "asked": {}, "state": "unknown", "message": "reply lost"}
    made = ledger(row, reports.search())

    words = Page(Report(made).render()).words

    assert made.unknown()[0].key[:12] in words
    assert "reply lost" in words
    assert "ledger settle LEDGER KEY --paid" in words


def test_the_map_has_a_dot_and_an_entry_for_each_embedding(ledger, film) -> None:
    """Dots lead to entries with the nearest neighbours; groups of near ones are side by side."""
    rows = reports.embeddings(12, groups=3)

    page = Page(Report(ledger(*rows), media={"re_0": film}).render())

    ids = [one["id"] for one in page.all("details")]
    dots = [one["href"][1:] for one in page.all("a") if one["href"].startswith("#v")]
    assert ids == [f"v{at}" for at in range(12)]
    assert set(ids) == set(dots)
    assert "4 videos, the nearest two at" in page.words
    assert "3 groups" not in page.words
    assert len(page.all("circle")) == 12


def test_progress_counts_what_is_drawn(ledger, film) -> None:
    """Searches, captions and embeddings, up to their number."""
    seen, vectors = [], reports.embeddings(3, groups=2)
    found = ledger(reports.search(), reports.caption(), *vectors)
    Report(found, media={"VI1": film}).render(
        progress=lambda done, count: seen.append((done, count))
    )

    (count,) = {count for _, count in seen}
    assert count == 5
    assert [done for done, _ in seen[:count]] == [1, 2, 3, 4, 5]
    assert seen[-1] == (5, 5)


def test_no_dot_lies_under_another() -> None:
    """Equal points become dots that do not touch, at the same place each time."""
    points = [(0.0, 0.0)] * 200 + [(1.0, at / 100) for at in range(100)]

    placed = spread(points)

    assert placed == spread(points)
    for at, (x, y) in enumerate(placed):
        for other_x, other_y in placed[at + 1 :]:
            assert (x - other_x) ** 2 + (y - other_y) ** 2 > (2 * RADIUS) ** 2
    assert spread([]) == []
    with pytest.raises(ValueError, match="at most"):
        spread([(0.0, 0.0)] * 5000)


def test_vectors_that_cannot_be_compared_become_a_note(ledger) -> None:
    """The rest of the page is there."""
    rows = [reports.embedding("a", [1.0, 0.0]), reports.embedding("b", [1.0, 0.0, 0.0])]

    words = Page(Report(ledger(*rows)).render()).words

    assert "There is no map:" in words
    assert "paid calls 2" in words


def test_ten_thousand_items_are_cut_and_counted(ledger) -> None:
    """The page says how many there are, shows the newest, and stays under 5 MB."""
    rows = [
        *(reports.search(prompt=f"number {at} {'x' * 9000}") for at in range(3000)),
        *(reports.caption("y" * 50_000) for _ in range(3000)),
        *(
            {"call": "c", "asked": {}, "state": "unknown", "message": "&" * 9000}
            for _ in range(2000)
        ),
        *reports.embeddings(2000, groups=50),
    ]

    html = Report(ledger(*rows)).render()

    words = Page(html).words
    assert len(html.encode()) <= MAX_PAGE
    assert f"The newest {MOST_SEARCHES} of 3,000 searches are shown." in words
    assert f"The newest {MOST_CAPTIONS} of 3,000 captions are shown." in words
    assert f"The newest {MOST_UNKNOWN} of 2,000 are shown." in words
    assert f"The first {MOST_DOTS} of 2,000 embeddings are shown." in words
    assert "The largest 30 of 50 groups are shown." in words
    assert "number 2999" in words
    assert "number 2959" not in words


def test_pictures_end_with_their_room(ledger, film, monkeypatch) -> None:
    """What has no room is left out, which the page says."""
    from memories_async.report import _pictures, _report

    monkeypatch.setattr(_report, "PICTURE_BYTES", 3000)
    monkeypatch.setattr(_pictures.Pictures.__init__, "__defaults__", (320, 3000, -1))

    page = Page(Report(ledger(reports.search()), media={"VI1": film}, embed_clips=True).render())

    assert "pictures or clips are left out" in page.words
    assert not page.all("video")


def test_files_that_are_no_pictures_and_videos_are_named(ledger, tmp_path) -> None:
    """The page is written all the same."""
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    media = {"VI1": tmp_path / "bad.mp4", "00": tmp_path / "gone.png"}

    words = Page(Report(ledger(reports.search()), media=media).render()).words

    assert "could not be decoded: bad.mp4, gone.png." in words
    assert "The file bad.mp4 cannot be read: no stills, nothing to play." in words


def test_what_cannot_be_cut_or_decoded_is_empty(film, tmp_path) -> None:
    """A clip or still of a file that is no video is an empty string."""
    from memories_async.report._pictures import Pictures

    pictures = Pictures()
    (tmp_path / "bad.mp4").write_bytes(b"no video")

    assert not pictures.cut(tmp_path / "bad.mp4", 0.0, 1.0)
    assert pictures.take_stills(tmp_path / "bad.mp4", [1.0], width=80) == [""]
    assert pictures.unreadable == {"bad.mp4"}


def test_replies_with_other_fields_are_passed_over(ledger) -> None:
    """A clip without times is no clip, and one that is not finite neither."""
    row = reports.search()
    row["data"] = [{"start_time": "x"}, {}, {"start_time": 1, "end_time": 2, "score": "NaN"}]

    words = Page(Report(ledger(row)).render()).words

    assert "No clip matches." in words


def test_one_search_without_a_ledger(picture, film) -> None:
    """The page of an answer has the search and no calls."""
    clips = [Clip(start_time=1.0, end_time=2.0, score=0.5)]

    report = Report.of_search(picture, prompt="red", video_no="VI9", clips=clips, video=film)

    page = Page(report.render())
    assert "Search in film.mp4" in page.words
    assert "paid calls" not in page.words
    assert page.all("video")[0]["src"].startswith("file:///")


def test_a_page_is_private_and_whole(ledger, tmp_path) -> None:
    """It is readable by its owner only, replaces an older one, and leaves no draft."""
    out = tmp_path / "out" / "page.html"
    out.parent.mkdir()
    out.write_text("older")
    report = Report(ledger(reports.search()))

    assert report.write(out) == out

    assert "the red car" in out.read_text(encoding="utf-8")
    assert out.stat().st_mode & 0o077 == 0
    with pytest.raises(OSError, match="page"):
        report.write(out / "page.html")
    out.unlink()
    out.mkdir()
    (out / "x").touch()
    with pytest.raises(OSError, match="page"):
        report.write(out)
    assert [one.name for one in out.parent.iterdir()] == ["page.html"]


def test_media_are_found_by_name_and_content(film) -> None:
    """A file has three keys, also in a folder below; what is missing is an error."""
    below = film.parent / "below"
    below.mkdir()
    (below / "note.txt").write_text("no film")
    moved = film.rename(below / "VI7.mp4")

    assert index_media([film.parent]) == dict.fromkeys(
        ("VI7.mp4", "VI7", reports.hash_file(moved)), moved
    )
    assert index_media([moved])["VI7"] == moved
    with pytest.raises(ValueError, match="neither a file nor a folder"):
        index_media([film.parent / "none"])


def test_a_video_without_a_file_has_its_best_name(ledger) -> None:
    """That of its upload, by id or by content, its URL, its item, its id; and how to give the file."""
    content = "ab" * 20
    upload = {"call": "videos.upload", "asked": [["file", ["blake2b", content]]]}
    url = {"call": "videos.upload_url", "asked": {"url": "http://x.example/city.m3u8"}}
    rows = [
        {**upload, "data": {"videoNo": "VI1", "videoName": "noon.mp4"}},
        {**upload, "call": "assets.upload", "data": {"asset_id": "re_1"}},
        {**url, "data": {"videoNo": "VI2"}},
        reports.search(video="VI1"),
        reports.search(video="VI2"),
        reports.search(video="VI3", item="row 3"),
        reports.caption("By content.", source=content),
        reports.caption("By hash.", source="cd" * 20),
        reports.embedding("re_1", [1, 0]),
    ]

    words = Page(Report(ledger(*rows)).render()).words

    assert "No file was found for 4 videos: no stills, nothing to play." in words
    assert "Give the folder of videos and query pictures with --videos DIR" in words
    for name in ("noon.mp4", "http://x.example/city.m3u8", "VI3"):
        assert f"No file was found for {name}: no stills, nothing to play." in words
    assert "By content. noon.mp4 · 3 tokens" in words
    assert "By hash. the content with the hash cdcdcdcdcdcd · 3 tokens" in words
    assert "Choose a dot or an entry to see its nearest neighbours. noon.mp4 noon.mp4 re_1" in words


def test_an_upload_finds_its_file_by_content(ledger, film) -> None:
    """So a search in what the ledger's own upload added has stills without a mapping."""
    asked = [["file", ["blake2b", reports.hash_file(film)]]]
    moved = film.rename(film.parent / "renamed.mp4")
    rows = [
        {"call": "videos.upload", "asked": asked, "data": {"videoNo": "VI1"}},
        {"call": "assets.upload", "asked": asked, "data": {"asset_id": "re_1"}},
        reports.search(video="VI1"),
        reports.embedding("re_1", [1, 0]),
    ]

    page = Page(Report(ledger(*rows), media=index_media([moved])).render())

    assert len(page.all("video")) == 1
    assert "No file was found" not in page.words
    assert "renamed.mp4" in page.words.partition("Map of embeddings")[2]


def test_a_long_name_is_cut_in_its_middle(ledger) -> None:
    """So begin and suffix of a file's name are seen."""
    long = f"{'long' * 50}.mp4"
    row = {"call": "videos.upload", "asked": [], "data": {"videoNo": "VI1", "videoName": long}}

    words = Page(Report(ledger(row, reports.search())).render()).words

    assert long not in words
    assert re.search(r" (long){10,}\S*…\S*longlong\.mp4 ", words)


@pytest.mark.parametrize(
    ("codec", "name", "told"),
    [
        ("libx264", "film.mp4", None),
        ("mpeg4", "film.mp4", "do not play video in MPEG-4 part 2"),
        ("libx264", "film.mkv", "do not play Matroska (MKV) files"),
        ("libx264", "film.ts", "do not play files in the format mpegts"),
        ("libx264-yuv444p", "film.mp4", "do not play H.264 video with pixels in yuv444p"),
    ],
    ids=["h264", "mpeg4", "mkv", "ts", "yuv444p"],
)
def test_a_file_that_browsers_do_not_play_is_told(ledger, tmp_path, codec, name, told) -> None:
    """With the remedy; a page that carries the clips says nothing of it."""
    codec, _, pixels = codec.partition("-")
    film = reports.make_film(tmp_path / name, seconds=3, codec=codec, pixels=pixels or "yuv420p")
    made = ledger(reports.search())

    linked = Page(Report(made, media={"VI1": film}).render()).words
    inside = Page(Report(made, media={"VI1": film}, embed_clips=True).render()).words

    assert (f"Most browsers {told}. If the clips do not play" in linked) == (told is not None)
    assert "Most browsers" not in inside


def test_a_number_is_shown_where_no_better_clip_covers_it() -> None:
    """Nor where its bar is too narrow, or too low."""
    spans = [(0, 10, 0.9), (2, 14, 0.8), (8, 30, 0.7), (40, 41, 0.6), (50, 60, 0.1), (70, 80, 0.5)]
    clips = [Clip(start_time=a, end_time=b, score=score) for a, b, score in spans]

    views = place_clips("s0", clips, 100.0)

    assert [one.number for one in views] == [5.0, None, 19.0, None, None, 75.0]


@pytest.mark.parametrize(
    ("duration", "labels"),
    [
        (5.0, ["0:00", "0:01", "0:02", "0:03", "0:04", "0:05"]),
        (13.1, ["0:00", "0:05", "0:10"]),
        (5400.0, ["0:00", "15:00", "30:00", "45:00", "1:00:00", "1:15:00", "1:30:00"]),
        (
            604_800.0,
            ["0:00", "28:00:00", "56:00:00", "84:00:00", "112:00:00", "140:00:00", "168:00:00"],
        ),
    ],
    ids=["seconds", "odd", "hours", "week"],
)
def test_ticks_are_round_times(duration, labels) -> None:
    """At most seven; the first and the last stay inside the timeline."""
    ticks = build_ticks(duration)

    assert [one.label for one in ticks] == labels
    assert ticks[0].anchor == "start"
    assert ticks[-1].x <= 100
    assert ticks[-1].anchor == ("end" if ticks[-1].x > 96 else "middle")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00"), (9.96, "0:10"), (61.25, "1:01.2"), (3600, "1:00:00"), (3725.5, "1:02:05.5")],
)
def test_positions_are_clock_times(seconds, text) -> None:
    """Minutes and seconds, with hours and tenths where there are some."""
    assert format_time(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(1.25, "1.2 s"), (180, "3.0 min"), (180_000, "2.1 d")]
)
def test_spans_have_one_unit(seconds, text) -> None:
    """The largest unit of which there are two."""
    assert format_span(seconds) == text
