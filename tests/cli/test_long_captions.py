"""caption --long: a film of any length, and what it costs said before."""

from __future__ import annotations

import json
import socket

import pytest

pytest.importorskip("av", reason="films are cut with PyAV")

from long_films import CUTS, write_film  # needs PyAV

from memories_async.film._cutter import FilmCutter  # needs PyAV


@pytest.fixture(scope="module")
def long_film(tmp_path_factory):
    """A film of 400 seconds."""
    return write_film(tmp_path_factory.mktemp("long") / "long.mp4", seconds=400, cuts=CUTS)


def test_a_dry_run_says_pieces_cost_and_time(cli, long_film, monkeypatch):
    """Without a key, since nothing is sent."""
    monkeypatch.delenv("MEMORIES_API_KEY", raising=False)

    ended = cli("caption", long_film, "--long", "--sync", "--dry-run")
    answer = cli("caption", long_film, "--long", "--sync", "--dry-run", "--json").json

    assert "2 captions if all succeed" in ended.out
    assert "points" not in ended.out
    assert [one["end_time"] for one in answer["pieces"]] == [190.0, 400.0]
    assert answer["cost"] == {"unit": "caption", "amount": 2, "points": None}


def test_a_dry_run_says_the_cost_in_points(cli, long_film, film):
    """Of a film in pieces, and of a video that is sent as it is."""
    words = ("--sync", "--dry-run", "--price", "caption=3")

    assert "2 captions if all succeed, 6 points" in cli("caption", long_film, "--long", *words).out
    assert "1 caption if it succeeds, 3 points" in cli("caption", film, *words).out
    assert cli("caption", film, *words, "--json").json["cost"]["points"] == 3
    wrong = cli("caption", film, "--sync", "--dry-run", "--price", "caption=-1")
    assert (wrong.code, "with points from 0" in wrong.err) == (2, True)
    assert "--price goes with --dry-run" in cli("caption", film, "--sync", *words[2:]).err


def test_a_long_film_is_captioned_once(cli, calling_back, long_film, tmp_path):
    """The second run is answered from the ledger."""
    words = (
        "caption",
        long_film,
        "--long",
        "--ledger",
        tmp_path / "run.db",
        "--tag",
        "order 7",
        "--sync",
    )

    first = cli(*words)
    second = cli(*words, "--json")

    assert first.code == second.code == 0, first.err
    assert first.out.startswith("[00:00-03:10]\n")
    assert "2 pieces, 2 captions charged if all succeed" in first.err
    assert second.json["tag"] == "order 7"
    assert calling_back.account.paid == 2


def test_options_that_do_not_fit_are_refused(cli, calling_back, long_film, tmp_path):
    """Before anything is sent."""
    ledger = ("--ledger", tmp_path / "run.db")

    assert "--long needs --ledger" in cli("caption", long_film, "--long", "--sync").err
    assert "--wait needs --port" in cli("caption", long_film, "--long", "--wait", *ledger).err
    assert "--ledger goes with --long" in cli("caption", long_film, "--wait", *ledger).err
    by_url = cli("caption", "https://x.example/v.mp4", "--long", "--sync", *ledger)
    assert "--long takes a file" in by_url.err
    assert calling_back.account.calls == 0


@pytest.fixture
def words(long_film, tmp_path, monkeypatch):
    """A batch of a long film, a short one, and a wrong row. What pieces hold is tested elsewhere."""
    monkeypatch.setattr(FilmCutter, "cut", lambda _, piece, to: (to.write(b"film"), to.seek(0)))
    path = tmp_path / "films.jsonl"
    rows = [
        {"key": "long", "video": str(long_film), "tag": "order 7"},
        {"key": "short", "video": str(write_film(tmp_path / "short.mp4", seconds=25))},
        {"key": "gone", "video": str(tmp_path / "gone.mp4")},
    ]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return (
        *("batch", "caption", "--from", path, "--ledger", tmp_path / "run.db", "--long"),
        *("--user-prompt", "u", "--system-prompt", "s"),
        *("--captions", tmp_path / "captions.jsonl"),
    )


@pytest.fixture
def lines(tmp_path):
    """Read what was written, by the key of the row."""

    def read():
        written = map(json.loads, (tmp_path / "captions.jsonl").read_text().splitlines())
        return {line["key"]: line for line in written}

    return read


