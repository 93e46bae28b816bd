"""Every test here runs over both transports."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True, params=["direct", "reference"])
def transport(request, monkeypatch) -> str:
    """The transport that clients use, also in other processes that the test starts."""
    monkeypatch.setenv("MEMORIES_TRANSPORT", request.param)
    return request.param
