"""The engine as the service uses it: indexing in a process of its own, answers from the index."""

from __future__ import annotations

import gc
import runpy
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from memories_async.local.engine import pixels
from memories_async.local.engine.content_cache import CacheFailed
from memories_async.local.engine.pixels import PixelEngine
from memories_async.local.engine.processes import child, one_shot, one_shot_child
from memories_async.local.engine.protocol import (
    CaptionRequest,
    Engine,
    EngineFailed,
    Facts,
    UnreadableVideo,
)
from memories_async.local.engine.vision import index as index_file

INDEX = "memories_async.local.engine.vision.indexing:write_index"


def test_answers_all_four_questions(engine: Engine, film, jpeg):
    """Index, search, embed, caption."""
    index = engine.index(film)

    assert engine.name == "pixels/4"
    assert engine.search(index, jpeg(1.3), "anything").clips[0].start_time == 0
    assert len(engine.embed(index, 512)) == 512
    assert "3 shots" in engine.caption(index, CaptionRequest(user_prompt="", system_prompt="")).text


def test_indexes_a_content_once(engine, film, tmp_path, monkeypatch):
    """A copy under another name is the same video."""
    first = engine.index(film)
    copy = tmp_path / "copy.mp4"
    copy.write_bytes(film.read_bytes())
    monkeypatch.setattr(pixels, "run_in_child", lambda *_, **__: pytest.fail("indexed again"))

    assert engine.index(copy).facts == first.facts


def test_works_without_a_cache(foreign):
    """Then its indexes last as long as the engine."""
    engine = PixelEngine()
    index = engine.index(foreign)

    assert index.facts.duration == pytest.approx(4, abs=0.1)
    assert len(engine.embed(index, 64)) == 64
    del engine
    gc.collect()
    assert not index.path.parent.exists()


def test_a_folder_is_meant_from_where_the_engine_was_made(foreign, tmp_path, monkeypatch):
    """Not from where those who answer were started, at any time before."""
    PixelEngine(tmp_path / "here").index(foreign)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")

    index = PixelEngine(Path("index")).index(foreign)

    assert index.facts.duration == pytest.approx(4, abs=0.1)
    assert (tmp_path / "elsewhere" / "index").is_dir()


def test_answers_the_same_from_several_threads(engine, film, jpeg):
    """The engine keeps no state between calls."""
    index = engine.index(film)
    pictures = [jpeg(second) for second in (1.3, 4.7, 7.6)]
    alone = [engine.search(index, picture, "red") for picture in pictures]

    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(lambda one: engine.search(index, one, "red"), pictures * 2))

    assert together == alone * 2


@pytest.mark.parametrize("content", [b"", b"no video" * 500])
def test_a_bad_file_is_refused_with_its_reason(engine, tmp_path, content):
    """The reason crosses the process border."""
    path = tmp_path / "bad.mp4"
    path.write_bytes(content)

    with pytest.raises(UnreadableVideo, match="empty" if not content else "no video that can"):
        engine.index(path)


def test_a_missing_file_is_refused(engine, tmp_path):
    """It cannot even be hashed."""
    with pytest.raises(UnreadableVideo, match="cannot be opened"):
        engine.index(tmp_path / "missing.mp4")


def test_a_folder_that_cannot_be_written_to_costs_no_answer(foreign, tmp_path, caplog):
    """A full disk is no fault of the video; the index lasts as long as the engine."""
    (tmp_path / "file").touch()
    engine = PixelEngine(tmp_path / "file")

    index = engine.index(foreign)

    assert len(engine.embed(index, 64)) == 64
    assert engine.index(foreign).path == index.path
    assert "nothing can be kept" in caplog.text


def test_an_index_that_cannot_be_written_is_written_elsewhere(foreign, tmp_path, monkeypatch):
    """The disk may fill up while the video is decoded."""
    full, run = tmp_path / "full", pixels.run_in_child

    def run_full(task, video, result, **settings):
        if Path(result).parent == full:
            raise CacheFailed(f"nothing can be kept in {full}: No space left on device")
        run(task, video, result, **settings)

    monkeypatch.setattr(pixels, "run_in_child", run_full)
    index = PixelEngine(full).index(foreign)

    assert index.path.parent != full
    assert index.facts.duration == pytest.approx(4, abs=0.1)


def test_a_file_that_takes_too_long_is_given_up(film, tmp_path):
    """The process is killed; the caller is told."""
    with pytest.raises(UnreadableVideo, match=r"longer than 0\.01 s"):
        PixelEngine(tmp_path, time_limit=0.01).index(film)


def program(monkeypatch, text):
    """Let a program of our own stand in for the worker."""
    monkeypatch.setattr(child, "_START", text)


def test_a_decoder_that_dies_takes_nothing_down(film, tmp_path, monkeypatch):
    """A crash of native code ends the worker, not the service."""
    program(monkeypatch, "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")

    with pytest.raises(UnreadableVideo, match="signal 11"):
        PixelEngine(tmp_path).index(film)


