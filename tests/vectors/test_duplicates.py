"""Duplicates: every pair once, whatever the blocks; films by chains, the same seconds by all pairs."""

from __future__ import annotations

import random
import tracemalloc
from itertools import combinations

import pytest
from vector_samples import make_films, np

from memories_async.vectors import Vectors, _duplicates


def by_hand(made, threshold):
    """The pairs and cosines, computed plainly."""
    units = {key: one / np.linalg.norm(one) for key, one in made.items()}
    cosines = {(a, b): round(float(units[a] @ units[b]), 6) for a, b in combinations(units, 2)}
    return {pair: cosine for pair, cosine in cosines.items() if cosine >= threshold}


def list_pairs(found):
    """The pairs of all groups."""
    return {(pair.first, pair.second): pair.cosine for group in found for pair in group.pairs}


@pytest.mark.parametrize("block", [1, 7, 1024])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_every_pair_is_found_once(films, monkeypatch, block, dtype):
    """Those of a plain computation, with their cosines, for any size of block."""
    monkeypatch.setattr(_duplicates, "BLOCK_ROWS", block)
    expected = by_hand(films, 0.8)

    found = Vectors.of(films, dtype=dtype).duplicates(0.8)

    assert list_pairs(found) == pytest.approx(expected, abs=2e-3 if dtype == "float16" else 2e-6)
    assert [len(group) for group in found] == [4] * 6
    assert (len(found), found[0].keys) == (6, ("f0-c0", "f0-c1", "f0-c2", "f0-c3"))


def test_the_order_of_the_vectors_does_not_matter():
    """Pairs are symmetric: shuffled vectors give the same groups."""
    made = make_films(20, 3, noise=0.6)
    shuffled = [*made.items()]
    random.Random(3).shuffle(shuffled)

    for kind in ("same film or scene", "same seconds"):
        one = Vectors.of(made).duplicates(0.8, kind=kind)
        other = Vectors.of(shuffled).duplicates(0.8, kind=kind)
        assert {frozenset(group.keys) for group in one} == {
            frozenset(group.keys) for group in other
        }
        assert 0 < len(one) < 20


def angles(*degrees):
    """Vectors in a plane, at angles."""
    turned = np.radians(degrees)
    return {f"{d}": np.array([np.cos(t), np.sin(t)]) for d, t in zip(degrees, turned, strict=True)}


def test_a_film_is_a_chain_and_the_same_seconds_are_not():
    """What drifts step by step is one film; the same seconds are all near to each other."""
    vectors = Vectors.of(angles(0, 10, 20, 30, 90))
    limit = float(np.cos(np.radians(10.5)))

    (film,) = vectors.duplicates(limit)
    assert film.keys == ("0", "10", "20", "30")
    assert [(pair.first, pair.second) for pair in film.pairs] == [
        *(("0", "10"), ("10", "20"), ("20", "30"))
    ]
    seconds = vectors.duplicates(limit, kind="same seconds")
    assert [group.keys for group in seconds] == [("0", "10"), ("20", "30")]
    (three,) = vectors.duplicates(float(np.cos(np.radians(20.5))), kind="same seconds")[:1]
    assert three.keys == ("0", "10", "20")


def test_equal_vectors_are_found_at_one():
    """Rounding does not lose them, nor their size or type."""
    random_ = np.random.default_rng(1)
    one = random_.standard_normal(1024)
    vectors = Vectors.of({"a": one, "b": one * 3.7, "c": -one, "d": random_.standard_normal(1024)})

    (group,) = vectors.duplicates(1.0)
    assert (group.keys, group.pairs[0].cosine) == (("a", "b"), 1.0)
    assert len(vectors.duplicates(-1.0)[0].pairs) == 6


def test_each_kind_says_what_it_cannot_tell(films):
    """And that its default threshold is confirmed by nothing."""
    vectors = Vectors.of(films)
    film, seconds = (vectors.duplicates(kind=k) for k in ("same film or scene", "same seconds"))

    assert (film.threshold, seconds.threshold) == (0.9, 0.98)
    assert "need not show the same seconds" in film.note
    assert "One vector stands for a whole video" in seconds.note
    assert "no pair of yours confirms" in film.note
    assert "confirms" not in vectors.duplicates(0.9).note
    assert film.to_dict()["groups"][0]["pairs"][0]["first"] == "f0-c0"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"threshold": 1.5}, "threshold must be from -1 to 1, not 1.5"),
        ({"threshold": float("nan")}, "threshold must be from -1 to 1, not nan"),
        ({"kind": "copies"}, "kind must be 'same film or scene' or 'same seconds'"),
    ],
    ids=["above", "nan", "kind"],
)
def test_settings_are_checked(films, settings, words):
    """Before anything is compared."""
    with pytest.raises(ValueError, match=words):
        Vectors.of(films).duplicates(**settings)


@pytest.mark.parametrize("spare", [0, 1_000])
def test_too_many_pairs_are_refused(films, monkeypatch, spare):
    """A low threshold would fill the memory."""
    monkeypatch.setattr(_duplicates, "MAX_PAIRS", 20)
    monkeypatch.setattr(_duplicates, "_CANDIDATES", 20 + spare)

    with pytest.raises(ValueError, match=r"more than 20 pairs reach the threshold 0\.5: raise it"):
        Vectors.of(films).duplicates(0.5)


def test_memory_does_not_grow_with_the_vectors():
    """Only a few blocks and the pairs are in memory."""
    peaks = []
    for count in (2_000, 6_000):
        draw = np.random.default_rng(2)
        vectors = Vectors.of((str(n), draw.standard_normal(256)) for n in range(count))
        tracemalloc.start()
        assert len(vectors.duplicates(0.6)) == 0
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()

    assert peaks[1] < 1.3 * peaks[0]
