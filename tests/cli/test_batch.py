"""`memories-async batch`: many calls from a file, in a record, with an exit code that tells."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import signal
import time

import pytest
from attrs import evolve
from rich.console import Console

from memories_async import Ledger
from memories_async.batch import Plan, Progress
from memories_async.cli import _batch_progress as show
from memories_async.cli._screen import Screen


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """No line at the doors of a service on this machine."""
    for family in ("SEARCH", "CAPTIONS", "EMBEDDINGS"):
        monkeypatch.setenv(f"MEMORIES_{family}_RATE", "100000")


@pytest.fixture
def queries(tmp_path, picture, video):
    """Five searches that differ in their prompts."""
    path = tmp_path / "queries.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["key", "image", "prompt"])
        writer.writerows([f"q{n}", picture, f"prompt {n}"] for n in range(5))
    return path


@pytest.fixture
def ledger(tmp_path):
    """Where the record is."""
    return tmp_path / "run.db"


def test_a_batch_and_its_second_run(cli, service, video, queries, ledger, tmp_path):  # noqa: PLR0917  # fixtures
    """The first pays five times, the second not at all; the export has every answer."""
    words = ("batch", "search", "--from", queries, "--ledger", ledger, "--video-no", video.video_no)
    first = cli(*words, "--json", "--out", tmp_path / "out.jsonl")
    again = cli(*words)

    assert (first.code, first.json["done"], first.json["total"]) == (0, 5, 5)
    assert service.account.paid == 5
    assert "5/5, 5 from the ledger" in again.out
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert sorted(row["item"] for row in rows) == ["q0", "q1", "q2", "q3", "q4"]


def test_a_dry_run_sends_nothing(cli, service, video, queries, ledger):
    """It says how many calls, how long, and what they cost."""
    words = ("batch", "search", "--from", queries, "--ledger", ledger, "--video-no", video.video_no)
    told = cli(*words, "--dry-run", "--price", "search=3")
    machine = cli(*words, "--dry-run", "--json")

    assert "calls to send  5 (5 search)" in told.out
    assert "15 points" in told.out
    assert machine.json["plan"]["calls"] == 5
    assert service.account.calls == 0


def test_wrong_rows_are_reported_and_left_out(cli, service, video, tmp_path, ledger):
    """The others are sent; the exit code says that something was wrong with the file."""
    path = tmp_path / "assets.jsonl"
    good = json.dumps({"asset_id": video.asset_id})
    path.write_text(f'{good}\n\n{{"asset_id": ""}}\n{{"asset_id": 7}}\n')
    ended = cli("batch", "embed", "--from", path, "--ledger", ledger)

    assert ended.code == 2
    assert "assets.jsonl, row 2: no 'asset_id'" in ended.err
    assert "row 3" in ended.err
    assert service.account.paid == 1


def test_unknown_calls_decide_the_exit_code(cli, service, video, queries, ledger):
    """Perhaps charged: the command says where to look."""
    service.faults.add(kind="drop", when="after", times=1)
    words = ("batch", "search", "--from", queries, "--ledger", ledger, "--video-no", video.video_no)
    ended = cli(*words, "--price", "search=2")
    parked = cli(*words)
    resent = cli(*words, "--on-unknown", "resend")

    assert (ended.code, parked.code, resent.code) == (4, 4, 0)
    assert f"memories-async ledger unknown {ledger}" in ended.err
    assert "2 at risk" in ended.out
    assert service.account.paid == 6


def test_refused_calls_are_reported(cli, service, tmp_path, ledger):
    """Exit code 1: nothing was charged for them."""
    path = tmp_path / "assets.csv"
    path.write_text("asset_id\nre_0\n")
    ended = cli("batch", "embed", "--from", path, "--ledger", ledger, "--concurrency", 2)

    assert ended.code == 1
    assert "1 refused" in ended.out
    assert ended.err.startswith("1: ")


def test_a_budget_stops_the_batch(cli, service, video, queries, ledger):
    """Two are paid, the rest is planned."""
    words = ("batch", "search", "--from", queries, "--ledger", ledger, "--video-no", video.video_no)
    ended = cli(*words, "--max-calls", 2, "--json", "--concurrency", 1)

    assert (ended.code, service.account.paid) == (3, 2)
    assert "budget of 2 calls" in ended.json["stopped"]
    assert "the rest is planned" in cli(*words, "--max-calls", 0).err


def test_captions_by_url_and_by_file(cli, service, film, picture, tmp_path, ledger):  # noqa: PLR0917  # fixtures
    """Persons as text in CSV, as an object in JSON lines."""
    path = tmp_path / "videos.jsonl"
    rows = [
        {"video": str(film), "persons": {"Alice": str(picture)}, "thinking": True},
        {"video": "https://example.com/v.mp4", "persons": "Bob=https://example.com/b.png;"},
        {"video": str(film), "persons": "Bob"},
    ]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    ended = cli(
        *("batch", "caption", "--from", path, "--ledger", ledger, "--user-prompt", "what"),
        *("--system-prompt", "brief", "--callback", "http://127.0.0.1:9/cb", "--json"),
    )

    assert ended.json["invalid"] == 1
    assert ended.json["total"] == 3
    assert service.account.calls == 2


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        (("--out", "out.xlsx"), "--out must end in"),
        (("--price", "search"), "UNIT=POINTS"),
        (("--price", "searches=2"), "no unit 'searches'; there are search, caption, embedding"),
        (("--concurrency", "0"), "concurrency"),
    ],
)
def test_wrong_options_send_nothing(cli, service, queries, ledger, extra, said):  # noqa: PLR0917  # fixtures
    """Exit code 2, naming the option."""
    ended = cli("batch", "search", "--from", queries, "--ledger", ledger, "--video-no", "V", *extra)

    assert ended.code == 2
    assert said in ended.err
    assert service.account.calls == 0


@pytest.mark.parametrize(("name", "text"), [("a.txt", "x"), ("a.jsonl", "[1]\n"), ("b.jsonl", "{")])
def test_files_that_are_no_list_of_items_are_refused(cli, service, tmp_path, ledger, name, text):  # noqa: PLR0917  # fixtures
    """Exit code 2, naming the file."""
    (tmp_path / name).write_text(text)
    ended = cli("batch", "embed", "--from", tmp_path / name, "--ledger", ledger)

    assert ended.code == 2
    assert name in ended.err


@pytest.mark.parametrize(
    ("number", "is_ignored"),
    [(signal.SIGINT, False), (signal.SIGTERM, False), (signal.SIGTERM, True)],
)
def test_a_signal_drains_the_batch(start, service, video, tmp_path, ledger, number, is_ignored):  # noqa: PLR0917  # fixtures
    """Answers of requests in flight are recorded; a shell's background job ignores SIGINT."""
    path = tmp_path / "assets.csv"
    path.write_text("asset_id,model\n" + "".join(f"{video.asset_id},m{n}\n" for n in range(400)))
    words = ("batch", "embed", "--from", path, "--ledger", ledger, "--concurrency", 2)
    service.faults.add(kind="delay", seconds=0.02, times=None)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN if is_ignored else signal.SIG_DFL)
    process = start(*words)
    signal.signal(signal.SIGINT, before)
    while service.account.calls < 5:
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(number)
    _, err = process.communicate(timeout=30)

    assert process.returncode == 130
    assert "in flight, until each has ended or timed out" in err
    assert "Ctrl-C again leaves at once" in err
    assert "run the same command again to continue" in err
    with Ledger(ledger) as record:
        summary = record.summary()
    assert summary.unknown == summary.sending == 0
    assert summary.done + summary.refused >= 5


