"""Calibration by known copies, labels by neighbours, and the map: what they say can be counted."""

from __future__ import annotations

import pytest
from vector_samples import make_films, np

from memories_async.vectors import Vectors, _calibrate


def angles(*degrees):
    """Vectors in a plane, at angles."""
    turned = np.radians(degrees)
    return {f"{d}": np.array([np.cos(t), np.sin(t)]) for d, t in zip(degrees, turned, strict=True)}


def groups_of(made):
    """The keys of each film."""
    films = {}
    for key in made:
        films.setdefault(key.partition("-")[0], []).append(key)
    return [*films.values()]


def count(vectors, pairs, threshold):
    """How many of *pairs* reach *threshold*."""
    cosines = {}
    for first in vectors:
        cosines[first] = {near.key: near.cosine for near in vectors.similar(first, len(vectors))}
    return sum(cosines[a][b] >= threshold for a, b in pairs)


def test_a_threshold_has_the_precision_and_recall_that_it_says():
    """Counted again, pair by pair, with noise that makes some copies unlike."""
    made = make_films(12, 5, dimensions=32, noise=0.4)
    vectors, groups = Vectors.of(made), groups_of(made)

    found = vectors.calibrate(groups)

    copies = [(a, b) for g in groups for a in g for b in g if a < b]
    others = [(a, b) for g in groups for h in groups if g < h for a in g for b in h]
    hits, wrong = (count(vectors, pairs, found.threshold) for pairs in (copies, others))
    assert (found.copies, found.others) == (len(copies), len(others))
    assert found.recall == pytest.approx(hits / len(copies))
    assert found.precision == pytest.approx(hits / (hits + wrong))
    assert found.precision >= 0.99
    assert 0.1 < found.recall_at_least < found.recall < 1
    assert found.precision_at_least < found.precision
    assert (found.is_enough, found.note) == (True, "")


def test_a_threshold_lies_between_two_pairs():
    """So that it does not hang on one of them; a lower precision gives a lower one."""
    vectors = Vectors.of(angles(0, 10, 50, 90, 120))
    copies, others = [("0", "10"), ("10", "50")], [("50", "90"), ("0", "120"), ("50", "120")]

    found = vectors.calibrate(copies, others, precision=1.0)
    middle = (np.cos(np.radians(10)) + np.cos(np.radians(40))) / 2
    assert found.threshold == pytest.approx(middle, abs=2e-6)
    assert (found.precision, found.recall) == (1.0, 0.5)
    loose = vectors.calibrate(copies, others, precision=0.5)
    assert loose.threshold < found.threshold
    assert (loose.precision, loose.recall) == (pytest.approx(2 / 3), 1.0)


def test_too_few_pairs_are_said_to_be_too_few():
    """With their numbers; and that no threshold is good enough."""
    vectors = Vectors.of(angles(0, 10, 50, 90))

    few = vectors.calibrate([("0", "10")])
    assert (few.is_enough, few.others, few.groups) == (False, 0, 1)
    assert few.note == (
        "1 known pairs of copies: fewer than 30 prove little;"
        " 0 known pairs of others: fewer than 30 prove little;"
        " 1 groups of copies: fewer than 10 prove little"
    )
    bad = vectors.calibrate([("0", "90")], [("0", "10")])
    assert bad.precision == 0.5
    assert bad.note.endswith("no threshold has a precision of 0.99 on these pairs")


def test_pairs_of_different_groups_are_others_evenly_chosen(monkeypatch):
    """Where no others are given, and there are too many to take them all."""
    made = make_films(10, 4)
    monkeypatch.setattr(_calibrate, "MOST_OTHERS", 100)

    assert 80 <= Vectors.of(made).calibrate(groups_of(made)).others <= 100


def test_many_pairs_of_few_videos_are_too_few():
    """A threshold that fits three films may fail on others, however many copies they have."""
    made = make_films(9, 9)

    found = Vectors.of(made).calibrate(groups_of(made))
    assert (found.copies, found.groups, found.is_enough) == (324, 9, False)
    assert found.note == "9 groups of copies: fewer than 10 prove little"


@pytest.mark.parametrize(
    ("copies", "others", "error", "words"),
    [
        ([], None, ValueError, "known_copies must have a pair"),
        (["0"], None, ValueError, "known_copies must hold pairs of keys, not '0'"),
        ([("0",)], None, ValueError, "known_copies must hold pairs"),
        ([("0", "0")], None, ValueError, "known_copies has '0' twice"),
        ([("0", "7")], None, KeyError, "no vector has the key '7'"),
        ([("0", "10")], [("10", "0")], ValueError, "0 and 10 cannot be both"),
    ],
    ids=["none", "text", "one", "same", "unknown", "both"],
)
def test_known_pairs_are_checked(copies, others, error, words):
    """The error names the argument and the keys."""
    with pytest.raises(error, match=words):
        Vectors.of(angles(0, 10)).calibrate(copies, others)


