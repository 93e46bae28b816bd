"""`memories-async ledger`: what the record says, and what it is told."""

from __future__ import annotations

import json

import pytest

from memories_async import Budget, Ledger, embeddings
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


@pytest.fixture
def refused(service, video, tmp_path):
    """A ledger with two refused calls and a paid one."""
    path = tmp_path / "refused.db"
    with Ledger(path) as record, service.blocking_client(ledger=record) as client:
        calls = {n: embeddings.video(video.asset_id, model=f"none-{n}") for n in range(2)}
        with client.batch({**calls, "good": embeddings.video(video.asset_id)}) as batch:
            assert len([*batch]) == 3
    return path


def test_refused_calls_are_listed_with_their_items_and_reasons(cli, refused, tmp_path):
    """And exported; a list says what it leaves out."""
    words = ("ledger", "entries", refused, "--state", "refused")
    told, machine = cli(*words), cli(*words, "--json")

    items = {entry["item"]: entry for entry in machine.json["entries"]}
    assert items.keys() == {"0", "1"}
    assert all(entry["message"] in told.out for entry in items.values())
    assert "embeddings.video" in told.out
    newest = cli("ledger", "entries", refused, "--limit", 2)
    assert "the newest 2 of 3" in newest.err
    assert " done " in cli("ledger", "entries", refused).out
    out = tmp_path / "refused.csv"
    assert cli("ledger", "export", refused, out, "--state", "refused").code == 0
    assert out.read_text().count("embeddings.video") == 2


def test_nothing_to_list_is_said(cli, refused):
    """In both cases."""
    assert "No unknown calls." in cli("ledger", "entries", refused, "--state", "unknown").out
    assert cli("ledger", "forget", refused, "--before", "2100-01-01").code == 0
    assert "No calls." in cli("ledger", "entries", refused).out


def test_a_price_is_for_calls_without_one(cli, ledger, service, video):
    """A recorded price stays; a unit without a price stays uncounted."""
    words = ("ledger", "summary", ledger, "--json", "--price")
    with (
        Ledger(ledger) as record,
        service.blocking_client(ledger=record, budget=Budget(prices={"embedding": 5})) as client,
    ):
        client.send(embeddings.video(video.asset_id), fresh=True)

    priced, other = cli(*words, "embedding=2").json, cli(*words, "search=2").json

    assert (priced["points"], priced["points_at_risk"], priced["unpriced"]) == (7.0, 2.0, 0)
    assert (other["points"], other["unpriced"]) == (5.0, 2)
    assert cli(*words, "quux=1").code == 2


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

    assert ended.json == {"keys": [key], "paid": True}
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


@pytest.fixture
def doubtful(service, video, tmp_path):
    """A ledger with three unknown calls."""
    service.faults.add(kind="drop", when="after", times=3)
    path = tmp_path / "doubtful.db"
    with Ledger(path) as record, service.blocking_client(ledger=record) as client:
        for model in ("a", "b", "c"):
            with pytest.raises(OutcomeUnknown):
                client.send(embeddings.video(video.asset_id, model=model))
    return path


def test_several_unknown_calls_are_settled_at_once(cli, doubtful):
    """By their keys, or all."""
    keys = [entry["key"] for entry in cli("ledger", "unknown", doubtful, "--json").json["unknown"]]

    assert cli("ledger", "settle", doubtful, *keys[:2], "--paid").out.count(": paid") == 2
    assert cli("ledger", "settle", doubtful, "--all", "--not-paid", "--json").json == {
        "keys": keys[2:],
        "paid": False,
    }
    assert cli("ledger", "summary", doubtful, "--json").json["unknown"] == 0
    assert cli("ledger", "settle", doubtful, "--all", "--paid").out == "No unknown calls.\n"


def test_all_unknown_calls_are_sent_again(cli, doubtful):
    """When they are next requested."""
    assert len(cli("ledger", "retry", doubtful, "--all", "--json").json["keys"]) == 3
    assert cli("ledger", "summary", doubtful, "--json").json["planned"] == 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("settle", "--paid"), "give either one KEY or several, or --all"),
        (("retry",), "give either one KEY or several, or --all"),
        (("retry", "aa", "--all"), "give either one KEY or several, or --all"),
        (("settle", "--all", "--paid", "--answer", "{}"), "the answer of one call"),
        (("retry", "FIRST", "zz"), "no unknown call has a key that begins with 'zz'"),
    ],
)
def test_an_ambiguous_key_settles_nothing(cli, doubtful, words, message):
    """Also where some of the keys are right."""
    first = key_of(cli, doubtful)
    verb, *rest = [first if word == "FIRST" else word for word in words]

    ended = cli("ledger", verb, doubtful, *rest)

    assert (ended.code, message in ended.err) == (2, True)
    assert cli("ledger", "summary", doubtful, "--json").json["unknown"] == 3


def test_the_summary_counts_calls_without_a_price(cli, ledger):
    """Its points leave them out."""
    shown, document = cli("ledger", "summary", ledger), cli("ledger", "summary", ledger, "--json")

    assert "price unknown   2 paid or unknown calls" in shown.out
    assert document.json["unpriced"] == 2


def test_an_account_is_renamed(cli, service, ledger, video, monkeypatch):
    """With the new name, what the old one paid is answered from the ledger."""
    (old,) = cli("ledger", "summary", ledger, "--json").json["by_account"]

    renamed = cli("ledger", "rename-account", ledger, old[:8], "team", "--json")

    assert renamed.json == {"old": old, "new": "team", "entries": 2}
    assert cli("ledger", "summary", ledger, "--json").json["by_account"] == {"team": 2}
    assert "no account begins with" in cli("ledger", "rename-account", ledger, "x", "y").err


def test_old_calls_are_forgotten(cli, ledger):
    """What is unknown stays."""
    kept = cli("ledger", "forget", ledger, "--before", "2020-01-01", "--json")
    gone = cli("ledger", "forget", ledger, "--before", "2100-01-01")

    assert (kept.json["deleted"], gone.out) == (0, "1 entry deleted\n")
    assert cli("ledger", "summary", ledger, "--json").json["unknown"] == 1


def test_a_ledger_in_postgresql(cli, postgres):
    """The command takes its URL, and shows it without the password."""
    url = postgres.url(password="hidden")

    assert cli("ledger", "summary", url, "--json").json["done"] == 0
    told = cli("ledger", "settle", url, "aa", "--paid")
    assert told.code != 0
    wrong = cli("ledger", "summary", "postgresql://u:hidden@[::1/x")
    assert wrong.code == 2
    assert not any("hidden" in one.err + one.out for one in (told, wrong))
