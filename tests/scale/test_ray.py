"""Ray Data sends a call for each row, and pays for none twice when its workers die."""

from __future__ import annotations

import random
import subprocess
import sys
import time

import pytest
from scale import KEY, WORKER, check_paid_once, connect, count_paid, embed, kill_at, ray

from memories_async import Ledger, Receiver, embeddings
from memories_async.ray import Embed, Search, Send, cluster_ledger

pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # Ray's own
    pytest.mark.timeout(600),
]
ANSWERED, REPLAYED = (None, "yes", False), (None, "no", True)


@pytest.fixture(scope="module", autouse=True)
def cluster():
    """Ray with one node."""
    ray.init(
        address="local",
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        configure_logging=False,
        runtime_env={"env_vars": {"MEMORIES_API_KEY": KEY}},
    )
    ray.data.DataContext.get_current().enable_progress_bars = False
    yield
    ray.shutdown()


def outcomes(rows) -> set:
    """What is said of the rows beside their answers."""
    return {(row["error"], row["billed"], row["replayed"]) for row in rows}


def test_rows_gain_the_vector_and_what_was_paid(service, tmp_path):
    """The vectors have one fixed size; a second run is answered by the ledger."""
    client = connect(service, tmp_path, ledger=Ledger(tmp_path / "run.db"))
    rows = embed(service, client, 60)

    assert [len(row["embedding"]) for row in rows] == [1024] * 60
    assert outcomes(rows) == {ANSWERED}
    assert outcomes(embed(service, client, 60)) == {REPLAYED}
    assert count_paid(service).total() == 60


def send(service, client, kind, items, **options):
    """Run *kind* over *items* in one worker; return the rows."""
    rows = ray.data.from_items(items, override_num_blocks=1)
    return rows.map_batches(
        kind,
        fn_constructor_kwargs={"client": client, **options},
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(size=1),
        num_cpus=0.5,
    ).take_all()


def test_a_row_that_fails_is_a_row_with_an_error(service, tmp_path):
    """The others have their answers; a prefix keeps the names of two steps apart."""
    items = [{"asset_id": service.library[0].asset_id}, {"asset_id": "re_404"}, {"asset_id": ""}]
    client = connect(service, tmp_path)
    good, unknown, empty = send(service, client, Embed, items, prefix="e_")

    assert len(good["e_embedding"]) == 1024
    assert "Asset not found" in unknown["e_error"]
    assert "asset_id must not be empty" in empty["e_error"]
    assert (unknown["e_embedding"], empty["e_billed"]) == (None, "no")


def test_a_wrong_key_ends_the_rows_and_each_says_so(service, tmp_path):
    """What is wrong with one row is wrong with all."""
    service.account.disabled = True
    items = [{"asset_id": video.asset_id} for video in list(service.library)[:200]]
    rows = send(service, connect(service, tmp_path), Embed, items, concurrency=2)

    assert len(rows) == 200
    assert {row["billed"] for row in rows} == {"no"}
    assert any(row["error"].startswith("not sent: ") for row in rows)
    assert len(service.request_log) < 20


def test_clips_are_found_for_each_row(service, tmp_path):
    """A picture as bytes, and a prompt of each row."""
    png = b"\x89PNG\r\n\x1a\n" + bytes(40)
    items = [
        {"video_no": service.library[0].video_no, "image": png, "prompt": "a cat"},
        {"video_no": "VI404", "image": png, "prompt": "a cat"},
    ]
    found, missing = send(service, connect(service, tmp_path), Search, items)

    assert found["clips"][0].keys() == {"start_time", "end_time", "score"}
    assert (missing["clips"], missing["billed"]) == (None, "no")


def test_any_call_can_be_sent_and_read(service, tmp_path):
    """What *read* raises is the row's error, and the row says that it was paid."""
    import pyarrow as pa

    def make_call(row):
        return embeddings.video(row["asset_id"])

    def read_length(embedding):
        return {"length": len(embedding)}

    items = [{"asset_id": service.library[0].asset_id}]
    options = {"make_call": make_call, "schema": pa.schema([("length", pa.int64())])}
    client = connect(service, tmp_path)
    (row,) = send(service, client, Send, items, read=read_length, **options)
    (failed,) = send(service, client, Send, items, read=lambda _: 1 / 0, **options)

    assert row["length"] == 1024
    assert failed["billed"] == "yes"
    assert "the answer was not read: ZeroDivisionError" in failed["error"]


