"""The stills that a model is shown are the right frames, and are cached."""

from __future__ import annotations

import json

import pytest

from memories_async.local.engine.models import stills
from memories_async.local.engine.protocol import Facts, Shot
from memories_async.local.engine.video.render import render


@pytest.fixture(scope="module")
def taken(tmp_path_factory):
    """The folder in which frames are kept."""
    return tmp_path_factory.mktemp("taken")


@pytest.fixture
def take(film, taken):
    """Load two stills of the film, which are taken if they are not cached."""
    return lambda: stills.load_stills(film, taken, times=(1.0, 2.0), seconds=60)


def test_stills_are_taken_once(take, monkeypatch):
    """Another process finds them in the cache."""
    first = take()
    monkeypatch.setattr(stills, "run_in_child", lambda *_, **__: pytest.fail("taken again"))

    assert take() == first


@pytest.mark.parametrize("damage", [b"", b"{", b"[1]", b"7", b'[["x", "y"]]', b"\xff"])
def test_damaged_stills_are_taken_again(take, taken, damage):
    """The cache may hold half a file."""
    first = take()
    (path,) = taken.iterdir()
    path.write_bytes(damage)

    assert take() == first


@pytest.mark.parametrize("count", [1, 3, 10, 40])
def test_eight_to_sixteen_times_are_chosen(count):
    """They rise, and lie within the longest shots."""
    shots = tuple(Shot(start_time=2.0 * at, end_time=2.0 * at + 2) for at in range(count))
    facts = Facts(duration=2.0 * count, width=8, height=8, fps=8, frames=16 * count, shots=shots)

    times = stills.choose_times(facts)

    assert 8 <= len(times) <= 16
    assert list(times) == sorted(set(times))
    assert 0 < times[0] < times[-1] < facts.duration


def test_task_writes_the_stills(film, tmp_path):
    """Called here in this process."""
    settings = json.dumps({"times": [1.0, 2.0], "longest": 100, "quality": 50})

    stills.take_stills(str(film), str(tmp_path / "stills.json"), settings)

    assert [one.time for one in stills._read(tmp_path / "stills.json")] == [1.0, 2.0]


def take_at(film, times):
    """Take the stills of a film at *times*, and return the seconds from which they are shown."""
    return [one.time for one in stills.load_stills(film, None, times=times, seconds=60)]


@pytest.mark.parametrize(
    ("times", "shown"),
    [
        ((1.01, 2.0), [1.0, 2.0]),
        ((1.01, 1.02, 1.03), [1.0]),
        ((8.0, 99.0), [8.0, 8.96]),
        ((0.001,), [0.0]),
    ],
)
def test_stills_are_the_frames_shown_at_the_times(film, times, shown):
    """Each frame once; the last one stays for ever."""
    assert take_at(film, times) == pytest.approx(shown, abs=0.03)


def test_film_of_one_frame_has_one_still(tmp_path):
    """Whatever times are asked for."""
    path = tmp_path / "one.mp4"
    render(path, seconds=0.04, scenes=1, size=(160, 90))

    assert take_at(path, (0.002, 0.02)) == [0.0]