@pytest.mark.parametrize("error", [KeyboardInterrupt, asyncio.CancelledError])
def test_an_interrupt_is_reported_in_this_process(  # noqa: PLR0917  # fixtures
    cli, service, video, queries, ledger, monkeypatch, error
):
    """However Python brings it: exit code 130."""

    def interrupt(*_):
        raise error

    monkeypatch.setattr("memories_async.batch.Batch.__anext__", interrupt)
    words = ("batch", "search", "--from", queries, "--ledger", ledger, "--video-no", video.video_no)
    if error is KeyboardInterrupt:
        ended = cli(*words)
        assert (ended.code, "run the same command again to continue" in ended.err) == (130, True)
    else:
        with pytest.raises(asyncio.CancelledError):
            cli(*words)


@pytest.mark.parametrize(("width", "lines"), [(100, 1), (60, 1), (40, 2)])
@pytest.mark.parametrize("total", [400, None])
def test_the_bar_fits_into_the_terminal(width, lines, total):
    """Beside the counts where there is room, else above them; never wider."""
    page = io.StringIO()
    console = Console(file=page, width=width, color_system=None)
    progress = Progress(total=total, done=100, replayed=20, rate=1.0, seconds_left=300.0)

    console.print(show.draw_progress(progress, width, show.Stop(None)))

    shown = page.getvalue().splitlines()
    assert len(shown) == lines
    assert all(len(line) <= width for line in shown)
    assert "20 replayed, 1.0/s, 5 min" in page.getvalue()