def test_a_decoder_that_is_killed_twice_says_nothing_of_the_film(film, tmp_path, monkeypatch):
    """The system kills where memory runs out; the film may be sound."""
    program(monkeypatch, "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")

    with pytest.raises(EngineFailed, match=r"the decoder was killed .signal 9.; is there enough"):
        PixelEngine(tmp_path).index(film)


def test_a_child_that_cannot_write_says_so(tmp_path, monkeypatch):
    """Its own exit code tells it from a fault of the video."""
    program(monkeypatch, "import sys; sys.stdout.write('nothing can be kept'); sys.exit(4)")

    with pytest.raises(CacheFailed, match="nothing can be kept"):
        one_shot.run_in_child(INDEX, "video.mp4", "index.npz", seconds=60)


@pytest.mark.parametrize(
    ("text", "reason"), [("1/0", "ZeroDivisionError"), ("raise SystemExit(1)", "no message")]
)
def test_a_fault_of_our_own_is_told_apart(film, tmp_path, monkeypatch, text, reason):
    """It says nothing about the video."""
    program(monkeypatch, text)

    with pytest.raises(EngineFailed, match=reason):
        PixelEngine(tmp_path).index(film)


def test_a_worker_that_writes_nothing_is_a_fault(film, tmp_path, monkeypatch):
    """Success without a result is none."""
    program(monkeypatch, "")

    with pytest.raises(EngineFailed, match="cannot be read"):
        PixelEngine(tmp_path).index(film)


def test_the_worker_writes_an_index_or_says_why_not(film, tmp_path, capsys, monkeypatch):
    """Zero and a file, or three and a reason."""
    for name in ("bound_memory", "end_with_parent", "lower_priority"):
        monkeypatch.setattr(one_shot_child, name, lambda: None)
    (tmp_path / "empty.mp4").touch()

    assert one_shot_child.main(INDEX, str(film), str(tmp_path / "index.npz")) == 0
    assert index_file.load(tmp_path / "index.npz").facts.frames == 216
    assert (
        one_shot_child.main(INDEX, str(tmp_path / "empty.mp4"), "unused") == one_shot_child.REFUSED
    )
    assert capsys.readouterr().out == "the file is empty"
    (tmp_path / "file").touch()
    place = str(tmp_path / "file" / "index.npz")
    assert one_shot_child.main(INDEX, str(film), place) == one_shot_child.NOT_WRITTEN
    assert "nothing can be kept in" in capsys.readouterr().out


def test_an_index_that_was_removed_is_built_anew(foreign, tmp_path):
    """Somebody may empty the folder while the service runs."""
    engine = PixelEngine(tmp_path)
    index = engine.index(foreign)
    before = engine.embed(index, 64)
    index.path.unlink()

    assert engine.embed(index, 64) == before


def test_an_index_that_was_removed_is_not_built_of_another_video(foreign, film, tmp_path):
    """The file under its name is another one by now."""
    engine, copy = PixelEngine(tmp_path / "cache"), tmp_path / "copy.mp4"
    copy.write_bytes(foreign.read_bytes())
    index = engine.index(copy)
    index.path.unlink()
    copy.write_bytes(film.read_bytes())

    with pytest.raises(EngineFailed, match="its video has changed"):
        engine.embed(index, 64)


def test_ends_what_it_has_under_way(film, tmp_path):
    """And can be used again."""
    engine = PixelEngine(tmp_path)

    class Ended(set):
        def add(self, child):
            super().add(child)
            engine.close()

    engine._running = Ended()
    with pytest.raises(EngineFailed, match="interrupted"):
        engine.index(film)
    engine._running = set()
    assert engine.index(film).facts.frames == 216


def test_its_processes_multiply_in_one_thread_unless_told_otherwise(monkeypatch):
    """Several of them share the cores already."""
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    assert child.build_environment()["OPENBLAS_NUM_THREADS"] == "1"

    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "7")
    assert child.build_environment()["OPENBLAS_NUM_THREADS"] == "7"


def test_refuses_the_index_of_another_engine(engine, jpeg):
    """Mixed engines are a mistake of the caller."""

    class Other:
        facts = Facts(duration=1, width=1, height=1, fps=1, frames=1, shots=())

    with pytest.raises(TypeError, match="another engine"):
        engine.search(Other(), jpeg(1), "x")


@pytest.mark.parametrize("missing", ["cv2", "numpy", "av"])
def test_says_what_to_install_where_something_is_missing(missing, monkeypatch):
    """One sentence, naming the extra, from the engine and from its parts."""
    monkeypatch.setitem(sys.modules, missing, None)
    said = rf"needs {missing}: pip install 'memories_async\[local\]'"

    with pytest.raises(ModuleNotFoundError, match=said):
        PixelEngine()
    part = "video/decoder.py" if missing == "av" else "_cv.py"
    with pytest.raises(ModuleNotFoundError, match=said):
        runpy.run_path(str(Path(pixels.__file__).parent / part))


def test_importing_protocol_and_front_imports_no_opencv():
    """They stand in the way of nobody without the extra."""
    code = (
        "import sys\n"
        "import memories_async.local.engine.protocol, memories_async.local.engine.pixels\n"
        "print([name for name in ('cv2', 'numpy') if name in sys.modules])"
    )

    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert said.stdout.strip() == "[]"
