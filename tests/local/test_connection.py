"""A client is given what it needs to reach a service."""

from __future__ import annotations

from memories_async.local import LocalService
from memories_async.local.connection import connection


def test_a_client_of_a_service_without_limits_has_none(films, engine):
    """A test that searches ten times is not to last ten seconds."""
    with (
        LocalService([films], engine=engine, limits=None) as free,
        LocalService([films], engine=engine) as documented,
    ):
        given = connection(free)["limits"].describe()

        assert all(one.limit.interval < 0.001 for one in given)
        assert "limits" not in connection(documented)
