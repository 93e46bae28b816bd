"""batch caption --captions: received here, written as they come, and gone on with by a second run."""

from __future__ import annotations

import json
import signal
import socket
import time

import pytest

from memories_async import Ledger


@pytest.fixture
def port() -> int:
    """A free port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


@pytest.fixture
def words(film, tmp_path, port):
    """A batch of three videos, told apart by their prompts, whose captions come to a file."""
    path = tmp_path / "videos.jsonl"
    rows = [{"key": f"v{n}", "video": str(film), "user_prompt": f"prompt {n}"} for n in range(3)]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return (
        *("batch", "caption", "--from", path, "--ledger", tmp_path / "run.db"),
        *("--system-prompt", "s", "--captions", tmp_path / "captions.jsonl", "--port", port),
    )


@pytest.fixture
def lines(tmp_path):
    """Read what was written."""
    return lambda: [
        json.loads(line) for line in (tmp_path / "captions.jsonl").read_text().splitlines()
    ]


def test_captions_are_written_as_they_come(cli, calling_back, words, lines):
    """One line each; a second run pays nothing and writes the same."""
    first = cli(*words)
    written = sorted(lines(), key=lambda line: line["key"])
    again = cli(*words, "--json")

    assert first.code == again.code == 0
    assert "3 captions in " in first.out
    assert [line["key"] for line in written] == ["v0", "v1", "v2"]
    assert written[0]["text"].endswith("A video.")
    assert written[0]["tokens"]["total"] > 0
    assert sorted(lines(), key=lambda line: line["key"]) == written
    assert (again.json["replayed"], again.json["captions"]) == (3, 3)
    assert calling_back.account.paid == 3


def test_a_column_of_tags_comes_back_with_the_captions(cli, calling_back, words, lines):
    """A row without one has none; the tag is no part of what is paid."""
    rows = [json.loads(line) for line in words[3].read_text().splitlines()]

    def run(*tags):
        pairs = zip(rows, tags, strict=True)
        table = [row if tag is None else {**row, "tag": tag} for row, tag in pairs]
        words[3].write_text("".join(f"{json.dumps(row)}\n" for row in table))
        assert cli(*words).code == 0
        return {line["key"]: line["tag"] for line in lines()}

    assert run("a", 7, None) == {"v0": "a", "v1": "7", "v2": None}
    assert run("b", 7, None) == {"v0": "b", "v1": "7", "v2": None}
    assert calling_back.account.paid == 3


def test_a_killed_batch_continues(cli, start, calling_back, words, lines):
    """What was submitted before is received by the second run, on the same port."""
    calling_back.faults.add(callback="delay", seconds=1.0, times=None)
    process = start(*words)
    while calling_back.account.paid < 3 or _done(words) < 3:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert lines() == []

    ended = cli(*words, "--timeout", "20")

    assert ended.code == 0
    assert len(lines()) == 3
    assert calling_back.account.paid == 3


def _done(words) -> int:
    with Ledger(words[5]) as ledger:
        return ledger.summary().done


def test_a_lost_reply_does_not_lose_the_caption(cli, calling_back, words, lines):
    """Its callback comes, and settles the ledger."""
    calling_back.faults.add(kind="drop", when="after", times=1)

    ended = cli(*words)
    first = lines()
    again = cli(*words)

    assert ended.code == 4
    assert sorted(line["task_id"] is None for line in first) == [False, False, True]
    assert again.code == 0
    assert all(line["task_id"] for line in lines())
    assert calling_back.account.paid == 3


def test_a_missing_caption_is_reported(cli, calling_back, words, lines):
    """Everything was accepted, so it is a 5."""
    calling_back.faults.add(callback="missing", times=1)

    ended = cli(*words, "--timeout", "0.3")

    assert ended.code == 5
    assert len(lines()) == 2
    assert "no callback for task" in ended.err
    assert "waiting for " in ended.err


def test_a_row_with_a_callback_of_its_own_is_not_waited_for(cli, calling_back, words, lines):
    """It was told where to go."""
    row = {"video": "https://x.example/v.mp4", "user_prompt": "u"}
    words[3].write_text(json.dumps({**row, "callback": "http://127.0.0.1:9/cb"}))

    ended = cli(*words)

    assert ended.code == 0
    assert "0 captions in " in ended.out
    assert "waiting" not in ended.err


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        (("--port", "0"), "--captions needs --port N"),
        (("--callback", "https://x.example/"), "either --callback or --captions"),
        (("--public-url", "nowhere"), "public_url must be a full http"),
        (("--captions", "/nowhere/c.jsonl"), "--captions: /nowhere/c.jsonl: No such file"),
    ],
)
def test_contradictory_options_send_nothing(cli, calling_back, words, extra, said):
    """Exit code 2, naming the option."""
    ended = cli(*words, *extra)

    assert ended.code == 2
    assert said in ended.err
    assert calling_back.account.calls == 0


def test_a_port_without_captions_is_refused(cli, calling_back, words):
    """It would have no effect."""
    ended = cli(*words[:8], "--port", "1")

    assert "--port and --public-url go with --captions" in ended.err


@pytest.fixture
def sync_words(words):
    """The same batch, whose captions are in the replies."""
    return (*words[:-2], "--sync")


def test_captions_come_in_the_replies(cli, service, sync_words, lines):
    """Without a callback or a port; a second run writes the same from the ledger, free."""
    first = cli(*sync_words)
    written = sorted(lines(), key=lambda line: line["key"])
    again = cli(*sync_words, "--json")

    assert (first.code, again.code) == (0, 0)
    assert "3 captions in " in first.out
    assert [line["key"] for line in written] == ["v0", "v1", "v2"]
    assert all(line["text"] and line["tokens"] and line["task_id"] is None for line in written)
    assert sorted(lines(), key=lambda line: line["key"]) == written
    assert (again.json["replayed"], again.json["captions"]) == (3, 3)
    assert service.account.paid == 3
    assert {seen.route for seen in service.request_log} == {"captions.upload_file_sync"}


def test_captions_of_replies_are_kept_by_the_ledger(cli, service, sync_words, tmp_path):
    """Without --captions, --out has them."""
    words = [word for word in sync_words if word not in ("--captions", tmp_path / "captions.jsonl")]

    ended = cli(*words, "--out", tmp_path / "out.jsonl", "--json")

    assert ended.code == 0
    assert "captions" not in ended.json
    assert (tmp_path / "out.jsonl").read_text().count("A video.") == 3
    assert not (tmp_path / "captions.jsonl").exists()


def test_a_lost_reply_with_the_caption_is_unknown(cli, service, sync_words, lines):
    """It may have been charged, and no callback brings it; the others are written."""
    service.faults.add(kind="drop", when="after", times=1)

    assert cli(*sync_words).code == cli(*sync_words).code == 4
    assert len(lines()) == 2
    assert service.account.paid == 3


@pytest.mark.parametrize(
    "options",
    [
        ("--callback", "https://me.example/cb"),
        ("--port", 1),
        ("--public-url", "https://me.example"),
    ],
)
def test_captions_in_replies_take_no_callback(cli, service, sync_words, options):
    """Nothing is sent."""
    ended = cli(*sync_words, *options)

    assert ended.code == 2
    assert "do not go with --sync" in ended.err
    assert service.account.calls == 0
