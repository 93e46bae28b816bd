"""caption: by file and by URL, to a callback of one's own or waited for here."""

from __future__ import annotations

import json
import socket
import time

import pytest

from memories_async.local import Callbacks, LocalService


@pytest.fixture
def reaching(film, engine, monkeypatch):
    """A service whose callbacks are quick."""
    settings = Callbacks(attempts=1)
    with LocalService([film], engine=engine, limits=None, callbacks=settings) as service:
        monkeypatch.setenv("MEMORIES_API_KEY", service.api_key)
        monkeypatch.setenv("MEMORIES_CAPTION_BASE_URL", service.url)
        yield service


def test_caption_waits_for_the_caption(cli, film, reaching):
    """The caption on stdout, everything else on stderr."""
    ended = cli("caption", film, "--wait")

    assert ended.code == 0
    assert ended.out == "[fixed answer, nothing was computed] A video.\n"
    assert "accepted, 1 caption charged" in ended.err
    assert "tokens read" in ended.err
    assert reaching.account.points_spent == 1


def test_caption_writes_one_json_document(cli, film, reaching):
    """Task, text and tokens by the service's own names."""
    answer = cli("caption", film, "--wait", "--json").json

    assert answer["text"].endswith("A video.")
    assert answer["task_id"] == reaching.outbox.deliveries[0].task_id
    assert answer["tokens"]["total"] == answer["tokens"]["input"] + answer["tokens"]["output"]


def test_a_caption_without_a_token_count_is_shown(capsys):
    """The service may leave the count out."""
    from memories_async import Caption, CaptionTask
    from memories_async.cli._receiving import show_caption
    from memories_async.cli._run import CommandRun

    show_caption(CommandRun(), CaptionTask("t"), Caption(text="A dog."))

    assert capsys.readouterr() == ("A dog.\n", "")


def test_caption_submits_with_the_given_callback(cli, film, reaching):
    """The task, and where its caption goes."""
    ended = cli("caption", film, "--callback", "http://127.0.0.1:1/cb")
    answer = cli("caption", film, "--callback", "http://127.0.0.1:1/cb", "--json").json

    assert ended.code == 0
    assert "callback  http://127.0.0.1:1/cb" in ended.out
    assert answer["callback"] == "http://127.0.0.1:1/cb"
    assert answer["task_id"]


def test_persons_go_with_their_pictures(cli, film, picture, reaching):
    """A file for a file; the name may hold spaces, the path an equals sign."""
    odd = picture.with_name("a=b.png")
    odd.write_bytes(picture.read_bytes())

    ended = cli(
        *("caption", film, "--wait", "--thinking"),
        *("--person", f"Alice B.={odd}", "--person", f"Bob={picture}"),
    )

    assert ended.code == 0
    assert len(reaching.request_log[0].uploads) == 3


def test_a_video_by_url_is_sent_as_a_url(cli, reaching):
    """So are the pictures of the persons."""
    answer = cli(
        *("caption", "https://example.com/holiday.mp4", "--callback", "https://example.com/cb"),
        *("--person", "Alice=https://example.com/a.png", "--dry-run", "--json"),
    ).json

    assert answer["call"] == "captions.upload"
    assert answer["fields"]["video_url"] == "https://example.com/holiday.mp4"
    assert answer["fields"]["persons"] == [{"name": "Alice", "url": "https://example.com/a.png"}]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "give one of --sync (the caption comes in the reply), --wait"),
        (
            ("--wait", "--callback", "https://x.example/"),
            "give one of --sync (the caption comes in the reply), --wait",
        ),
        (("--callback", "https://x.example/", "--port", "1"), "--store go with --wait"),
        (("--wait", "--person", "Alice"), "--person must be NAME=PICTURE"),
        (("--wait", "--person", "=a.png"), "--person must be NAME=PICTURE"),
        (
            ("--wait", "--person", "A=https://x.example/a.png"),
            "the video is a file, so the picture",
        ),
        (("--wait", "--user-prompt", " "), "user_prompt must not be empty"),
        (("--wait", "--public-url", "nowhere", "--port", "1"), "public_url must be a full http"),
        (("--wait", "--public-url", "https://me.example"), "--public-url needs --port"),
        (("--wait", "--timeout", "0"), "--timeout"),
    ],
)
def test_caption_refuses_wrong_options_before_anything_is_paid(cli, film, reaching, words, told):
    """Each in one line that names the option."""
    ended = cli("caption", film, *words)

    assert ended.code == 2
    assert told in ended.err
    assert reaching.account.calls == 0


def test_a_picture_by_file_does_not_go_with_a_video_by_url(cli, picture, reaching):
    """The service has two ways, and does not mix them."""
    ended = cli("caption", "https://x.example/v.mp4", "--wait", "--person", f"A={picture}")

    assert ended.code == 2
    assert "the video is a URL, so the picture must be one" in ended.err


