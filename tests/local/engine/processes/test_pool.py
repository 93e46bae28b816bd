"""Answers come from processes beside this one: one at a time each, gone when idle, no loss when one dies."""

from __future__ import annotations

import io
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from memories_async.local.engine import _pixel_answers
from memories_async.local.engine.processes import child, pool, pool_child
from memories_async.local.engine.protocol import EngineFailed, Facts, SearchResult, UnreadableImage
from memories_async.local.engine.vision.embedding import embed
from memories_async.local.engine.vision.index import save

ANSWER = "memories_async.local.engine._pixel_answers:answer"


@pytest.fixture
def processes(monkeypatch):
    """Processes of the test's own, let go in the end."""
    processes = pool._Pool()
    monkeypatch.setattr(pool, "_POOL", processes)
    yield processes
    processes.close()


@pytest.fixture(scope="module")
def place(index, tmp_path_factory):
    """Where the film's index is kept."""
    path = tmp_path_factory.mktemp("kept") / "index.npz"
    save(index, path)
    return path


def pid(processes):
    return processes._idle[-1]._child.pid


def test_answers_as_the_functions_do(processes, place, index, jpeg):
    """The values are the same, to the last bit, on this side and on that."""
    assert pool.ask(Facts, ANSWER, "facts", place) == index.facts
    found = pool.ask(SearchResult, ANSWER, "search", place, jpeg(1.3), "quick \ud800 xylophone")
    assert found.clips[0].start_time == 0
    assert found.ignored[-1] == "xylophone"
    assert pool.ask(tuple[float, ...], ANSWER, "embed", place, 64) == embed(index.summary, 64)


def test_one_process_answers_one_after_another(processes, place):
    """Its start is paid once, and it holds the index."""
    pool.ask(Facts, ANSWER, "facts", place)
    first = pid(processes)
    pool.ask(Facts, ANSWER, "facts", place)

    assert pid(processes) == first
    assert len(processes._idle) == 1


def test_several_threads_share_few_processes(processes, place):
    """No more than there are cores, however many ask."""
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: pool.ask(Facts, ANSWER, "facts", place), range(16)))

    assert len(set(answers)) == 1
    assert 1 <= len(processes._idle) <= pool._MOST


def test_says_that_there_is_no_such_index(processes, place, tmp_path):
    """Neither a file that is missing nor one that is damaged."""
    (tmp_path / "damaged.npz").write_bytes(place.read_bytes()[:-2000])

    assert pool.ask(Facts, ANSWER, "facts", tmp_path / "none.npz") is None
    assert pool.ask(Facts, ANSWER, "facts", tmp_path / "damaged.npz") is None


def test_notices_an_index_that_was_taken_away_and_came_back(processes, place, tmp_path):
    """What it holds in memory follows the disk."""
    mine = tmp_path / "mine.npz"
    told = []
    for present in (True, False, True):
        mine.write_bytes(place.read_bytes()) if present else mine.unlink()
        told.append(pool.ask(Facts, ANSWER, "facts", mine) is not None)

    assert told == [True, False, True]


def test_a_bad_picture_is_refused_with_its_reason(processes, place):
    """The process goes on."""
    with pytest.raises(UnreadableImage, match="damaged or in a format"):
        pool.ask(SearchResult, ANSWER, "search", place, b"no picture", "x")
    assert processes._idle[-1].is_alive


def test_a_fault_of_our_own_is_told_apart(processes, place):
    """It says nothing about the picture."""
    with pytest.raises(EngineFailed, match="KeyError: 'nonsense'"):
        pool.ask(Facts, ANSWER, "nonsense", place)


def test_every_end_of_a_question_has_its_word(place, tmp_path, monkeypatch):
    """An answer, nothing, a refusal, a failure on purpose and one by mistake."""

    def failing(*_):
        raise EngineFailed("no more")

    monkeypatch.setitem(_pixel_answers._ANSWERS, "caption", failing)

    assert pool_child.answer(ANSWER, "facts", place)["answer"]["frames"] == 216
    assert pool_child.answer(ANSWER, "facts", tmp_path / "none.npz") == {"answer": None}
    assert pool_child.answer(ANSWER, "search", place, b"", "x") == {
        "unreadable": "the picture is empty"
    }
    assert pool_child.answer(ANSWER, "caption", place) == {"failed": "no more"}
    assert pool_child.answer(ANSWER, "embed", place)["failed"].startswith(
        "answering failed: TypeError: "
    )


