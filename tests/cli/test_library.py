"""add and videos: from files to numbers, and what is shown where something goes wrong."""

from __future__ import annotations

import json
import signal
import time

import pytest
from click.testing import CliRunner

from memories_async._flows import library
from memories_async.cli._program import program
from memories_async.cli._screen import Screen


@pytest.fixture(autouse=True)
def _haste(monkeypatch):
    """Look often, and upload at once."""
    for wait in (library.wait_for_video, library.wait_for_asset):
        monkeypatch.setitem(wait.__kwdefaults__, "interval", 0.01)
    for family in ("VIDEO_UPLOAD", "VIDEO_METADATA", "ASSET_UPLOAD", "ASSET_METADATA"):
        monkeypatch.setenv(f"MEMORIES_{family}_RATE", "1000")


@pytest.fixture
def new_film(tmp_path):
    """A file that the library does not hold."""
    path = tmp_path / "new.mp4"
    path.write_bytes(b"a film of another minute")
    return path


def test_a_large_file_becomes_an_asset_by_a_signed_url(cli, new_film, service, tmp_path):
    """Once with a ledger; a dry run shows the request for the address."""
    words = ("add", "--asset", "--signed", new_film, "--ledger", tmp_path / "uploads.db")

    dry = cli(*words, "--dry-run", "--json").json
    shown = cli(*words)
    first = cli(*words, "--fresh", "--json").json["added"][0]
    again = cli(*words, "--json").json["added"][0]

    assert shown.err == f"stored: 1 asset for {new_film}, charged by its size and time\n"
    assert (dry["call"], dry["fields"]) == (
        "assets.signed_url",
        {"original_filename": "new.mp4"},
    )
    assert (first["upload_status"], first["charged"]) == ("SUCCESS", False)
    assert again == first
    assert [one.id for one in service.uploads][1:] == [first["asset_id"]]
    assert "--signed goes with --asset" in cli("add", "--signed", new_film).err


def test_what_the_library_holds_is_not_uploaded_again(cli, film, service):
    """Without a ledger, by size and name; `--fresh` uploads it all the same."""
    ended = cli("add", film)

    assert (
        ended.err == f"not charged: {film} was uploaded before, as {service.library[0].video_no}\n"
    )
    assert service.account.paid == 0
    assert cli("add", film, "--fresh").code == 0
    assert service.account.paid == 1


def test_a_file_becomes_a_video(cli, new_film, service):
    """One line for each file: its number first."""
    ended = cli("add", new_film)

    assert (ended.code, ended.err) == (0, f"charged: 1 video for {new_film}\n")
    assert ended.out == f"{service.uploads[0].id}  PARSE  {new_film}\n"


def test_a_file_becomes_an_asset(cli, film, service):
    """For embed."""
    ended = cli("add", "--asset", film, "--json")

    (added,) = ended.json["added"]
    assert (added["file"], added["upload_status"]) == (str(film), "SUCCESS")
    assert added["asset_id"] == service.uploads[0].id
    assert cli("embed", added["asset_id"]).code == 0


def test_several_files_are_one_document(cli, new_film, service, tmp_path):
    """In their order; without waiting, each is what its upload was answered."""
    other = tmp_path / "other.mp4"
    other.write_bytes(b"another new_film")

    added = cli("add", new_film, other, "--no-wait", "--unique-id", "mine", "--json").json["added"]

    assert [one["video_no"] for one in added] == [one.id for one in service.uploads]
    assert [one["status"] for one in added] == ["UNPARSE"] * 2
    assert (
        cli("videos", "list", "--json").json["videos"][0]["video_no"] == service.library[0].video_no
    )
    assert len(cli("videos", "list", "--unique-id", "mine", "--json").json["videos"]) == 3


