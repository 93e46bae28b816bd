"""What workers on several nodes have to share."""

from __future__ import annotations

from memories_async.client import Client
from memories_async.limiter import RedisLimiter
from memories_async.ray._cluster_ledger import ClusterLedger
from memories_async.ray._libraries import ray


def check_shared(client: Client) -> None:
    """Raise `ValueError` where nodes of this cluster would not share limiter or ledger of *client*."""
    nodes = sum(node["Alive"] for node in ray.nodes()) if ray.is_initialized() else 1
    if nodes == 1:
        return
    settings = client._settings  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # its own package
    if not isinstance(settings.limiter, RedisLimiter):
        raise ValueError(  # noqa: TRY004  # its type is right
            f"limiter must be shared by the {nodes} nodes of this cluster, not {settings.limiter!r}:"
            " pass Client(limiter=RedisLimiter(...)), or every node calls at the account's rate"
        )
    ledger = settings.ledger
    if ledger is not None and ledger.path is not None and not isinstance(ledger, ClusterLedger):
        raise ValueError(
            f"ledger must be shared by the {nodes} nodes of this cluster, not {ledger!r}: pass"
            " cluster_ledger(...) or Ledger('postgresql://...'), or every node pays for itself"
        )
