"""caption --long: a film of any length, and what it costs said before."""

from __future__ import annotations

import pytest

pytest.importorskip("av", reason="films are cut with PyAV")

from long_films import CUTS, write_film  # needs PyAV


@pytest.fixture
def long_film(tmp_path):
    """A film of 400 seconds."""
    return write_film(tmp_path / "long.mp4", seconds=400, cuts=CUTS)


def test_a_dry_run_says_pieces_cost_and_time(cli, long_film, monkeypatch):
    """Without a key, since nothing is sent."""
    monkeypatch.delenv("MEMORIES_API_KEY", raising=False)

    ended = cli("caption", long_film, "--long", "--sync", "--dry-run")
    answer = cli("caption", long_film, "--long", "--sync", "--dry-run", "--json").json

    assert "2 captions if all succeed" in ended.out
    assert [one["end_time"] for one in answer["pieces"]] == [190.0, 400.0]
    assert answer["cost"] == {"unit": "caption", "amount": 2}


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
