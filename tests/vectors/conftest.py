"""Vectors of six films."""

from __future__ import annotations

import pytest
from vector_samples import make_films


@pytest.fixture
def films():
    """Six films with three copies each."""
    return make_films()
