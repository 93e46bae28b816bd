"""embed: shown short, whole for a program, written to a file; never paid and lost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest


def test_an_embedding_is_abbreviated_on_a_terminal(cli, video):
    """Nobody reads a thousand numbers."""
    ended = cli("embed", video.asset_id)

    assert ended.code == 0
    assert "numbers  8" in ended.out
    assert "charged: 1 embedding" in ended.err


def test_a_file_in_place_of_an_asset_id_is_refused_before_anything_is_sent(cli, film, service):
    """The message names the command that uploads it."""
    ended = cli("embed", film)

    assert (ended.code, service.account.calls) == (2, 0)
    assert f"is a file: `memories-async add --asset {film}` uploads it" in ended.err


def test_an_embedding_is_complete_in_json(cli, video, service):
    """Every number, exactly."""
    answer = cli("embed", video.asset_id, "--json").json

    assert answer["dimensions"] == len(answer["embedding"]) == 8
    with service.blocking_client() as client:
        assert answer["embedding"] == list(client.embeddings.video(video.asset_id))


@pytest.mark.parametrize("suffix", ["npy", "json"])
def test_an_embedding_is_written_to_a_file(cli, video, tmp_path, suffix):
    """numpy reads the one, everything the other."""
    numpy = pytest.importorskip("numpy")
    target = tmp_path / f"v.{suffix}"

    ended = cli("embed", video.asset_id, "--out", target, "--json")

    vector = numpy.load(target) if suffix == "npy" else json.loads(target.read_text())["embedding"]
    assert len(vector) == 8
    assert ended.json["out"] == str(target)
    assert str(target) in cli("embed", video.asset_id, "--out", target).out


@pytest.mark.parametrize("length", [1, 9, 10, 99, 100, 1024])
def test_a_written_vector_is_what_numpy_writes(length):
    """Byte for byte, whatever the length does to the header."""
    numpy = pytest.importorskip("numpy")
    import io

    from memories_async import Embedding
    from memories_async.cli.embed import encode_npy

    vector, expected = Embedding(range(1, length + 1), model="m"), io.BytesIO()
    numpy.save(expected, numpy.arange(1.0, length + 1))

    written = numpy.load(io.BytesIO(encode_npy(vector)))

    assert written.tolist() == list(vector)
    assert len(encode_npy(vector)) % 64 == (8 * length) % 64


@pytest.mark.parametrize("name", ["v.txt", "gone/v.npy", "folder.npy"])
def test_a_target_that_cannot_be_written_is_refused_before_anything_is_paid(
    cli, video, tmp_path, service, name
):
    """Paying first would waste a point."""
    (tmp_path / "folder.npy").mkdir()

    ended = cli("embed", video.asset_id, "--out", tmp_path / name)

    assert ended.code == 2
    assert "--out" in ended.err
    assert service.account.calls == 0


def test_an_embedding_that_cannot_be_written_after_all_is_not_lost(
    cli, video, tmp_path, monkeypatch
):
    """It was paid: then it goes to the screen."""
    monkeypatch.setattr(Path, "write_bytes", _disk_full)

    ended = cli("embed", video.asset_id, "--out", tmp_path / "v.npy")

    assert ended.code == 2
    assert len(ended.json["embedding"]) == 8
    assert "No space left" in ended.err


def _disk_full(*_):
    raise OSError(28, "No space left on device")
