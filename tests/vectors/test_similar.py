"""Exact search: what a plain computation finds, in a stable order; an index says what it misses."""

from __future__ import annotations

import sys

import pytest
from vector_samples import BlindIndex, fake_faiss, make_films, np

from memories_async import Embedding
from memories_async.vectors import (
    Vectors,
    _store,
)


def by_hand(made, query, own=None):
    """Keys by their cosine, computed plainly."""
    query = query / np.linalg.norm(query)
    cosines = {key: float(one @ query / np.linalg.norm(one)) for key, one in made.items()}
    cosines.pop(own, None)
    return sorted(cosines, key=lambda key: -cosines[key]), cosines


@pytest.mark.parametrize("query", ["f0-c0", "f3-c3"])
def test_neighbours_are_those_of_a_plain_computation(films, query):
    """In their order, without the vector itself, with their cosines."""
    keys, cosines = by_hand(films, films[query], query)

    found = Vectors.of(films).similar(query, k=7)

    assert [near.key for near in found] == keys[:7]
    assert [near.cosine for near in found] == pytest.approx(
        [cosines[k] for k in keys[:7]], abs=1e-6
    )


@pytest.mark.parametrize("make", [list, np.array, lambda v: Embedding(v, model="m")])
def test_a_query_may_be_any_vector(films, make):
    """Plain numbers, an array, an embedding; its length does not matter."""
    found = Vectors.of(films).similar(make(films["f2-c0"] * 7), k=1)

    assert [(near.key, near.cosine) for near in found] == [("f2-c0", 1.0)]


@pytest.mark.parametrize("block", [1, 5, 1000])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_blocks_change_nothing(films, monkeypatch, block, dtype):
    """Answers do not depend on how many rows are multiplied at once, or given back to the system."""
    usual = Vectors.of(films, dtype=dtype).similar("f1-c1", k=30)
    for name in ("BLOCK", "_HALVES_BLOCK"):
        monkeypatch.setattr(_store, name, block * 4 * 32)
    monkeypatch.setattr(_store, "_RESIDENT", 0)

    assert Vectors.of(films, dtype=dtype).similar("f1-c1", k=30) == usual
    assert len(usual) == len(films) - 1


def test_equal_neighbours_stand_as_they_were_loaded():
    """So that an answer is the same each time."""
    vectors = Vectors.of({"q": [1.0, 0.0], **{f"k{n}": [n + 1.0, 0.0] for n in range(50)}})

    assert [near.key for near in vectors.similar("q", k=3)] == ["k0", "k1", "k2"]


@pytest.mark.parametrize("size", [1e-18, 1.0, 1e18])
def test_the_size_of_the_numbers_does_not_matter(films, size):
    """Also near the limits of 32 bits, and of 16."""
    expected = [near.key for near in Vectors.of(films).similar("f0-c0", k=5)]
    scaled = {key: one * size for key, one in films.items()}

    for dtype in ("float32", "float16"):
        found = Vectors.of(scaled, dtype=dtype).similar("f0-c0", k=5)
        assert [near.key for near in found] == expected


@pytest.mark.parametrize(
    ("query", "k", "error", "words"),
    [
        ("f9", 1, KeyError, "no vector has the key 'f9'; keys are such as 'f"),
        ("f0-c0", 0, ValueError, "k must be 1 or more, not 0"),
        ("f0-c0", True, ValueError, "k must be 1 or more, not True"),
        ([1.0, 2.0], 1, ValueError, "must have 32 numbers, not 2"),
        ([0.0] * 32, 1, ValueError, "finite, and not zero"),
        ([float("inf")] * 32, 1, ValueError, "finite, and not zero"),
    ],
    ids=["key", "zero", "bool", "length", "null", "infinite"],
)
def test_a_query_is_checked(films, query, k, error, words):
    """The error names the rule and the value."""
    with pytest.raises(error, match=words):
        Vectors.of(films).similar(query, k)


def test_an_embedding_of_another_model_is_refused(films):
    """It has no meaning among these."""
    vectors = Vectors.of({key: Embedding(one, model="m") for key, one in films.items()})

    with pytest.raises(ValueError, match="of the model 'n', and these are of 'm'"):
        vectors.similar(Embedding(films["f0-c0"], model="n"))
    assert repr(vectors) == "Vectors(24 of 32 x float32, model='m')"


@pytest.mark.parametrize("kind", ["hnsw", "ivf", None])
def test_an_index_says_how_much_it_finds(films, monkeypatch, kind):
    """Measured against exact search."""
    vectors = Vectors.of(films)
    monkeypatch.setitem(sys.modules, "faiss", fake_faiss())
    index = vectors.index(kind)

    assert (index.kind, index.recall, index.sample) == (kind or "hnsw", 1.0, 24)
    assert index.similar("f1-c0", k=4) == vectors.similar("f1-c0", k=4)
    monkeypatch.setitem(sys.modules, "faiss", fake_faiss(BlindIndex))
    assert 0.3 < vectors.index(kind).recall < 0.7


def test_an_index_needs_faiss_and_vectors(films, monkeypatch):
    """The errors say so."""
    monkeypatch.setitem(sys.modules, "faiss", fake_faiss())
    with pytest.raises(ValueError, match="no vectors to index"):
        Vectors.of({}).index()
    with pytest.raises(ValueError, match="kind must be"):
        Vectors.of(films).index("flat")
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(ImportError, match="pip install faiss-cpu"):
        Vectors.of(films).index()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("kind", ["hnsw", "ivf"])
def test_faiss_itself_finds_the_copies(kind):
    """Where it is installed."""
    pytest.importorskip("faiss", reason="faiss-cpu is not installed")
    vectors = Vectors.of(make_films(60, 5))
    index = vectors.index(kind)

    assert index.recall > 0.8
    assert index.similar("f7-c0", k=4) == vectors.similar("f7-c0", k=4)