def test_a_ledger_saves_the_second_upload(cli, film, service, tmp_path):
    """`--fresh` pays for it all the same."""
    ledger = ("--ledger", tmp_path / "uploads.db")

    first, second = (cli("add", film, *ledger) for _ in range(2))
    third = cli("add", film, *ledger, "--json").json["added"][0]

    assert first.out == second.out
    assert first.err == f"charged: 1 video for {film}\n"
    assert second.err == f"not charged: {film} was uploaded before, as {third['video_no']}\n"
    assert third["charged"] is False
    assert service.account.paid == 1
    assert cli("add", film, *ledger, "--fresh").code == 0
    assert service.account.paid == 2


def test_a_video_that_cannot_be_parsed_ends_with_5(cli, new_film, service):
    """With the service's reason."""
    service.faults.add(callback="failure")

    ended = cli("add", new_film)

    assert ended.code == 5
    assert "could not be processed: A failure, asked for by a fault" in ended.err


def test_a_wait_that_times_out_names_the_video(cli, new_film, service):
    """It can be waited for later."""
    service.faults.add(kind="null", route="videos.metadata", times=None)

    ended = cli("add", new_film, "--timeout", "0.05")

    assert ended.code == 5
    assert f"{service.uploads[0].id} is not ready after 0.05 s" in ended.err


@pytest.mark.parametrize("json_wanted", [True, False])
def test_what_was_added_is_shown_also_where_a_later_file_fails(cli, new_film, service, json_wanted):
    """It was paid."""
    service.faults.add(kind="code", code="0402", route="videos.upload", skip=1)

    ended = cli("add", new_film, new_film, "--fresh", *(["--json"] if json_wanted else []))

    assert ended.code == 1
    assert service.uploads[0].id in ended.out
    if json_wanted:
        assert ended.json["error"]["kind"] == "InsufficientCredits"


def test_a_dry_run_uploads_nothing(cli, film, service):
    """And says what it would cost."""
    ended = cli("add", film, "--dry-run")

    assert "1 video if it succeeds" in ended.out
    assert service.account.calls == 0


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["add"], "Missing argument 'FILE...'"),
        (["add", "--asset", "--unique-id", "x", "{film}"], "--unique-id is for videos"),
        (["add", "--asset", "--tag", "x", "--taken", "y", "{film}"], "--tag, --taken: for videos"),
        (["add", "--taken", "noon", "{film}"], "datetime_taken must be a datetime"),
        (["add", "--latitude", "1", "{film}"], "latitude and longitude must be given together"),
        (["add", "--latitude", "91", "--longitude", "1", "{film}"], "latitude must be from -90 to"),
        (["add", "--tag", "", "{film}"], "tags must not be empty"),
        (["add", "{film}", "nowhere.mp4"], "file cannot be read: nowhere.mp4"),
        (["videos", "delete", "VI1", "VI2"], "deleting 2 videos is final: add --yes"),
        (["videos", "delete", "VI1"], "deleting 1 video is final"),
        (["videos", "delete", "--yes", ""], "video_nos must not be empty"),
        (["videos", "download", "VI1"], "Missing option '--to'"),
        (["videos", "download", " ", "--to", "x.mp4"], "video_no must not be empty"),
        (["videos", "download", "VI1", "--to", "{film}"], "add --force to replace it"),
        (["videos", "download", "VI1", "--to", "{film}", "--unique-id", ""], "unique_id must not"),
        (["videos", "wait", " "], "video_no must not be empty"),
        (["videos", "list", "--unique-id", ""], "unique_id must not be empty"),
        (["videos", "list", "--status", "XX"], "'XX' is not one of 'PARSE', 'UNPARSE', 'FAILED'"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_sent(cli, film, service, words, sentence):
    """All files are looked at before the first is paid."""
    ended = cli(*(word.format(film=film) for word in words))

    assert ended.code == 2
    assert sentence in ended.err
    assert service.account.calls == 0


def test_lists_waits_for_and_deletes_videos(cli, new_film, service):
    """A person's table, and a program's document."""
    number = cli("add", new_film, "--no-wait", "--json").json["added"][0]["video_no"]

    assert cli("videos", "wait", number).out == f"{number}  PARSE\n"
    waited = cli("videos", "wait", number, "--json").json["videos"]
    table = cli("videos", "list", "--name", new_film.name, "--status", "PARSE").out.splitlines()
    assert table[0].split() == ["video", "status", "seconds", "MB", "name"]
    assert table[1].split() == [number, "PARSE", "60", "0.0", new_film.name]
    assert waited[0]["video_no"] == number
    assert cli("videos", "delete", number, "--yes").out == "1 video deleted\n"
    assert service.uploads == ()
    assert cli("videos", "delete", number, "--yes", "--json").json == {"deleted": [number]}
    assert cli("videos", "list", "--name", "none").out == "No videos.\n"


@pytest.mark.parametrize(("answer", "code", "left"), [("n\n", 130, 1), ("y\n", 0, 0)])
def test_delete_asks_for_confirmation(video, cli, *, monkeypatch, answer, code, left):
    """Where somebody can answer."""
    monkeypatch.setattr("memories_async.cli.videos.is_interactive", lambda: True)

    ended = CliRunner().invoke(program, ["videos", "delete", video.video_no], input=answer)

    assert ended.exit_code == code
    assert "Delete 1 video for good?" in ended.stderr
    assert len(cli("videos", "list", "--json").json["videos"]) == left


def test_an_interrupt_while_waiting_names_what_was_paid(start, new_film, service, until_said):
    """The number is not lost, and nobody fears that it may have been charged twice."""
    service.faults.add(kind="null", route="videos.metadata", times=None)
    process = start("add", new_film)
    until_said(lambda: any(seen.route == "videos.metadata" for seen in service.request_log))
    time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)

    assert process.returncode == 130
    assert f"interrupted; {service.uploads[0].id} was uploaded and charged" in said