async def test_a_terminal_shows_a_live_bar():
    """It is updated in place, and removed at the end."""
    screen = Screen(err=Console(file=io.StringIO(), force_terminal=True, width=60))
    async with show.show_progress(
        screen, lambda: Progress(total=5, done=2, in_flight=1), show.Stop(None)
    ):
        await asyncio.sleep(0.01)

    assert "2/5, 1 in flight" in screen.err.file.getvalue()


@pytest.mark.parametrize(
    ("drain", "limit", "line"),
    [
        (None, "until each has ended or timed out", "stopping: 4 in flight, for 7 s"),
        (30.0, "at most 30 s", "stopping: 4 in flight, 23 s left"),
    ],
    ids=["default", "given"],
)
def test_an_interrupt_says_what_is_waited_for_and_how_long(drain, limit, line, monkeypatch):
    """Before it, the line has the counts."""
    monkeypatch.setattr(show.time, "monotonic", iter([100.0, 107.0]).__next__)
    stop, progress = show.Stop(drain), Progress(total=9, done=2, in_flight=4)

    assert limit in stop.limit
    assert stop.describe(progress) == show.format_progress(progress)
    stop.begin()
    assert stop.describe(progress) == line


async def test_a_pipe_gets_plain_lines_at_intervals(monkeypatch):
    """And a program that asked for JSON sees none."""
    monkeypatch.setattr(show, "EVERY", 0.001)
    for json_, expected in ((False, True), (True, False)):
        screen = Screen(json=json_, err=Console(file=io.StringIO()))
        async with show.show_progress(screen, lambda: Progress(done=2), show.Stop(None)):
            await asyncio.sleep(0.02)
        assert ("2, 0.0/s" in screen.err.file.getvalue()) is expected


def test_progress_in_words():
    """What is zero is left out."""
    seen = Progress(total=1_000, done=7, unsent=1, rate=2.5, seconds_left=4_000.0, points=14.0)

    assert show.format_progress(seen) == "8/1,000, 1 not sent, 2.5/s, 14 points, 1 h 06 min left"
    assert [show.format_duration(s) for s in (0.4, 61, 7_260)] == [
        "0 s",
        "1 min 01 s",
        "2 h 01 min",
    ]


def test_a_plan_without_prices_says_so():
    """And leaves out what is zero."""
    plan = Plan(
        items=3, paid=1, unknown=0, repeated=0, invalid=0, calls=2, seconds=2.0, points=None
    )

    assert show.list_plan(plan, {}) == [
        ("items", "3"),
        ("already paid", "1"),
        ("calls to send", "2"),
        ("shortest time", "2 s"),
        ("cost", "unknown: add --price"),
    ]


