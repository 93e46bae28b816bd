"""The pixel engine as the service uses it: videos are indexed and answered in child processes."""

from __future__ import annotations

import gc
import platform
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
from memories_async.local.engine.vision import indexing

INDEX = "memories_async.local.engine.vision.indexing:write_index"


def test_engine_indexes_searches_embeds_and_captions(engine: Engine, film, jpeg):
    """All four by the protocol."""
    index = engine.index(film)

    assert engine.name == "pixels/7"
    assert engine.search(index, jpeg(1.3), "anything").clips[0].start_time == 0
    assert len(engine.embed(index, 512)) == 512
    assert "3 shots" in engine.caption(index, CaptionRequest(user_prompt="", system_prompt="")).text


def test_same_content_is_indexed_once(engine, film, tmp_path, monkeypatch):
    """A copy under another name is the same video."""
    first = engine.index(film)
    copy = tmp_path / "copy.mp4"
    copy.write_bytes(film.read_bytes())
    monkeypatch.setattr(pixels, "run_in_child", lambda *_, **__: pytest.fail("indexed again"))

    assert engine.index(copy).facts == first.facts


def test_engine_works_without_a_cache(foreign):
    """Its indexes last as long as the engine."""
    engine = PixelEngine()
    index = engine.index(foreign)

    assert index.facts.duration == pytest.approx(4, abs=0.1)
    assert len(engine.embed(index, 64)) == 64
    del engine
    gc.collect()
    assert not index.path.parent.exists()


def test_relative_cache_folder_is_resolved_when_the_engine_is_made(foreign, tmp_path, monkeypatch):
    """The child processes may have been started in another folder."""
    PixelEngine(tmp_path / "here").index(foreign)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")

    index = PixelEngine(Path("index")).index(foreign)

    assert index.facts.duration == pytest.approx(4, abs=0.1)
    assert (tmp_path / "elsewhere" / "index").is_dir()


def test_engine_answers_alike_from_several_threads(engine, film, jpeg):
    """It keeps no state between calls."""
    index = engine.index(film)
    pictures = [jpeg(second) for second in (1.3, 4.7, 7.6)]
    alone = [engine.search(index, picture, "red") for picture in pictures]

    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(lambda one: engine.search(index, one, "red"), pictures * 2))

    assert together == alone * 2


@pytest.mark.parametrize("content", [b"", b"no video" * 500])
def test_bad_file_is_refused_with_its_reason(engine, tmp_path, content):
    """The reason crosses the process border."""
    path = tmp_path / "bad.mp4"
    path.write_bytes(content)

    with pytest.raises(UnreadableVideo, match="empty" if not content else "no video that can"):
        engine.index(path)


def test_missing_file_is_refused(engine, tmp_path):
    """It cannot be hashed."""
    with pytest.raises(UnreadableVideo, match="cannot be opened"):
        engine.index(tmp_path / "missing.mp4")


def test_unusable_cache_folder_costs_no_answer(foreign, tmp_path, caplog):
    """The index lasts as long as the engine."""
    (tmp_path / "file").touch()
    engine = PixelEngine(tmp_path / "file")

    index = engine.index(foreign)

    assert len(engine.embed(index, 64)) == 64
    assert engine.index(foreign).path == index.path
    assert "nothing can be kept" in caplog.text


def test_index_that_cannot_be_written_is_written_elsewhere(foreign, tmp_path, monkeypatch):
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


def test_remaining_time_is_estimated_from_what_is_done(film, tmp_path, monkeypatch):
    """Nothing is said before and after, and where the file tells nothing."""
    engine, told = PixelEngine(tmp_path), []

    def index(task, source, result, *, seconds, running):
        told.append(engine.estimate_remaining(film))
        indexing.write_index(source, result)
        Path(f"{result}.progress").write_text("0.0001")
        told.append(engine.estimate_remaining(film))

    monkeypatch.setattr(pixels, "run_in_child", index)
    assert engine.estimate_remaining(film) is None
    engine.index(film)

    assert told[0] is None
    assert told[1] > 0
    assert engine.estimate_remaining(film) is None
    assert not list(tmp_path.glob("*.progress"))


def test_indexing_tells_the_share_that_is_done(film):
    """It rises to the end."""
    shares = []

    indexing.index_video(film, tell=shares.append)

    assert shares == sorted(shares)
    assert 0.4 < shares[-1] <= 1


def test_file_over_the_time_limit_is_refused(film, tmp_path):
    """The child process is killed."""
    with pytest.raises(UnreadableVideo, match=r"longer than 0\.01 s"):
        PixelEngine(tmp_path, time_limit=0.01).index(film)


def program(monkeypatch, text):
    """Replace the child's program."""
    monkeypatch.setattr(child, "_START", text)


def test_crashed_decoder_is_a_refusal_of_the_file(film, tmp_path, monkeypatch):
    """Only the child process ends."""
    program(monkeypatch, "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")

    with pytest.raises(UnreadableVideo, match="signal 11"):
        PixelEngine(tmp_path).index(film)