@pytest.fixture
def until_said():
    """Wait until something holds."""

    def until(holds):
        end = time.monotonic() + 20
        while not holds():
            assert time.monotonic() < end
            time.sleep(0.005)

    return until


def test_a_bar_shows_the_progress():
    """On a terminal; a name is shown, never obeyed."""
    from io import StringIO

    from rich.console import Console

    screen, seen = Screen(), StringIO()
    screen.err = Console(file=seen, force_terminal=True, width=100)
    with screen.upload_bar("[red]a\x1b[2J.mp4") as told:
        told(500_000, 1_000_000)
    assert "[red]a" in seen.getvalue()
    assert "\x1b[2J" not in seen.getvalue()
    assert "0.5/1.0 MB" in seen.getvalue()

    screen.json = True
    with screen.upload_bar("a.mp4") as told:
        assert told is None


def test_a_video_is_written_as_plain_json(cli, video):
    """Every field that the library names."""
    (shown,) = cli("videos", "list", "--json").json["videos"]

    assert set(shown) == {
        "video_no",
        "video_name",
        "status",
        "cause",
        "duration",
        "size",
        "create_time",
        *("datetime_taken", "camera_model", "latitude", "longitude", "tags"),
        *("width", "height", "fps", "resolution_label", "video_url", "bucket", "blob"),
    }
    assert json.dumps(shown)


def test_a_video_is_downloaded(cli, film, service, video, tmp_path):
    """A file that exists is kept unless `--force` says otherwise; a failure keeps it too."""
    target = tmp_path / "copy.mp4"
    words = ("videos", "download", video.video_no, "--to", target)

    first = cli(*words)
    assert (first.code, target.read_bytes()) == (0, film.read_bytes())
    assert first.out == f"{video.video_no}  {film.stat().st_size} bytes  {target}\n"
    assert first.err.startswith("charged: 1 download (")

    target.write_bytes(b"mine")
    assert cli(*words).code == 2
    service.faults.add(kind="code", code="0001", route="videos.download")
    assert cli(*words, "--force").code == 1
    assert (target.read_bytes(), service.account.paid) == (b"mine", 1)

    assert cli(*words, "--force", "--json").json == {
        "video_no": video.video_no,
        "to": str(target),
        "size": film.stat().st_size,
    }
    assert target.read_bytes() == film.read_bytes()