def test_a_process_that_dies_fails_one_question(processes, place):
    """The next one is put to another."""
    pool.ask(Facts, ANSWER, "facts", place)
    victim = processes._idle[-1]
    killer = threading.Timer(0.05, os.kill, (victim._child.pid, signal.SIGKILL))
    os.kill(victim._child.pid, signal.SIGSTOP)
    killer.start()

    with pytest.raises(EngineFailed, match="died"):
        pool.ask(Facts, ANSWER, "facts", place)
    assert pool.ask(Facts, ANSWER, "facts", place).frames == 216


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no such clock on Windows")
def test_a_process_that_hangs_is_ended(processes, place):
    """Nobody waits for ever."""
    with pytest.raises(EngineFailed, match="took too long"):
        pool.ask(Facts, ANSWER, "facts", place, seconds=1e-6)

    assert pool.ask(Facts, ANSWER, "facts", place).frames == 216


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no such clock on Windows")
def test_the_clock_runs_while_a_question_is_answered():
    """It is the system's, and stops what hangs in native code, too."""
    pool_child._set_time_limit(50)
    left, _ = signal.getitimer(signal.ITIMER_REAL)
    pool_child._set_time_limit(0)

    assert 40 < left <= 50
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_the_time_of_a_question_is_its_own(place, monkeypatch):
    """The clock is stopped after each answer; the last question is the end."""
    limits, answers = [], io.BytesIO()
    questions = io.BytesIO(
        pickle.dumps((5, ANSWER, "facts", place)) + pickle.dumps((7, ANSWER, "facts", place))
    )
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(questions))
    monkeypatch.setattr(pool_child, "_set_time_limit", limits.append)
    monkeypatch.setattr(pool_child, "_reserve_output", lambda: answers)
    monkeypatch.setattr(pool_child, "_wait_for_question", lambda _: True)
    monkeypatch.setattr(pool_child, "bound_memory", lambda: None)
    monkeypatch.setattr(signal, "signal", lambda *_: None)

    assert pool_child.main() == 0
    assert limits == [5, 0, 7, 0]
    assert len(answers.getvalue().splitlines()) == 2


def test_a_process_that_left_is_replaced_in_silence(processes, place):
    """Whether it was seen to be gone before the question, or went while it was put."""
    pool.ask(Facts, ANSWER, "facts", place)
    processes._idle[-1]._child.stdin.close()
    processes._idle[-1]._child.wait(5)
    assert pool.ask(Facts, ANSWER, "facts", place) is not None

    leaving = processes._idle.pop()
    leaving._child.kill()
    leaving._child.wait(5)
    leaving._child.returncode = 0
    assert processes._ask_one((5, ANSWER, "facts", place), leaving) is None


@pytest.mark.parametrize(
    ("program", "reason"),
    [("1/0", "ZeroDivisionError"), ("", "end at once"), ("raise SystemExit(1)", "no message")],
)
def test_a_process_that_cannot_begin_says_why(processes, place, monkeypatch, program, reason):
    """A broken installation of OpenCV is told as such."""
    monkeypatch.setattr(child, "_START", program)

    with pytest.raises(EngineFailed, match=reason):
        pool.ask(Facts, ANSWER, "facts", place)


def test_one_who_is_interrupted_leaves_no_half_asked_process(processes, place, monkeypatch):
    """Its answer would go to the next one who asks."""
    pool.ask(Facts, ANSWER, "facts", place)
    process = processes._idle[-1]
    monkeypatch.setattr(process, "ask", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))

    with pytest.raises(KeyboardInterrupt):
        pool.ask(Facts, ANSWER, "facts", place)
    assert processes._idle == []
    assert not process.is_alive


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on Windows")
def test_a_fork_begins_anew(place):
    """The processes stay its parent's, which goes on using them."""
    code = (
        "import os, sys; from pathlib import Path\n"
        "from memories_async.local.engine.processes import pool\n"
        "from memories_async.local.engine.protocol import Facts\n"
        "def who():\n"
        "    pool.ask(Facts, 'memories_async.local.engine._pixel_answers:answer', 'facts', Path(sys.argv[1]))\n"
        "    return pool._POOL._idle[0]._child.pid\n"
        "mine, fork = who(), os.fork()\n"
        "if not fork:\n"
        "    sys.exit(0 if who() != mine else 'shared')\n"
        "_, status = os.waitpid(fork, 0)\n"
        "sys.exit(status != 0 or who() != mine)"
    )
    command = [sys.executable, "-W", "error", "-c", code, str(place)]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")


def test_a_fork_gives_the_turns_back(processes, place):
    """Who had them stayed behind."""
    for _ in range(pool._MOST):
        processes._slots.acquire()

    processes.reset_slots()

    assert pool.ask(Facts, ANSWER, "facts", place) is not None


def test_ends_with_this_process_and_after_a_silence(place, monkeypatch):
    """Neither leaves anything behind."""
    code = (
        "import sys; from pathlib import Path\n"
        "from memories_async.local.engine.processes import pool\n"
        "from memories_async.local.engine.protocol import Facts\n"
        "pool.ask(Facts, 'memories_async.local.engine._pixel_answers:answer', 'facts', Path(sys.argv[1]))\n"
        "print(pool._POOL._idle[0]._child.pid)"
    )
    command = [sys.executable, "-W", "error", "-c", code, str(place)]
    said = subprocess.run(command, capture_output=True, text=True, check=True)
    monkeypatch.setattr(pool_child, "_PATIENCE", 0.01)
    silent, voice = os.pipe()

    assert said.stderr == ""
    with pytest.raises(ProcessLookupError):
        os.kill(int(said.stdout), 0)
    with os.fdopen(silent, "rb") as questions:
        began = time.monotonic()
        assert not pool_child._wait_for_question(questions)
        assert time.monotonic() - began < 5
    os.close(voice)


def test_the_process_answers_line_by_line(place, index, monkeypatch):
    """What a decoder prints goes to the errors, not among the answers."""
    questions = pickle.dumps((5, ANSWER, "facts", place)) * 2
    command = child.build_command("pool_child")

    done = subprocess.run(command, input=questions, capture_output=True, check=True)

    lines = done.stdout.splitlines()
    assert len(lines) == 2
    assert lines[0] == lines[1]
    assert str(index.facts.frames).encode() in lines[0]
