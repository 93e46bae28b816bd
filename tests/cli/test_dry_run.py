"""What a dry run says of each kind of call."""

from __future__ import annotations

import pytest

from memories_async import Person, captions
from memories_async._protocol.call import Call, Fields, Json
from memories_async._protocol.reply import Host
from memories_async.cli._dry_run import show_dry_run
from memories_async.cli._screen import Screen
from memories_async.cli._settings import Configuration


@pytest.fixture
def dry(capsys):
    """Show a call as a dry run."""

    def dry(call, **environment):
        show_dry_run(Screen(), call, Configuration.read(None, environment))
        return capsys.readouterr().out

    return dry


def _call(body, **changes):
    return Call(
        name="videos.list",
        host=Host.SEARCH,
        path="/list",
        body=body,
        family="video_list",
        unit=None,
        repeatable=True,
        decode=str,
        **changes,
    )


def test_files_are_counted_and_measured(dry, picture, film):
    """Video first, then a picture for each person, as the service will get them."""
    call = captions.upload_file(
        film,
        user_prompt="What?",
        system_prompt="You see.",
        persons=[Person("Alice", image=picture), Person("Bob", image=b"GIF8 and so on")],
    )

    shown = dry(call, MEMORIES_CAPTION_API_KEY="local-1")

    assert f"files[0]       {film}: 18 bytes, sent as video.mp4" in shown
    assert f"files[1]       {picture}: " in shown
    assert "files[2]       bytes: 14 bytes, sent as Bob.gif" in shown
    assert "callback       (filled in when sent)" in shown
    assert 'persons        [{"name": "Alice"}, {"name": "Bob"}]' in shown
    assert "key            from MEMORIES_CAPTION_API_KEY" in shown
    assert "another task, charged again" in shown


def test_free_calls_are_marked_as_free(dry):
    """No unit, no cost, no fear of a repeat."""
    shown = dry(_call(None, method="GET", query=(("page", "2"),)))

    assert "GET https://api.memories.ai/list?page=2" in shown
    assert "cost     nothing" in shown
    assert "repeat   free" in shown
    assert "5 a second" in shown


def test_other_bodies_are_shown_too(dry):
    """Form fields, and a bare array."""
    assert "folder   7" in dry(_call(Fields((("folder", "7"),))))
    assert 'body     ["VI1", "VI2"]' in dry(_call(Json(("VI1", "VI2"))))
    assert "cost     nothing" in dry(_call(None))


def test_a_slow_rate_is_shown_with_its_period(dry):
    """Nobody thinks in 0.0167 a second."""
    shown = dry(_call(None), MEMORIES_VIDEO_LIST_RATE="1/60")

    assert "1 every 60 s" in shown
