"""Blobs are followed as long as they can be the same ones, and no longer."""

from __future__ import annotations

import attrs
import numpy as np
import pytest

from memories_async.local.engine.clothing.tracks import tracks
from memories_async.local.engine.protocol import Shot
from memories_async.local.engine.vision.index import Blobs


@pytest.fixture
def follow(index):
    """Put blobs half as high as the picture at (sample, place across) into an index."""

    def follow(*sights, shots=((0.0, 9.0),)):
        blobs = Blobs(
            samples=np.array([sample for sample, _ in sights], np.int64),
            boxes=np.array([(left, 0.3, 0.1, 0.5) for _, left in sights], np.float32).reshape(
                -1, 4
            ),
            clothing=np.zeros((len(sights), 0), np.uint8),
        )
        facts = attrs.evolve(
            index.facts, shots=tuple(Shot(start_time=a, end_time=b) for a, b in shots)
        )
        return sorted(tracks(attrs.evolve(index, facts=facts, blobs=blobs)))

    return follow


def test_an_empty_street_has_no_tracks(follow):
    """Nobody, nothing."""
    assert follow() == []


def test_a_walker_is_followed(follow):
    """From sample to sample."""
    assert follow((3, 0.1), (4, 0.2), (5, 0.3)) == [(0, 1, 2)]


def test_two_walkers_leave_two_tracks(follow):
    """Each goes on from where it was nearest."""
    assert follow((3, 0.1), (3, 0.8), (4, 0.7), (4, 0.2)) == [(0, 3), (1, 2)]


def test_who_is_missed_once_goes_on(follow):
    """Behind a post, say."""
    assert follow((3, 0.1), (5, 0.2)) == [(0, 1)]


def test_who_is_missed_twice_is_somebody_else(follow):
    """Nobody knows who comes back."""
    assert follow((3, 0.1), (6, 0.1)) == [(0,), (1,)]


def test_nobody_leaps(follow):
    """More than the own height from one sample to the next is another one."""
    assert follow((3, 0.0), (4, 0.6)) == [(0,), (1,)]


def test_a_cut_ends_all_tracks(follow):
    """Behind it is another place, or another time."""
    assert follow((3, 0.1), (4, 0.1), shots=((0.0, 1.9), (1.9, 9.0))) == [(0,), (1,)]
