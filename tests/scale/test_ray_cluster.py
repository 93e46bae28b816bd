"""Two nodes of a Ray cluster: one rate, one ledger, and no pieces of one machine taken for shared."""

from __future__ import annotations

import random

import pytest
from scale import KEY, UNLIMITED, WORKER, check_paid_once, connect, embed, kill_at, ray

from memories_async import Ledger, Limit, Limits, RedisLimiter
from memories_async.local import LocalService
from memories_async.local.engine.fixed import FixedEngine
from memories_async.ray import Embed, cluster_ledger

pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # Ray's own
    pytest.mark.timeout(900),
]


@pytest.fixture(scope="module", autouse=True)
def cluster():
    """Ray with two nodes on this machine."""
    from ray.cluster_utils import Cluster

    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    nodes.add_node(num_cpus=1)
    ray.init(
        address=nodes.address,
        log_to_driver=False,
        configure_logging=False,
        runtime_env={"env_vars": {"MEMORIES_API_KEY": KEY}},
    )
    ray.data.DataContext.get_current().enable_progress_bars = False
    yield
    ray.shutdown()
    nodes.shutdown()


def test_what_belongs_to_one_machine_is_refused(service, tmp_path, redis_server):
    """With the words that say what to use instead."""
    with pytest.raises(ValueError, match=r"limiter must be shared by the 2 nodes .*RedisLimiter"):
        Embed(connect(service, tmp_path))
    limiter = RedisLimiter(redis_server)
    with pytest.raises(ValueError, match=r"ledger must be shared by the 2 nodes .*cluster_ledger"):
        Embed(connect(service, tmp_path, limiter=limiter, ledger=Ledger(tmp_path / "run.db")))

    Embed(connect(service, tmp_path, limiter=limiter))


def test_two_nodes_keep_one_rate(films, tmp_path, redis_server, monkeypatch, record_property):
    """25 a second: none is refused for its rate, and 97 % of it is used."""
    monkeypatch.setenv("MEMORIES_API_KEY", KEY)
    with LocalService(films, engine=FixedEngine(), limits=25, api_key=KEY) as service:
        limits = Limits(embeddings=Limit(25.0))
        client = connect(service, tmp_path, limiter=RedisLimiter(redis_server), limits=limits)
        rows = embed(service, client, 400)
        arrivals = sorted(one.arrival for one in service.request_log)

        assert {row["error"] for row in rows} == {None}
        assert [one.status for one in service.request_log if one.status != 200] == []
        # The workers start one after the other: the rate counts from when both send.
        record_property("rate used", 299 / (arrivals[-1] - arrivals[-300]) / 25)


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "times"), [(0, 5), *((seed, 1) for seed in range(5))])
def test_workers_and_the_ledger_die_and_nothing_is_paid_twice(
    service, tmp_path, redis_server, seed, times
):
    """The ledger's actor stays on the node of its file; the moments are random."""
    ledger = cluster_ledger(tmp_path / "run.db")
    client = connect(
        service, tmp_path, ledger=ledger, limiter=RedisLimiter(redis_server), limits=UNLIMITED
    )
    draw = random.Random(seed)
    workers, actors = (
        kill_at(lambda: service.account.paid, sorted(draw.sample(range(50, 800), times)), title)
        for title in (WORKER, "ray::LedgerActor")
    )
    rows = embed(service, client)
    assert (len(workers), len(actors)) == (times, times)

    check_paid_once(service, ledger, rows, lambda: embed(service, client))
    ray.kill(ledger.actor)  # the next test looks for one by its title
