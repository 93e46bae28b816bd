"""`memories-async ledger`: what the record says, and what it is told."""

from __future__ import annotations

import json

import pytest

from memories_async import Ledger, embeddings
from memories_async.errors import OutcomeUnknown


@pytest.fixture
def ledger(service, video, tmp_path):
    """A ledger with a paid call and an unknown one."""
    service.faults.add(kind="drop", when="after", times=1)
    path = tmp_path / "run.db"
    with Ledger(path) as record, service.blocking_client(ledger=record) as client:
        with pytest.raises(OutcomeUnknown):
            client.send(embeddings.video(video.asset_id))
        client.send(embeddings.video(video.asset_id), fresh=True)
    return path


def key_of(cli, ledger) -> str:
    """The key of the unknown call."""
    return cli("ledger", "unknown", ledger, "--json").json["unknown"][0]["key"]


def test_summary(cli, ledger):
    """Counts by state, for people and programs."""
    told, machine = cli("ledger", "summary", ledger), cli("ledger", "summary", ledger, "--json")

    assert "embeddings.video" in told.out
    assert (machine.json["done"], machine.json["unknown"]) == (1, 1)


def test_unknown(cli, ledger, video):
    """Everything that is known of it."""
    told, machine = cli("ledger", "unknown", ledger), cli("ledger", "unknown", ledger, "--json")

    (entry,) = machine.json["unknown"]
    assert entry["key"][:12] in told.out
    assert (entry["asked"]["asset_id"], entry["billed"]) == (video.asset_id, "maybe")


def test_settle_as_not_paid(cli, ledger):
    """By the beginning of its key; nothing is unknown then."""
    key = key_of(cli, ledger)
    ended = cli("ledger", "settle", ledger, key[:6], "--not-paid")

    assert (ended.code, "not paid" in ended.out) == (0, True)
    assert "No unknown calls" in cli("ledger", "unknown", ledger).out


def test_settle_with_an_answer(cli, ledger):
    """The `data` of the reply, as JSON."""
    key = key_of(cli, ledger)
    answer = json.dumps({"embedding": [0.5]})
    ended = cli("ledger", "settle", ledger, key, "--paid", "--answer", answer, "--json")

    assert ended.json == {"key": key, "paid": True}
    assert cli("ledger", "summary", ledger, "--json").json["done"] == 2


def test_retry(cli, ledger):
    """It is planned again."""
    key = key_of(cli, ledger)

    assert cli("ledger", "retry", ledger, key[:8]).code == 0
    assert cli("ledger", "summary", ledger, "--json").json["planned"] == 1


@pytest.mark.parametrize("words", [("settle", "zz", "--paid"), ("retry", "ffff0000ff")])
def test_a_key_must_mean_one_call(cli, ledger, words):
    """Otherwise nothing is changed, and the exit code is 2."""
    verb, key, *rest = words
    ended = cli("ledger", verb, ledger, key, *rest)

    assert (ended.code, "no unknown call has" in ended.err) == (2, True)


def test_an_answer_that_is_no_json_is_refused(cli, ledger):
    """Before anything is settled."""
    ended = cli("ledger", "settle", ledger, key_of(cli, ledger), "--paid", "--answer", "{")

    assert ended.code == 2
    assert cli("ledger", "summary", ledger, "--json").json["unknown"] == 1


def test_export(cli, ledger, tmp_path):
    """Of one state, or of all."""
    assert cli("ledger", "export", ledger, tmp_path / "a.csv").out.startswith("2 entries")
    ended = cli("ledger", "export", ledger, tmp_path / "b.jsonl", "--state", "done", "--json")

    assert ended.json["entries"] == 1
    assert cli("ledger", "export", ledger, tmp_path / "c.xlsx").code == 2


def test_a_ledger_that_is_not_there_is_not_made(cli, tmp_path):
    """Looking must leave nothing behind."""
    assert cli("ledger", "summary", tmp_path / "none.db").code == 2
    assert not (tmp_path / "none.db").exists()
