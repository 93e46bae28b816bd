"""Ctrl-C and SIGTERM: exit code 130, and what they may have cost."""

from __future__ import annotations

import json
import signal
import time

import pytest


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_says_what_it_may_have_cost(start, video, service, number):
    """The request was sent, so it may be charged."""
    service.faults.add(kind="delay", seconds=30)
    process = start("embed", video.asset_id, "--json")
    while not service.account.calls:
        assert process.poll() is None
        time.sleep(0.01)

    process.send_signal(number)
    out, err = process.communicate(timeout=20)

    assert process.returncode == 130
    assert json.loads(out)["error"]["billed"] == "maybe"
    assert "embeddings.video was in flight" in err


def test_the_message_of_an_interrupt_depends_on_the_state_of_the_call():
    """Nothing at all, a request, or a task that is paid and not shown yet."""
    from memories_async.cli._calls import CallObserver
    from memories_async.cli._run import CommandRun
    from memories_async.events import Sending

    idle, sending, waiting = (
        CommandRun(),
        CommandRun(),
        CommandRun(paid_note="task t was accepted and charged"),
    )
    CallObserver(sending)(
        Sending(call_id="1", call="clips.search", attempt=1, waited=0, method="POST", url="")
    )

    assert idle.describe_interrupt().line() == "interrupted."
    assert "clips.search was in flight; it may have" in sending.describe_interrupt().line()
    assert waiting.describe_interrupt().line() == "interrupted; task t was accepted and charged."
    bills = [run.describe_interrupt().billed for run in (idle, sending, waiting)]
    assert bills == ["no", "maybe", "yes"]


def test_a_free_call_in_flight_is_not_named():
    """Which calls are free is what each call says of itself when it begins."""
    from memories_async.cli._calls import CallObserver
    from memories_async.cli._run import CommandRun
    from memories_async.events import Began, Sending

    run = CommandRun()
    observe = CallObserver(run)
    for unit in (None, "search"):
        call = {"call_id": str(unit), "call": "a.call"}
        rest = dict.fromkeys(("price", "model", "item", "batch_id"))
        observe(Began(**call, **rest, base_url="", family="search", unit=unit, account="a"))
        observe(Sending(**call, attempt=1, waited=0, method="GET", url=""))
        assert (run.in_flight is None) == (unit is None)


def test_ctrl_c_ends_with_130(cli, monkeypatch, video):
    """Whatever was going on."""

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("memories_async.cli.embed.send", interrupt)

    ended = cli("embed", video.asset_id)

    assert ended.code == 130
    assert ended.err.strip() == "memories-async embed: interrupted."