def test_a_plan_names_the_prices_that_are_missing_and_writes_points_in_full():
    """A run that uploads needs two prices; a million is not 1e+06."""
    plan = Plan(
        items=2, paid=0, unknown=0, repeated=0, invalid=0, calls=4, seconds=4.0, points=None,
        by_unit={"asset": 2, "embedding": 2},
    )  # fmt: skip

    missing = dict(show.list_plan(plan, {"embedding": 2.0}))
    whole = dict(show.list_plan(evolve(plan, points=6_000_000.5), {"asset": 1, "embedding": 2}))

    assert missing["cost"] == "unknown: add --price asset=POINTS"
    assert whole["cost"] == "6,000,000.5 points"


@pytest.mark.parametrize(
    "text",
    [
        'asset_id,model\nre_1,"a\nre_2,b\nre_3,c\n',
        "asset_id,asset_id\nre_1,re_2\n",
        "assetid\nre_1\n",
        'asset_id\n"re_1\x07"\n',
    ],
)
def test_a_damaged_table_sends_nothing(cli, service, tmp_path, ledger, text):
    """Also where the rows before the damage are sound."""
    path = tmp_path / "assets.csv"
    path.write_text(text)

    ended = cli("batch", "embed", "--from", path, "--ledger", ledger)

    assert (ended.code, service.account.calls) == (2, 0)
    assert "nothing was sent" in ended.err
    assert not ledger.exists()


def test_an_interrupt_counts_what_may_have_been_charged(  # noqa: PLR0917  # fixtures
    cli, service, video, queries, ledger, monkeypatch
):
    """Such calls are not sent again by the same command, so the last line says where they are."""
    service.faults.add(kind="drop", when="after")
    words = ("batch", "search", "--from", queries, "--ledger", ledger, "--video-no", video.video_no)
    cli(*words)

    async def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("memories_async.cli._batch_run.BatchCommand.run_with", interrupt)
    ended = cli(*words)

    assert ended.code == 130
    assert "interrupted; run the same command again" in ended.err
    (line,) = (line for line in ended.err.splitlines() if "may have been charged" in line)
    assert line.startswith("1 call may have been charged, and will not be sent again")
    assert line.endswith(f"see `memories-async ledger unknown {ledger}`")


def test_unknown_calls_are_reported_in_one_line(cli, service, video, queries, ledger):
    """With the commands that settle them; a second run reports them again."""
    service.faults.add(kind="drop", when="after", times=3)
    words = ("batch", "search", "--from", queries, "--ledger", ledger, "--video-no", video.video_no)

    for ended in (cli(*words), cli(*words)):
        (line,) = [line for line in ended.err.splitlines() if "may have been charged" in line]
        assert line.count("q") == 3
        assert f"memories-async ledger settle {ledger} --all" in line
        assert len(ended.err.splitlines()) == 1


def test_a_long_list_of_keys_is_shortened():
    """Five are named."""
    from memories_async.cli._batch_run import shorten_list

    assert shorten_list([f"q{n}" for n in range(1_006)]) == "q0, q1, q2, q3, q4 and 1,001 more"


def test_calls_that_another_account_paid_are_reported_before_they_are_paid(
    cli, service, video, queries, ledger
):
    """A plan counts them, a batch sends none, and renaming the account brings them over."""
    words = ("batch", "search", "--from", queries, "--ledger", ledger, "--video-no", video.video_no)
    cli(*words, "--account", "old")

    plan = cli(*words, "--account", "new", "--dry-run", "--json").json["plan"]
    ended = cli(*words, "--account", "new")
    renamed = cli("ledger", "rename-account", ledger, "old", "new")
    again = cli(*words, "--account", "new", "--json")

    assert (plan["paid_elsewhere"], plan["calls"]) == (5, 0)
    assert ended.code == 3
    assert "paid under another account's name: q0, q1, q2, q3, q4; " in ended.err
    assert "5 entries of old moved to new" in renamed.out
    assert again.json["replayed"] == 5
    assert service.account.paid == 5
