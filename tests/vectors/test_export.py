"""What is exported is loaded as it was."""

from __future__ import annotations

import json
import os
import stat
import sys

import pytest
from vector_samples import fake_faiss, np

from memories_async import Embedding
from memories_async.vectors import Vectors


@pytest.fixture
def vectors(films):
    """Embeddings of one model."""
    return Vectors.of({key: Embedding(one, model="m") for key, one in films.items()})


@pytest.mark.parametrize("suffix", ["npy", "parquet"])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_an_export_is_loaded_as_it_was(vectors, tmp_path, suffix, dtype):
    """Keys, model, and every number."""
    pytest.importorskip("pyarrow", reason="Parquet needs pyarrow")
    path = tmp_path / f"x.{suffix}"
    stored = Vectors.of(((key, Embedding(vectors[key], model="m")) for key in vectors), dtype=dtype)
    assert stored.export(path) == 24
    again = Vectors.of(path, dtype=dtype)

    assert (again.keys, again.model, again.account) == (vectors.keys, "m", None)
    assert all(np.allclose(again[key], stored[key], atol=1e-3) for key in stored)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 or os.name == "nt"
    assert again.similar("f0-c0", 3)[0].key == vectors.similar("f0-c0", 3)[0].key


def test_an_export_to_faiss_has_its_keys_beside_it(vectors, tmp_path, monkeypatch):
    """faiss itself knows only numbers of rows."""
    monkeypatch.setitem(sys.modules, "faiss", fake_faiss())

    assert vectors.export(tmp_path / "x.faiss") == 24
    assert (tmp_path / "x.faiss").read_text() == "24"
    assert json.loads((tmp_path / "x.keys.json").read_text())["keys"] == [*vectors]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_faiss_itself_reads_the_export(vectors, tmp_path):
    """Where it is installed."""
    faiss = pytest.importorskip("faiss", reason="faiss-cpu is not installed")
    vectors.export(tmp_path / "x.faiss")
    query = vectors["f3-c0"][None] / np.linalg.norm(vectors["f3-c0"])
    _, rows = faiss.read_index(str(tmp_path / "x.faiss")).search(query, 1)

    assert vectors.keys[rows[0][0]] == "f3-c0"


def test_another_format_and_a_failure_leave_no_file(vectors, tmp_path, monkeypatch):
    """An earlier export stays."""
    with pytest.raises(ValueError, match=r"\.parquet, \.npy, \.faiss, not 'x.csv'"):
        vectors.export(tmp_path / "x.csv")
    vectors.export(tmp_path / "x.npy")
    before = (tmp_path / "x.npy").read_bytes()

    def fail(*_):
        raise OSError("no space")

    monkeypatch.setattr("numpy.lib.format.write_array_header_2_0", fail)
    with pytest.raises(OSError, match="no space"):
        vectors.export(tmp_path / "x.npy")
    assert (tmp_path / "x.npy").read_bytes() == before
    assert {one.name for one in tmp_path.iterdir()} == {"x.npy", "x.keys.json"}
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(ImportError, match=r"memories_async\[arrow\]"):
        vectors.export(tmp_path / "x.parquet")
