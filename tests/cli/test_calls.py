"""search, and what all calls share: outcomes and dry runs."""

from __future__ import annotations

from pathlib import Path

from memories_async.local import LocalService
from memories_async.local.engine.fixed import FixedEngine

SEARCH = ("--prompt", "the red shirt")


def test_a_search_shows_its_clips(cli, picture, video):
    """Seconds and likeness in columns; what it cost stands apart, on stderr."""
    ended = cli("search", picture, "--video-no", video.video_no, *SEARCH)

    assert ended.code == 0
    assert ended.out.splitlines() == [
        "start (s)  end (s)  score",
        "    12.50    18.20  0.863",
        "    42.00    47.80  0.812",
    ]
    assert ended.err.startswith("charged: 1 search (")


def test_search_writes_one_json_document(cli, picture, video):
    """The answer's own names and numbers, and nothing else on either stream."""
    ended = cli("search", picture, "--video-no", video.video_no, *SEARCH, "--json")

    clip = {"start_time": 12.5, "end_time": 18.2, "score": 0.8631}
    assert ended.json["clips"][0] == {**clip, "extra": {}}
    assert ended.json["video_no"] == video.video_no
    assert ended.err == ""


def test_a_missing_key_is_reported_with_its_variable(cli, picture):
    """The first mistake that everybody makes."""
    ended = cli("search", picture, "--video-no", "VI1", *SEARCH)

    assert ended.code == 2
    assert "set MEMORIES_API_KEY" in ended.err


def test_a_bad_argument_is_refused_before_a_missing_key(cli, tmp_path):
    """In the words of the library, naming the argument."""
    text = tmp_path / "notes.txt"
    text.write_text("no picture")

    ended = cli("search", text, "--video-no", "VI1", *SEARCH)

    assert ended.code == 2
    assert "image must be one of .jpg" in ended.err


def test_a_refusal_ends_with_1_and_was_free(cli, picture, service):
    """The service's own words, and that nothing was charged."""
    ended = cli("search", picture, "--video-no", "VI9", *SEARCH)

    assert ended.code == 1
    assert "refused: " in ended.err
    assert "nothing was charged" in ended.err
    assert service.account.points_spent == 0


def test_a_refused_key_names_the_variable(cli, picture, service, monkeypatch):
    """What to do stands in the same line."""
    monkeypatch.setenv("MEMORIES_API_KEY", "local-wrong")

    ended = cli("search", picture, "--video-no", "VI9", *SEARCH, "--json")

    assert ended.code == ended.json["error"]["exit_code"] == 1
    assert ended.json["error"]["kind"] == "AuthenticationFailed"
    assert "MEMORIES_API_KEY" in ended.err
    assert "local-wrong" not in ended.out + ended.err


def test_a_call_that_was_not_sent_ends_with_3(cli, monkeypatch):
    """Nobody listens there: nothing left, nothing was charged."""
    monkeypatch.setenv("MEMORIES_API_KEY", "local-1")
    monkeypatch.setenv("MEMORIES_V2_BASE_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("MEMORIES_ATTEMPTS", "1")

    ended = cli("embed", "re_1")

    assert ended.code == 3
    assert "nothing was charged" in ended.err
    assert "doctor --ping" in ended.err


def test_a_lost_reply_ends_with_4_and_one_request(cli, video, service):
    """Perhaps charged, so it is said, and nothing is sent again."""
    service.faults.add(kind="drop", when="after")

    ended = cli("embed", video.asset_id, "--json")

    assert ended.code == 4
    assert ended.json["error"]["billed"] == "maybe"
    assert service.account.calls == 1


def test_a_paid_reply_that_cannot_be_read_is_kept(cli, video, service, tmp_path):
    """What was paid is not thrown away."""
    service.faults.add(kind="garble")

    ended = cli("embed", video.asset_id)

    kept = Path(ended.err.partition("saved in ")[2].splitlines()[0])
    assert ended.code == 4
    assert kept.read_bytes().startswith(b"{")
    assert kept.stat().st_mode & 0o077 == 0
    assert kept.parent == tmp_path


def test_a_repeat_is_reported_and_counted(cli, video, service):
    """Whoever waits sees why."""
    service.faults.add(kind="code", code="0429", retry_after="0.01")

    ended = cli("embed", video.asset_id)

    assert ended.code == 0
    assert "embeddings.video: Request has exceeded the limit; next attempt in" in ended.err
    assert "2 requests" in ended.err


def test_a_slow_limiter_is_reported(monkeypatch, capsys):
    """A store of the shared limiter that is down slows everything; the user sees why."""
    from memories_async.cli._calls import CallObserver
    from memories_async.cli._run import CommandRun
    from memories_async.events import Degraded

    CallObserver(CommandRun())(
        Degraded(call_id="1", call="clips.search", attempt=1, reason="the limiter file is gone")
    )

    assert capsys.readouterr().err == "requests are slowed down: the limiter file is gone\n"


def test_an_empty_answer_of_a_search_is_a_success(cli, picture, film, monkeypatch):
    """And it is charged like any other."""
    with LocalService([film], engine=FixedEngine(clips=()), limits=None) as service:
        monkeypatch.setenv("MEMORIES_API_KEY", service.api_key)
        monkeypatch.setenv("MEMORIES_V1_BASE_URL", service.url)

        ended = cli("search", picture, "--video-no", service.library[0].video_no, *SEARCH)

    assert ended.out == "No clip matches.\n"
    assert "charged: 1 search" in ended.err


def test_a_dry_run_shows_everything_and_sends_nothing(cli, picture):
    """No key is needed to see what would happen."""
    ended = cli("search", picture, "--video-no", "VI1", *SEARCH, "--dry-run")

    assert ended.code == 0
    for told in (
        "nothing was sent",
        "POST https://api.memories.ai/serve/api/v1/search_clips_by_image",
        f"{picture}: {picture.stat().st_size} bytes, sent as query.png",
        "1 search if it succeeds",
        "1 a second",
        "the red shirt",
        "set MEMORIES_API_KEY",
    ):
        assert told in ended.out


def test_a_dry_run_writes_one_json_document(cli, service, video):
    """The fields by the service's own names."""
    answer = cli("embed", video.asset_id, "--dry-run", "--json").json

    assert answer["dry_run"] is True
    assert answer["url"] == f"{service.url}/serve/api/v2/embeddings/video"
    assert answer["fields"] == {"asset_id": video.asset_id, "model": "multimodalembedding@001"}
    assert answer["cost"] == {"unit": "embedding", "amount": 1, "points": None}
    assert answer["key_set"] is True
    assert service.account.calls == 0
