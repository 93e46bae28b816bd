"""Ray Data sends a call for each row, and pays for none twice when its workers die."""

from __future__ import annotations

import random

import pytest
from scale import KEY, UNLIMITED, count_paid, kill_at, settle_by

from memories_async import Client, FileLimiter, Hosts, Ledger

ray = pytest.importorskip("ray", reason="Ray is installed by `nox -s scale`")
pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # Ray's own
    pytest.mark.timeout(600),
]
WORKER = "ray::MapWorker(MapBatches(Embed))"


@pytest.fixture(scope="module", autouse=True)
def cluster():
    """Ray with one node."""
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        configure_logging=False,
        runtime_env={"env_vars": {"MEMORIES_API_KEY": KEY}},
    )
    ray.data.DataContext.get_current().enable_progress_bars = False
    yield
    ray.shutdown()


def connect(service, folder, **settings):
    """Make a client whose workers share one ledger and one limiter of *folder*."""
    given = {"limits": UNLIMITED, "limiter": FileLimiter(folder / "limiter"), **settings}
    return Client(api_key=service.api_key, hosts=Hosts.at(service.url), **given)


def embed(service, client, number=1000, workers=2):
    """Embed the first *number* films of the service on Ray Data; return the rows."""
    from memories_async.ray import Embed

    ids = [{"asset_id": video.asset_id} for video in list(service.library)[:number]]
    rows = ray.data.from_items(ids, override_num_blocks=20)
    return rows.map_batches(
        Embed,
        fn_constructor_kwargs={"client": client},
        batch_size=50,
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(size=workers),
        num_cpus=0.5,
    ).take_all()


def test_rows_gain_the_vector_and_what_was_paid(service, tmp_path):
    """A row that cannot be embedded is a row with an error, among the others."""
    client = connect(service, tmp_path, ledger=Ledger(tmp_path / "run.db"))
    rows = embed(service, client, 60)

    assert {row["error"] for row in rows} == {None}
    assert [len(row["embedding"]) for row in rows] == [1024] * 60
    assert {(row["error"], row["billed"], row["replayed"]) for row in rows} == {
        (None, "yes", False)
    }
    assert count_paid(service).total() == 60

    again = embed(service, client, 60)
    assert {(row["error"], row["billed"], row["replayed"]) for row in again} == {(None, "no", True)}
    assert count_paid(service).total() == 60


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_a_killed_worker_costs_nothing(service, tmp_path, seed):
    """Ray runs the tasks of the dead worker again; the ledger answers what was paid."""
    ledger = Ledger(tmp_path / "run.db")
    client = connect(service, tmp_path, ledger=ledger)
    moment = random.Random(seed).randrange(50, 900)
    kill_at(lambda: service.account.paid, [moment], WORKER)
    rows = embed(service, client)

    assert len(rows) == 1000
    summary = ledger.summary()
    assert summary.done + summary.unknown == 1000
    assert max(count_paid(service).values()) == 1
    settle_by(service, ledger)
    rows = embed(service, client)
    assert [row["error"] for row in rows] == [None] * 1000
    paid = count_paid(service)
    assert (len(paid), paid.total()) == (1000, 1000)