AFTER_SHUTDOWN = """
import sys, threading
import ray
from memories_async.ledger import DatabaseFailed
from memories_async.ray import _cluster_ledger, cluster_ledger

_cluster_ledger.LEASE = 0.4
ray.init(address="local", num_cpus=1, include_dashboard=False, configure_logging=False)
ledger = cluster_ledger(sys.argv[1])
ledger.summary()
(lease,) = [one for one in threading.enumerate() if one.name == "memories_async lease"]
ray.shutdown()
lease.join(30)
try:
    ledger.summary()
except DatabaseFailed as error:
    print(error.message, lease.is_alive())
ledger.close()
print(ray.is_initialized())
"""


def test_a_ledger_in_an_actor_ends_with_ray(tmp_path):
    """Its lease is not renewed, and nothing starts Ray again, which an actor's call would do."""
    command = [sys.executable, "-c", AFTER_SHUTDOWN, str(tmp_path / "run.db")]
    run = subprocess.run(command, capture_output=True, text=True, check=True)

    assert run.stdout.splitlines()[-2:] == [
        "the actor of the ledger has ended: Ray was shut down False",
        "False",
    ]


def test_a_receiver_over_a_ledger_in_an_actor_is_told_what_to_take(tmp_path):
    """Its database is in the actor's process."""
    ledger = cluster_ledger(tmp_path / "run.db")

    with pytest.raises(
        AttributeError, match=r"give Receiver\(store=\.\.\.\) a path or a postgresql:// URL"
    ):
        assert Receiver("http://127.0.0.1:1", store=ledger).store
    ray.kill(ledger.actor)  # the next test looks for one by its title


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_a_killed_worker_costs_nothing(service, tmp_path, seed):
    """Ray runs the tasks of the dead worker again; the ledger answers what was paid."""
    ledger = Ledger(tmp_path / "run.db")
    client = connect(service, tmp_path, ledger=ledger)
    moments = [random.Random(seed).randrange(50, 900)]
    killed = kill_at(lambda: service.account.paid, moments, WORKER)
    rows = embed(service, client)
    assert len(killed) == 1

    check_paid_once(service, ledger, rows, lambda: embed(service, client))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_a_ledger_in_an_actor_survives_its_actor_and_its_workers(service, tmp_path, seed):
    """Both are killed in the middle; the actor is started again over the same file."""
    ledger = cluster_ledger(tmp_path / "run.db")
    client = connect(service, tmp_path, ledger=ledger)
    draw = random.Random(seed)
    workers = kill_at(lambda: service.account.paid, [draw.randrange(50, 800)], WORKER)
    actors = kill_at(lambda: service.account.paid, [draw.randrange(50, 800)], "ray::LedgerActor")
    rows = embed(service, client)
    assert (len(workers), len(actors)) == (1, 1)

    check_paid_once(service, ledger, rows, lambda: embed(service, client))
    ray.kill(ledger.actor)  # the next test looks for one by its title


@pytest.mark.slow
def test_postgresql_restarted_in_the_middle_costs_nothing(service, tmp_path):
    """Five times, as a power cut would; what was not committed was not sent."""
    from postgres import PostgresServer, find_binaries

    if find_binaries() is None:
        pytest.skip("no PostgreSQL server is installed")
    server = PostgresServer(durable=True)
    try:
        ledger = Ledger(server.url())
        client = connect(service, tmp_path, ledger=ledger)
        restarts = restart_at(service, server, [100, 250, 400, 550, 700])
        rows = embed(service, client)
        restarts.join(60)
        check_paid_once(service, ledger, rows, lambda: embed(service, client))
        ledger.close()
    finally:
        server.remove()


def restart_at(service, server, moments):
    """Restart *server* each time as many calls were paid."""
    import threading

    def restart():
        for moment in moments:
            until = time.monotonic() + 60
            while service.account.paid < moment and time.monotonic() < until:
                time.sleep(0.005)
            server.stop()
            server.start()

    thread = threading.Thread(target=restart, daemon=True)
    thread.start()
    return thread