def test_waiting_for_the_real_service_needs_a_public_url(cli, film, monkeypatch):
    """It cannot reach this machine by itself, and the caption would be paid and lost."""
    monkeypatch.setenv("MEMORIES_API_KEY", "local-1")

    ended = cli("caption", film, "--wait")

    assert ended.code == 2
    assert "security.memories.ai cannot reach this machine" in ended.err
    assert "--public-url" in ended.err


def test_a_public_url_allows_waiting_for_the_real_service(cli, film):
    """The callback is filled in when the call is sent."""
    there = ("--public-url", "https://me.example", "--port", "8000")
    ended = cli("caption", film, "--wait", *there, "--dry-run")

    assert ended.code == 0
    assert "callback       (filled in when sent)" in ended.out


def test_a_public_url_leads_to_the_port(cli, film, reaching):
    """As a tunnel does: what is told outside, and where it ends here."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    ended = cli(
        *("caption", film, "--wait", "--port", port),
        *("--public-url", f"http://localhost:{port}", "--json"),
    )

    assert ended.json["text"].endswith("A video.")
    assert reaching.outbox.deliveries[0].url.startswith(f"http://localhost:{port}/")


def test_a_port_in_use_is_named(cli, film, reaching):
    """Before anything is paid."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        ended = cli("caption", film, "--wait", "--port", port)

    assert ended.code == 2
    assert f"port {port}: " in ended.err
    assert reaching.account.calls == 0


def test_a_failed_caption_ends_with_5(cli, film, reaching):
    """The service's reason, in one line."""
    reaching.faults.add(callback="failure")

    ended = cli("caption", film, "--wait", "--json")

    assert ended.code == 5
    assert ended.json["error"]["kind"] == "CaptionFailed"
    assert "captioning failed" in ended.err


def test_a_caption_that_does_not_come_ends_with_5(cli, film, reaching):
    """The wait has an end, which tells how it can go on."""
    reaching.faults.add(callback="missing")

    ended = cli("caption", film, "--wait", "--timeout", "0.05")

    assert ended.code == 5
    assert "within 0.05 s" in ended.err
    assert "It may still arrive: memories-async resume " in ended.err


def test_a_lost_reply_does_not_lose_the_caption(cli, film, reaching):
    """The submission arrived, so its callback comes."""
    reaching.faults.add(kind="drop", when="after")

    ended = cli("caption", film, "--wait", "--json")

    assert ended.code == 0
    assert ended.json["text"].endswith("A video.")
    assert ended.json["task_id"] is None
    assert reaching.account.calls == 1


def test_a_submission_that_was_lost_is_an_unknown_outcome(cli, film, reaching):
    """Neither reply nor callback: nobody knows, and that is said."""
    reaching.faults.add(kind="drop", when="before")

    ended = cli("caption", film, "--wait", "--timeout", "0.05")

    assert ended.code == 4
    assert "waiting for the callback in case it arrived" in ended.err
    assert "may have been charged" in ended.err


def test_the_installed_program_waits_and_ends(start, film, reaching):
    """The whole of it in a process of its own."""
    begun = time.monotonic()

    out, _ = start("caption", film, "--wait", "--json").communicate(timeout=30)

    assert json.loads(out)["text"].endswith("A video.")
    assert time.monotonic() - begun < 30


def test_caption_comes_in_the_reply_with_sync(cli, film, reaching):
    """Nothing listens, and no callback is sent."""
    ended = cli("caption", film, "--sync", "--thinking", "--reasoning-effort", "3")

    assert (ended.code, ended.out) == (0, "[fixed answer, nothing was computed] A video.\n")
    assert reaching.outbox.deliveries == ()
    assert [entry.route for entry in reaching.account.statement] == ["captions.upload_file_sync"]
    assert reaching.request_log[0].ignored_fields == ("reasoning_effort",)


def test_fields_of_ones_own_are_sent(cli, film, reaching):
    """JSON where the value is some, else text."""
    ended = cli("caption", film, "--sync", "--qa", "--extra", "language=de", "--extra", "n=[2]")

    assert ended.code == 0
    assert reaching.request_log[0].ignored_fields == ("qa", "language", "n")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--extra", "language"), "--extra must be NAME=VALUE, not 'language'"),
        (("--extra", "a=1", "--extra", "a=2"), "--extra a is given twice"),
        (("--extra", "user_prompt=x"), "extra must not hold 'user_prompt'"),
    ],
)
def test_a_wrong_field_is_refused_before_anything_is_sent(cli, film, reaching, words, told):
    """In one line that names it."""
    ended = cli("caption", film, "--sync", *words)

    assert (ended.code, reaching.account.calls) == (2, 0)
    assert told in ended.err