def test_decoder_killed_twice_is_an_engine_failure(film, tmp_path, monkeypatch):
    """The system kills where memory runs out; the film may be sound."""
    program(monkeypatch, "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")

    with pytest.raises(EngineFailed, match=r"the decoder was killed .signal 9.; is there enough"):
        PixelEngine(tmp_path).index(film)


def test_child_that_cannot_write_has_its_own_exit_code(tmp_path, monkeypatch):
    """It is no fault of the video."""
    program(monkeypatch, "import sys; sys.stdout.write('nothing can be kept'); sys.exit(4)")

    with pytest.raises(CacheFailed, match="nothing can be kept"):
        one_shot.run_in_child(INDEX, "video.mp4", "index.npz", seconds=60)


@pytest.mark.parametrize(
    ("text", "reason"), [("1/0", "ZeroDivisionError"), ("raise SystemExit(1)", "no message")]
)
def test_programming_error_is_an_engine_failure(film, tmp_path, monkeypatch, text, reason):
    """It says nothing about the video or the picture."""
    program(monkeypatch, text)

    with pytest.raises(EngineFailed, match=reason):
        PixelEngine(tmp_path).index(film)


def test_child_without_a_result_is_an_engine_failure(film, tmp_path, monkeypatch):
    """Its exit code said success."""
    program(monkeypatch, "")

    with pytest.raises(EngineFailed, match="cannot be read"):
        PixelEngine(tmp_path).index(film)


def test_child_writes_an_index_or_the_reason(film, tmp_path, capsys, monkeypatch):
    """The exit code says which."""
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


def test_deleted_index_is_built_again(foreign, tmp_path):
    """The cache may be emptied while the service runs."""
    engine = PixelEngine(tmp_path)
    index = engine.index(foreign)
    before = engine.embed(index, 64)
    index.path.unlink()

    assert engine.embed(index, 64) == before


def test_deleted_index_is_not_built_from_another_video(foreign, film, tmp_path):
    """The file at the video's path has been replaced."""
    engine, copy = PixelEngine(tmp_path / "cache"), tmp_path / "copy.mp4"
    copy.write_bytes(foreign.read_bytes())
    index = engine.index(copy)
    index.path.unlink()
    copy.write_bytes(film.read_bytes())

    with pytest.raises(EngineFailed, match="its video has changed"):
        engine.embed(index, 64)


def test_close_ends_the_indexing_under_way(film, tmp_path):
    """The engine can be used again."""
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


@pytest.mark.parametrize("name", ["OPENBLAS_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"])
def test_children_compute_in_one_thread_by_default(name, monkeypatch):
    """Several children share the cores already."""
    monkeypatch.delenv(name, raising=False)
    assert child.build_environment()[name] == "1"

    monkeypatch.setenv(name, "7")
    assert child.build_environment()[name] == "7"


DESCRIBE = """
import resource, cv2
import numpy as np
from memories_async.local.engine.video.film import Frame
from memories_async.local.engine.vision.indexing import _describe

picture = np.random.default_rng(1).integers(0, 255, (202, 360, 3), np.uint8)
faults = []
for at in range(8):
    _describe(Frame(time=at, picture=picture))
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
print(cv2.getNumThreads(), (faults[-1] - faults[2]) // 5)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="these settings are glibc's")
def test_child_describes_pictures_in_the_memory_of_those_before():
    """Without the settings the system hands out some 4,000 pages anew for each picture."""
    command = [sys.executable, "-c", DESCRIBE]
    environment = child.build_environment()

    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)

    threads, pages = said.stdout.split()
    assert threads == "1"
    assert int(pages) < 500


def test_index_of_another_engine_is_refused(engine, jpeg):
    """Mixing engines is a mistake of the caller."""

    class Other:
        facts = Facts(duration=1, width=1, height=1, fps=1, frames=1, shots=())

    with pytest.raises(TypeError, match="another engine"):
        engine.search(Other(), jpeg(1), "x")


@pytest.mark.parametrize("missing", ["cv2", "numpy", "av"])
def test_missing_package_names_the_extra(missing, monkeypatch):
    """From the engine and from its parts."""
    monkeypatch.setitem(sys.modules, missing, None)
    said = rf"needs {missing}: pip install 'memories_async\[local\]'"

    with pytest.raises(ModuleNotFoundError, match=said):
        PixelEngine()
    part = "video/container.py" if missing == "av" else "_cv.py"
    with pytest.raises(ModuleNotFoundError, match=said):
        runpy.run_path(str(Path(pixels.__file__).parent / part))


def test_protocol_and_engine_import_no_opencv():
    """They work without the extra."""
    code = (
        "import sys\n"
        "import memories_async.local.engine.protocol, memories_async.local.engine.pixels\n"
        "print([name for name in ('cv2', 'numpy') if name in sys.modules])"
    )

    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert said.stdout.strip() == "[]"
