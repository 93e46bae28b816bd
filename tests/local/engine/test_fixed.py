"""The fixed engine answers without OpenCV, and marks its answers."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest

from memories_async.local.engine.fixed import MARK, FixedEngine
from memories_async.local.engine.protocol import CaptionRequest, Engine, Match, UnreadableVideo


@pytest.fixture
def fixed() -> Engine:
    return FixedEngine()


@pytest.fixture
def video(tmp_path):
    path = tmp_path / "any.mp4"
    path.write_bytes(b"anything")
    return path


def test_fixed_engine_marks_its_answers(fixed, video):
    """In its name and in its captions."""
    told = fixed.caption(fixed.index(video), CaptionRequest(user_prompt="x", system_prompt="y"))

    assert fixed.name == "fixed/1"
    assert told.text.startswith(MARK)
    assert (told.input_tokens, told.output_tokens) == (2, -(-len(told.text) // 4))


def test_fixed_engine_returns_its_clips(video):
    """The prompt has no effect on it."""
    clip = Match(start_time=1, end_time=2, score=0.5)
    fixed = FixedEngine(clips=(clip,))

    found = fixed.search(fixed.index(video), b"", "red car")

    assert (found.clips, found.ignored) == ((clip,), ("red", "car"))


def test_same_content_has_the_same_embedding(fixed, video, tmp_path):
    """Of length 1; another file has another vector."""
    other = tmp_path / "other.mp4"
    other.write_bytes(b"something else")

    vector = fixed.embed(fixed.index(video), 512)

    assert math.fsum(value * value for value in vector) == pytest.approx(1)
    assert vector == fixed.embed(fixed.index(video), 512)
    assert vector != fixed.embed(fixed.index(other), 512)


def test_empty_and_missing_files_are_refused(fixed, tmp_path):
    """Each with its own reason."""
    (tmp_path / "empty.mp4").touch()

    with pytest.raises(UnreadableVideo, match="empty"):
        fixed.index(tmp_path / "empty.mp4")
    with pytest.raises(UnreadableVideo, match="cannot be opened"):
        fixed.index(tmp_path / "missing.mp4")


def test_index_of_another_engine_is_refused(fixed, index):
    """Mixing engines is a mistake of the caller."""
    with pytest.raises(TypeError, match="another engine"):
        fixed.embed(index, 8)


def test_fixed_engine_needs_no_opencv():
    """Nor numpy."""
    code = "import sys, memories_async.local.engine.fixed; print([n for n in ('cv2', 'numpy') if n in sys.modules])"

    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert said.stdout.strip() == "[]"