def test_a_precision_is_a_share():
    """Not a percentage."""
    with pytest.raises(ValueError, match="precision must be above 0 and at most 1, not 99"):
        Vectors.of(angles(0, 10)).calibrate([("0", "10")], precision=99)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_neighbours_give_their_label(films, dtype):
    """To what has none; the labelled ones tell how often that is right."""
    labels = {key: key[:2] for key in films if not key.endswith("c1")}

    found = Vectors.of(films, dtype=dtype).classify(labels, k=2)

    assert {one.key: one.label for one in found} == {f"f{n}-c1": f"f{n}" for n in range(6)}
    assert all(one.margin == 1.0 and one.nearest > 0.9 for one in found)
    assert (len(found), found.accuracy, found.unsure) == (6, 1.0, 0.0)
    assert found.labelled == {f"f{n}": 3 for n in range(6)}


def test_accuracy_is_counted_without_the_vector_itself():
    """A wrong label is found wrong, and what is between two is unsure."""
    vectors = Vectors.of(angles(0, 1, 2, 45, 88, 89, 90, 3))
    labels = {"0": "a", "1": "a", "2": "a", "88": "b", "89": "b", "90": "b", "3": "b"}

    found = vectors.classify(labels, k=3)
    assert [(one.key, one.label) for one in found] == [("45", "b")]
    assert 0.3 < found.predictions[0].margin < 0.4
    assert found.accuracy == pytest.approx(6 / 7)

    between = Vectors.of(angles(0, 45, 90)).classify({"0": "a", "90": "b"}, k=2)
    assert [(one.label, one.margin) for one in between] == [("unsure", 0.0)]
    assert (between.accuracy, between.unsure) == (None, 1.0)


@pytest.mark.parametrize(
    ("labels", "settings", "error", "words"),
    [
        ({}, {}, ValueError, "two different labels"),
        ({"0": "a", "10": "a"}, {}, ValueError, "two different labels, not .'a'."),
        ({"0": "a", "10": ""}, {}, ValueError, "label of '10' must not be ''"),
        ({"0": "a", "10": "unsure"}, {}, ValueError, "must not be 'unsure'"),
        ({"0": "a", "7": "b"}, {}, KeyError, "no vector has the key '7'"),
        ({"0": "a", "10": "b"}, {"k": 0}, ValueError, "k must be 1 or more"),
        ({"0": "a", "10": "b"}, {"min_margin": 2}, ValueError, "min_margin must be from 0 to 1"),
    ],
    ids=["none", "one", "empty", "unsure", "unknown", "k", "margin"],
)
def test_labels_are_checked(labels, settings, error, words):
    """The error names the key or the argument."""
    with pytest.raises(error, match=words):
        Vectors.of(angles(0, 10)).classify(labels, **settings)


def test_the_map_shows_the_widest_directions(films):
    """The first coordinates of a plain principal component analysis, up to the sign, which is fixed."""
    units = np.array([one / np.linalg.norm(one) for one in films.values()])
    left, sizes, right = np.linalg.svd(units - units.mean(axis=0), full_matrices=False)
    expected = left[:, :2] * sizes[:2]

    points = Vectors.of(films).map()

    assert points.shape == (24, 2)
    assert np.allclose(np.abs(points), np.abs(expected), atol=1e-5)
    axes = np.linalg.lstsq(units - units.mean(axis=0), points, rcond=None)[0]
    assert all(axis[np.abs(axis).argmax()] > 0 for axis in axes.T)
    assert np.allclose(Vectors.of([*films.items()][::-1]).map()[::-1], points, atol=1e-5)
    assert right.shape == (24, 32)
    twice = {f"{key}{copy}": one for copy in "ab" for key, one in films.items()}
    assert np.allclose(Vectors.of(twice).map()[:24], points, atol=1e-5)


@pytest.mark.parametrize("made", [{}, {"a": [3.0]}, {"a": [1.0], "b": [-2.0]}, {"a": [1.0, 2.0]}])
def test_a_map_of_few_vectors_is_flat(made):
    """One vector lies in the middle; one number has one direction."""
    points = Vectors.of(made).map()

    assert points.shape == (len(made), 2)
    assert np.isfinite(points).all()
    assert not points[:, 1].any()
