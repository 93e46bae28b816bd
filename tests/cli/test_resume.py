"""resume: a wait for a caption that ended too early goes on, and gets what came meanwhile."""

from __future__ import annotations

import asyncio
import shlex
import signal

import pytest

from memories_async import Receiver


@pytest.fixture
def ended_early(start, film, calling_back):
    """End `caption --wait` by a signal before its callback comes; give what it told."""

    def run(number):
        calling_back.faults.add(callback="delay", seconds=0.5)
        process = start("caption", film, "--wait")
        told = ""
        while "continue with" not in told:
            line = process.stderr.readline()
            assert line, told
            told += line
        process.send_signal(number)
        return process, told + process.communicate(timeout=20)[1]

    return run


def _resumed(told) -> list[str]:
    """The words of the command that *told* names last."""
    return shlex.split(told.rpartition("memories-async ")[2].splitlines()[0])


def test_a_killed_wait_can_be_resumed(cli, calling_back, ended_early):
    """The command was told before it was needed, and receives on the same port."""
    _, told = ended_early(signal.SIGKILL)

    ended = cli(*_resumed(told), "--timeout", "20")

    assert ended.code == 0
    assert ended.out == "[fixed answer, nothing was computed] A video.\n"
    assert calling_back.account.paid == 1


def test_an_interrupted_wait_prints_how_to_resume(cli, ended_early):
    """Ctrl-C names the paid task once more, and the command."""
    process, told = ended_early(signal.SIGINT)

    assert process.returncode == 130
    assert "was accepted and charged" in told
    assert "Continue with: memories-async resume" in told.replace("\n", " ")
    assert cli(*_resumed(told), "--timeout", "20", "--json").json["text"].endswith("A video.")


def test_a_caption_that_arrived_before_is_shown_without_a_port(cli, film, calling_back, tmp_path):
    """From the store alone: no key, no service, nothing sent."""
    store = tmp_path / "mine.db"
    first = cli("caption", film, "--wait", "--store", store, "--json").json

    again = cli("resume", first["task_id"], "--store", store, "--json").json

    assert again == first
    assert calling_back.account.calls == 1


def test_a_task_that_nobody_submitted_here_is_refused(cli, tmp_path):
    """It would be waited for in vain."""
    ended = cli("resume", "8e03", "--store", tmp_path / "empty.db")

    assert ended.code == 2
    assert "empty.db knows no task 8e03" in ended.err
    assert "--store" in ended.err


def test_a_malformed_task_is_refused(cli):
    """Before anything is opened."""
    assert "a task must be written as str(task) writes it, not ''" in cli("resume", "").err


def test_a_wait_that_goes_on_ends_too(cli, film, calling_back):
    """It names itself again, as it was given; an interruption of it has cost nothing."""
    calling_back.faults.add(callback="missing")
    first = cli("caption", film, "--wait", "--timeout", "0.05")
    words = _resumed(first.err)

    ended = cli(*words, "--timeout", "0.05")

    assert ended.code == 5
    assert _resumed(ended.err) == words


def test_a_programs_receiver_takes_what_resume_waits_for(cli, film, calling_back, tmp_path):
    """Submitted and received in Python, waited for in the shell: they share the store."""
    receiver = Receiver("http://127.0.0.1:0", store=tmp_path / "program.db")

    async def submitted():
        async with receiver.serve(), calling_back.client(receiver=receiver) as client:
            task = await client.captions.upload_file(film, user_prompt="u", system_prompt="s")
            await receiver.wait(task, timeout=20)
            return task

    task = asyncio.run(submitted())
    receiver.close()

    assert cli("resume", task, "--store", tmp_path / "program.db").code == 0
