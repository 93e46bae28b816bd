"""Whatever damage a file has, the engine answers or refuses it; it never fails otherwise."""

from __future__ import annotations

import contextlib

import cv2
import numpy as np
import pytest

from memories_async.local.engine.facts.caption import write_caption
from memories_async.local.engine.protocol import CaptionRequest, UnreadableImage, UnreadableVideo
from memories_async.local.engine.search.clips import find_clips
from memories_async.local.engine.video.picture import decode, encode
from memories_async.local.engine.video.scenery import paint
from memories_async.local.engine.vision.embedding import embed
from memories_async.local.engine.vision.indexing import index_video


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The bytes of a small film."""
    path = tmp_path_factory.mktemp("small") / "film.mp4"
    place = paint("garden", np.random.default_rng(1), (200, 90))
    film = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 12, (160, 90))
    for at in range(24):
        film.write(np.ascontiguousarray(place[:, at : at + 160]))
    film.release()
    return path.read_bytes()


def damaged(content, seed):
    """Change bytes anywhere, or in the table of frames; cut the end off; take a piece out."""
    random = np.random.default_rng(seed)
    content = bytearray(content)
    start = content.index(b"moov") if seed % 4 == 1 else 0
    if seed % 4 < 2:
        for at in random.integers(start, len(content), 20).tolist():
            content[at] = int(random.integers(256))
    elif seed % 4 == 2:
        del content[int(random.integers(len(content))) :]
    else:
        at = int(random.integers(len(content)))
        del content[at : at + 300]
    return bytes(content)


@pytest.mark.parametrize("seed", range(24))
def test_damaged_film_is_answered_or_refused(small, tmp_path, seed):
    """The facts of what is left agree; all four questions have an answer."""
    path = tmp_path / "film.mp4"
    path.write_bytes(damaged(small, seed))

    try:
        index = index_video(path)
    except UnreadableVideo:
        return
    facts = index.facts
    assert 0 < facts.duration < 1e6
    assert facts.fps > 0
    end = facts.shots[-1].end_time
    assert end == pytest.approx(facts.start_time + facts.duration, abs=0.0015)
    picture = encode(paint("garden", np.random.default_rng(1), (200, 90)))
    found = find_clips(index, picture, "red moving")
    assert all(0 <= one.start_time <= one.end_time <= end for one in found.clips)
    assert len(embed(index.summary, 64)) == 64
    assert write_caption(index, CaptionRequest(user_prompt="all", system_prompt="")).text


@pytest.mark.parametrize("seed", range(24))
def test_damaged_picture_is_decoded_or_refused(seed):
    """No other error is raised."""
    picture = encode(paint("city", np.random.default_rng(2), (120, 80)))

    with contextlib.suppress(UnreadableImage):
        assert decode(damaged(picture + b"moov", seed)).ndim == 3


@pytest.mark.parametrize("plain", [True, False])
def test_film_of_one_frame_is_searched(tmp_path, plain):
    """One sample, one shot, and perhaps no points."""
    picture = np.full((90, 160, 3), 90, np.uint8)
    if not plain:
        picture = paint("city", np.random.default_rng(3), (160, 90))
    film = cv2.VideoWriter(
        str(tmp_path / "one.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 10, (160, 90)
    )
    film.write(picture)
    film.release()

    found = find_clips(index_video(tmp_path / "one.mp4"), encode(picture), "x")

    assert [(one.start_time, one.end_time) for one in found.clips] == (
        [] if plain else [(0.0, 0.1)]
    )
