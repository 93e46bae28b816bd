"""The pool's processes answer one question at a time, end when idle, and are replaced when they die."""

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
    """A pool of the test's own."""
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


def test_answers_equal_those_of_the_functions(processes, place, index, jpeg):
    """To the last bit, across the process border."""
    assert pool.ask(Facts, ANSWER, "facts", place) == index.facts
    found = pool.ask(SearchResult, ANSWER, "search", place, jpeg(1.3), "quick \ud800 xylophone")
    assert found.clips[0].start_time == 0
    assert found.ignored[-1] == "xylophone"
    assert pool.ask(tuple[float, ...], ANSWER, "embed", place, 64) == embed(index.summary, 64)


def test_idle_process_is_used_again(processes, place):
    """It started once, and holds the index."""
    pool.ask(Facts, ANSWER, "facts", place)
    first = pid(processes)
    pool.ask(Facts, ANSWER, "facts", place)

    assert pid(processes) == first
    assert len(processes._idle) == 1


def test_threads_share_at_most_four_processes(processes, place):
    """The pool starts no more workers than there are cores."""
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: pool.ask(Facts, ANSWER, "facts", place), range(16)))

    assert len(set(answers)) == 1
    assert 1 <= len(processes._idle) <= pool._MOST


def test_missing_or_damaged_index_is_answered_with_none(processes, place, tmp_path):
    """The caller may build it again."""
    (tmp_path / "damaged.npz").write_bytes(place.read_bytes()[:-2000])

    assert pool.ask(Facts, ANSWER, "facts", tmp_path / "none.npz") is None
    assert pool.ask(Facts, ANSWER, "facts", tmp_path / "damaged.npz") is None


def test_index_that_is_deleted_and_restored_is_noticed(processes, place, tmp_path):
    """Indexes held in memory follow the disk."""
    mine = tmp_path / "mine.npz"
    told = []
    for present in (True, False, True):
        mine.write_bytes(place.read_bytes()) if present else mine.unlink()
        told.append(pool.ask(Facts, ANSWER, "facts", mine) is not None)

    assert told == [True, False, True]


def test_bad_picture_is_refused_and_the_process_goes_on(processes, place):
    """The reason crosses the process border."""
    with pytest.raises(UnreadableImage, match="damaged or in a format"):
        pool.ask(SearchResult, ANSWER, "search", place, b"no picture", "x")
    assert processes._idle[-1].is_alive


def test_programming_error_is_an_engine_failure(processes, place):
    """It says nothing about the video or the picture."""
    with pytest.raises(EngineFailed, match="KeyError: 'nonsense'"):
        pool.ask(Facts, ANSWER, "nonsense", place)


def test_child_reports_answer_none_refusal_and_failure(place, tmp_path, monkeypatch):
    """Each in its own field."""

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


def test_killed_process_fails_one_question(processes, place):
    """The next question is put to another process."""
    pool.ask(Facts, ANSWER, "facts", place)
    victim = processes._idle[-1]
    killer = threading.Timer(0.05, os.kill, (victim._child.pid, signal.SIGKILL))
    os.kill(victim._child.pid, signal.SIGSTOP)
    killer.start()

    with pytest.raises(EngineFailed, match="died"):
        pool.ask(Facts, ANSWER, "facts", place)
    assert pool.ask(Facts, ANSWER, "facts", place).frames == 216


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no such clock on Windows")
def test_hanging_process_is_ended(processes, place):
    """After the question's time limit."""
    with pytest.raises(EngineFailed, match="took too long"):
        pool.ask(Facts, ANSWER, "facts", place, seconds=1e-6)

    assert pool.ask(Facts, ANSWER, "facts", place).frames == 216


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no such clock on Windows")
def test_time_limit_is_a_timer_of_the_system():
    """It ends native code that hangs, too."""
    pool_child._set_time_limit(50)
    left, _ = signal.getitimer(signal.ITIMER_REAL)
    pool_child._set_time_limit(0)

    assert 40 < left <= 50
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_timer_stops_after_each_answer(place, monkeypatch):
    """The child ends with the last question."""
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


def test_process_that_ended_for_want_of_work_is_replaced(processes, place):
    """Whether it ended before the question or during it."""
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
def test_process_that_cannot_start_reports_the_cause(
    processes, place, monkeypatch, program, reason
):
    """A broken installation of OpenCV, for example."""
    monkeypatch.setattr(child, "_START", program)

    with pytest.raises(EngineFailed, match=reason):
        pool.ask(Facts, ANSWER, "facts", place)


def test_interrupted_question_ends_its_process(processes, place, monkeypatch):
    """Its answer would be read by the next question."""
    pool.ask(Facts, ANSWER, "facts", place)
    process = processes._idle[-1]
    monkeypatch.setattr(process, "ask", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))

    with pytest.raises(KeyboardInterrupt):
        pool.ask(Facts, ANSWER, "facts", place)
    assert processes._idle == []
    assert not process.is_alive


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on Windows")
def test_forked_process_starts_its_own_children(place):
    """The parent keeps its own workers."""
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


def test_forked_process_has_all_slots_free(processes, place):
    """The threads that held some are gone."""
    for _ in range(pool._MOST):
        processes._slots.acquire()

    processes.reset_slots()

    assert pool.ask(Facts, ANSWER, "facts", place) is not None


def test_children_end_with_their_parent_and_after_thirty_idle_seconds(place, monkeypatch):
    """No process is left behind."""
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


def test_child_answers_one_line_per_question(place, index, monkeypatch):
    """What a decoder prints goes to the errors, not among the answers."""
    questions = pickle.dumps((5, ANSWER, "facts", place)) * 2
    command = child.build_command("pool_child")

    done = subprocess.run(command, input=questions, capture_output=True, check=True)

    lines = done.stdout.splitlines()
    assert len(lines) == 2
    assert lines[0] == lines[1]
    assert str(index.facts.frames).encode() in lines[0]
