"""An hour of video is indexed in bounded memory."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytest.importorskip("av", reason="PyAV writes the films")
pytest.importorskip("cv2", reason="needs the extra `local`")

from films import even, write

from memories_async.local.engine.processes import child
from memories_async.local.engine.processes.pool import ask
from memories_async.local.engine.protocol import Facts

INDEX = "memories_async.local.engine.vision.indexing:write_index"
ANSWER = "memories_async.local.engine._pixel_answers:answer"
MEMORY = """
import resource, subprocess, sys
assert subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE).wait() == 0
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "wait4"), reason="asks the system for a process's memory")
def test_an_hour_is_indexed_in_bounded_memory(tmp_path):
    """Its samples lie further apart; half an hour takes as much."""
    path, kept = tmp_path / "hour.mp4", tmp_path / "hour.npz"
    write(path, even(1, 3600), cut=1800, size=(96, 54), rate=1, preset="ultrafast")
    given = child.build_command("one_shot_child", INDEX, str(path), str(kept))
    # Started by a small process: the system counts what was there before the program itself, too.
    command = [sys.executable, "-c", MEMORY, *given]
    said = subprocess.run(command, env=child.build_environment(), capture_output=True, check=True)

    facts = ask(Facts, ANSWER, "facts", kept)
    assert int(said.stdout) / 1024 < 400
    assert (facts.duration, facts.frames) == (3600.0, 3600)
    assert [shot.start_time for shot in facts.shots] == [0, pytest.approx(1800, abs=1)]