def test_a_dry_run_downloads_nothing(cli, service, video, tmp_path):
    """And says what it would cost."""
    target = tmp_path / "copy.mp4"

    ended = cli("videos", "download", video.video_no, "--to", target, "--dry-run")

    assert (ended.code, target.exists(), service.account.calls) == (0, False, 0)
    assert "1 download if it succeeds" in ended.out


def test_an_upload_tells_the_service_of_the_video(cli, new_film, service):
    """Each option is a field of the upload; a dry run shows them."""
    words = ("add", new_film, "--tag", "sea", "--tag", "2026", "--folder-id", "-1", "--no-wait")
    more = ("--camera-model", "X1", "--taken", "2026-11-28 09:30:00", "--latitude", "0")

    shown = cli(*words, *more, "--longitude", "8.5", "--dry-run", "--json").json
    ended = cli(*words, *more, "--longitude", "8.5")

    fields = json.dumps(shown)
    for value in ("sea", "-1", "X1", "2026-11-28 09:30:00", "8.5"):
        assert value in fields
    assert ended.code == 0
    assert {"sea", "2026"} <= set(service.uploads[0].tags)
    seen = next(one for one in service.request_log if one.route == "videos.upload")
    assert seen.ignored_fields == ()


def test_videos_are_listed_by_label_and_folder(cli, new_film, service):
    """The filters hold together."""
    for options in (["--tag", "sea", "--folder-id", "7"], ["--tag", "sea"]):
        assert cli("add", new_film, "--no-wait", "--fresh", *options).code == 0
    first, second = (one.id for one in service.uploads)

    def find(*options):
        listed = cli("videos", "list", *options, "--json").json["videos"]
        return {one["video_no"] for one in listed}

    assert find("--tag", "sea") == {first, second}
    assert find("--folder-id", "7") == {first}
    assert find("--tag", "sea", "--folder-id", "-1") == {second}
    assert find("--tag", "hill") == set()


def test_details_say_what_is_known_of_a_video(cli, new_film, service):
    """What its upload said, and its pictures; an unknown one is a 1."""
    told = ("--tag", "beach", "--camera-model", "X1", "--taken", "2026-07-14 11:30:00")
    number = cli("add", new_film, *told, "--json").json["added"][0]["video_no"]

    shown = cli("videos", "details", number)
    assert shown.err == ""
    taken = ("--taken", "2026-07-14T11:30:00+00:00", "--camera-model", "X1")
    listed = cli("videos", "list", *taken, "--json").json["videos"]

    assert shown.code == 0
    assert {"camera_model", "X1", "beach,", "width"} <= {*shown.out.split()}
    assert cli("videos", "details", number, "--json").json["video"]["tags"] == ["beach", "api"]
    assert [one["video_no"] for one in listed] == [number]
    assert cli("videos", "list", "--latitude", "1", "--json").json["videos"] == []
    unknown = cli("videos", "details", "VI404", "--json")
    assert (unknown.code, unknown.json) == (1, {"video": None})


@pytest.mark.parametrize(
    ("given", "kind"), [("a.mp4", "a file"), ("https://x.example/a", "a URL")], ids=["file", "url"]
)
def test_a_file_or_url_in_place_of_an_id_names_the_command_that_uploads(cli, given, kind):
    """Not the library's function."""
    ended = cli("videos", "details", given)
    asset = cli("embed", given)

    assert "`memories-async add --asset` uploads" in asset.err
    assert ended.err.startswith("memories-async videos details: ")
    assert ended.code == 2
    assert f"must be an id of the service, not {kind}: `memories-async add` uploads" in ended.err
