"""A saved index is loaded unchanged; a damaged one counts as missing."""

from __future__ import annotations

import attrs
import numpy as np
import pytest

from memories_async.local.engine.content_cache import CacheFailed
from memories_async.local.engine.vision.index import load, save


def same(left, right):
    """Compare indexes, arrays and all."""
    return all(np.array_equal(a, b) for a, b in zip(flat(left), flat(right), strict=True))


def flat(value):
    if attrs.has(type(value)):
        for field in attrs.fields(type(value)):
            yield from flat(getattr(value, field.name))
    else:
        yield np.asarray(value)


def test_saved_index_is_loaded_unchanged(index, tmp_path):
    """Facts, samples, signals and summary."""
    path = tmp_path / "deep" / "index.npz"

    save(index, path)

    assert load(path).facts == index.facts
    assert same(load(path), index)


def test_shots_of_one_place_have_one_number(index):
    """The second shot stays where the first was, the third does not."""
    staging = attrs.evolve(index.staging, stays=np.array([False, True, False]))

    places = attrs.evolve(index, staging=staging).place_numbers

    assert places.tolist() == np.where(index.shot_numbers == 2, 2, 1).tolist()


def test_missing_index_is_none(tmp_path):
    """No error is raised."""
    assert load(tmp_path / "none.npz") is None


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04" + bytes(30)])
def test_damaged_index_is_none(tmp_path, content):
    """It is built again."""
    path = tmp_path / "bad.npz"
    path.write_bytes(content)

    assert load(path) is None


def test_truncated_index_is_none(index, tmp_path):
    """The disk may have been full."""
    path = tmp_path / "index.npz"
    save(index, path)
    path.write_bytes(path.read_bytes()[:-2000])

    assert load(path) is None


def test_archive_of_something_else_is_none(tmp_path):
    """Its names are missing."""
    np.savez(tmp_path / "other.npz", facts=np.zeros(3))

    assert load(tmp_path / "other.npz") is None


def test_pickles_are_not_loaded(tmp_path):
    """A foreign file in the folder can do no harm."""
    np.savez(tmp_path / "evil.npz", facts=np.array([object()], dtype=object))

    assert load(tmp_path / "evil.npz") is None


def test_failed_write_leaves_no_file(index, tmp_path, monkeypatch):
    """Neither a part nor a temporary one."""

    def full(*_, **__):
        raise OSError(28, "no space left")

    monkeypatch.setattr(np, "savez", full)

    with pytest.raises(CacheFailed, match=r"nothing can be kept in .*: no space left"):
        save(index, tmp_path / "index.npz")
    assert list(tmp_path.iterdir()) == []