def test_a_batch_says_before_how_many_pieces_it_pays(cli, service, words):
    """And what they cost, and how long it takes to submit them."""
    ended = cli(*words, "--sync", "--dry-run", "--price", "caption=3")
    answer = cli(*words, "--sync", "--dry-run", "--price", "caption=3", "--json").json

    assert "films in pieces" in ended.out
    assert "1, in 2 pieces" in ended.out
    assert "9 points" in ended.out
    assert "row 3: video cannot be read" in ended.err
    assert (answer["plan"]["calls"], answer["plan"]["points"]) == (3, 9)
    assert [one["end_time"] for one in answer["films"][0]["pieces"]] == [190.0, 400.0]
    assert service.account.calls == 0


@pytest.mark.parametrize("is_sync", [True, False], ids=["sync", "callback"])
def test_a_batch_captions_a_long_film_in_pieces(cli, calling_back, words, lines, is_sync):
    """One line has the joined caption; a second run writes the same for nothing."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = (*words, "--sync") if is_sync else (*words, "--port", port)

    first, written = cli(*words), lines()
    again = cli(*words, "--json")

    assert (first.code, again.code) == (2, 2)
    assert "2 captions in " in first.out
    assert written["long"]["text"].startswith("[00:00-03:10]\n")
    assert [one["start_time"] for one in written["long"]["pieces"]] == [0.0, 190.0]
    assert (written["long"]["tag"], written["short"]["tag"]) == ("order 7", None)
    assert lines() == written
    assert (again.json["replayed"], again.json["captions"]) == (3, 2)
    assert calling_back.account.paid == 3


def test_a_film_with_a_missing_callback_is_written_without_that_piece(
    cli, calling_back, words, lines
):
    """Which is a 5 in a table without wrong rows; the next run waits for the rest."""
    row = words[3].read_text().splitlines()[0]
    words[3].write_text(row)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    calling_back.faults.add(callback="missing", times=1)

    ended = cli(*words, "--port", port, "--timeout", "1")

    assert ended.code == 5
    assert "no callback for task" in ended.err
    errors = [piece["error"] for piece in lines()["long"]["pieces"]]
    assert sorted(error is None for error in errors) == [False, True]


def test_a_batch_goes_on_with_the_pieces_that_are_missing(cli, service, words, lines):
    """A piece that is refused leaves its film incomplete; the next run pays for that piece alone."""
    service.faults.add(kind="code", code="0001", route="captions", skip=1)

    first = cli(*words, "--sync")
    pieces = lines()["long"]["pieces"]
    second = cli(*words, "--sync")

    assert first.code == second.code == 2
    assert sorted(piece["error"] is None for piece in pieces) == [False, True]
    assert all(piece["error"] is None for piece in lines()["long"]["pieces"])
    assert service.account.paid == 3


def test_a_batch_that_stops_between_two_pieces_pays_no_piece_twice(cli, service, words, lines):
    """Here at its budget; the next run pays for the rest, and writes the film."""
    words = (*words, "--sync", "--concurrency", 1)

    none = cli(*words, "--max-calls", 1)
    one = cli(*words, "--max-calls", 1)
    incomplete = lines()
    rest = cli(*words)

    assert (none.code, one.code, rest.code) == (3, 3, 2)
    assert "not written, as pieces are missing: long; run it again" in none.err
    assert [piece["error"] is None for piece in incomplete["long"]["pieces"]] == [True, False]
    assert set(lines()) == {"short", "long"}
    assert service.account.paid == 3


def test_a_batch_leaves_what_it_cannot_join_whole(cli, service, words, long_film):
    """Rows with a URL, or with a callback of their own; two films of one key are refused."""
    rows = [
        {"video": "https://x.example/v.mp4", "callback": "http://127.0.0.1:9/cb"},
        {"video": str(long_film), "callback": "http://127.0.0.1:9/cb"},
        {"key": "a", "video": str(long_film)},
        {"key": "a", "video": str(long_film)},
    ]
    words[3].write_text("".join(f"{json.dumps(row)}\n" for row in rows))

    ended = cli(*words, "--port", 9, "--dry-run", "--json")

    assert ended.json["plan"]["items"] == 4
    assert [film["key"] for film in ended.json["films"]] == ["a"]
    assert "--long needs --captions" in cli(*words[:-2], "--sync").err
    assert service.account.calls == 0
