"""An index is complete, bounded in size, and deterministic."""

from __future__ import annotations

from bisect import bisect_right

import cv2
import numpy as np
import pytest

from memories_async.local.engine.video.scenery import KINDS, paint
from memories_async.local.engine.vision import indexing
from memories_async.local.engine.vision.indexing import index_video


def test_shots_are_found_where_they_were_rendered(index, rendered):
    """Within an eighth of a second."""
    found = [shot.start_time for shot in index.facts.shots]

    assert found == pytest.approx([shot.start_time for shot in rendered[1]], abs=0.13)
    assert index.facts.shots[-1].end_time == index.facts.duration


def test_every_sample_is_described(index):
    """All arrays have as many rows as there are samples."""
    samples = index.samples
    count = len(samples.times)

    assert count == 18
    assert [len(rows) for rows in (samples.looks.colours, samples.colours, samples.sharpness)] == [
        count
    ] * 3
    assert samples.starts[0] == 0
    assert samples.starts[-1] == len(samples.points) == len(samples.points.descriptors)
    assert len(samples.starts) == count + 1


@pytest.fixture
def long_film(tmp_path):
    """A film of 80 seconds: a place, in which others are shown for one to three seconds."""
    path = tmp_path / "long.mp4"
    places = [paint(kind, np.random.default_rng(1), (160, 90)) for kind in sorted(KINDS)]
    borders = [0.0]
    for number, length in enumerate((1.0, 3.0, 2.0, 1.5, 2.5)):
        borders += [10.0 + number * 15, 10.0 + number * 15 + length]
    film = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 8, (160, 90))
    for at in range(640):
        shot = bisect_right(borders, at / 8) - 1
        film.write(places[0 if shot % 2 == 0 else 1 + shot // 2])
    film.release()
    return path, borders


@pytest.mark.parametrize("most", [10, 40])
def test_every_shot_keeps_a_sample(long_film, monkeypatch, most):
    """Samples lie up to eight seconds apart; a shot that is shorter has one."""
    monkeypatch.setattr(indexing, "_MOST", most)
    path, borders = long_film

    index = index_video(path)

    assert [one.start_time for one in index.facts.shots] == pytest.approx(borders, abs=0.13)
    assert set(index.shot_numbers.tolist()) == set(range(len(borders)))
    assert len(index.samples.times) <= most + len(borders)
    assert (np.diff(index.samples.times) > 0).all()


def test_short_shots_are_sampled_up_to_a_number(long_film, monkeypatch):
    """Memory is bounded, whatever the film."""
    monkeypatch.setattr(indexing, "_MOST", 10)
    monkeypatch.setattr(indexing, "_MOST_SHORT", 2)

    index = index_video(long_film[0])

    assert len(index.samples.times) <= 12


def test_long_film_is_sampled_more_sparsely(film, monkeypatch):
    """Memory is bounded; the samples cover the whole film."""
    monkeypatch.setattr(indexing, "_MOST", 6)

    times = index_video(film).samples.times

    assert times.tolist() == pytest.approx([0, 2, 4, 6, 8], abs=0.05)


def test_film_without_points_is_indexed(tmp_path):
    """A plain picture has none."""
    path = tmp_path / "plain.mp4"
    film = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 8, (64, 48))
    for _ in range(16):
        film.write(np.full((48, 64, 3), 90, np.uint8))
    film.release()

    index = index_video(path)

    assert len(index.samples.points) == 0
    assert index.facts.shots[0].end_time == pytest.approx(2.0)


def test_film_with_missing_frames_is_incomplete(film, tmp_path):
    """The container promises more than can be decoded."""
    content = film.read_bytes()
    data = content.index(b"mdat")
    path = tmp_path / "hollow.mp4"
    hole = (len(content) - data) // 2
    path.write_bytes(content[: data + 2000] + bytes(hole) + content[data + 2000 + hole :])

    assert not index_video(path).facts.complete


def test_whole_film_is_complete(index):
    """All frames that the container promises were decoded."""
    assert index.facts.complete
