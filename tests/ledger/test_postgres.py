"""What a ledger in PostgreSQL promises beyond one in a file: hosts, leases, restarts, passwords."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import pickle
import secrets
import subprocess
import sys
import threading
import time
from collections import Counter

import callers
import pytest
from ledgers import end_process, rows, states, until
from samples import FOUND, search_call
from servers import answer, serving, silent

from memories_async._database import database as databases
from memories_async._database import listener, postgres
from memories_async._database.file import Schema
from memories_async._protocol.call import derive_fingerprint
from memories_async.errors import NotSent
from memories_async.ledger import DatabaseFailed, Ledger, _lease
from memories_async.ledger._schema import EntryKey

PASSWORD = "pa:ss/word%"


def make_key(number: int) -> EntryKey:
    content = number.to_bytes(20, "big")
    return EntryKey(
        key=derive_fingerprint(content, "a"),
        content=content,
        call="clips.search",
        asked="{}",
        account="a",
        unit="search",
    )


@pytest.fixture
def url(postgres):
    return postgres.url(password=PASSWORD)


@pytest.fixture
def ledgers(url):
    """The ledgers of two hosts."""
    with Ledger(url) as one, Ledger(url) as two:
        yield one, two


def pay(url: str, count: int, pipe) -> None:
    """Ask for all keys in a random order, as one of many processes; report the numbers paid."""
    numbers = sorted(range(count), key=lambda _: secrets.randbits(32))
    paid = []
    with Ledger(url) as ledger:
        store = ledger.coordinator.store
        pipe.recv()
        for start in range(0, count, 20):
            some = numbers[start : start + 20]
            claims = store.write_now(
                lambda moves, some=some: [
                    moves.claim(make_key(n), fresh=False, resend=False) for n in some
                ]
            )
            for number, (row, owner) in zip(some, claims, strict=True):
                if owner is not None and store.write_now(
                    lambda moves, row=row, owner=owner: moves.begin(row.id, owner, None)
                ):
                    paid.append(number)
                    store.write_now(lambda moves, row=row: moves.finish(row.id, 200, b"{}"))
    pipe.send(paid)


def race(url: str, processes: int, keys: int) -> Counter[int]:
    """Let processes ask for the same keys at the same time; count what each key was paid."""
    context = multiprocessing.get_context("spawn")
    pipes, children = [], []
    for _ in range(processes):
        here, there = context.Pipe()
        children.append(context.Process(target=pay, args=(url, keys, there)))
        pipes.append(here)
        children[-1].start()
    for pipe in pipes:
        pipe.send("go")
    paid = Counter(number for pipe in pipes for number in pipe.recv())
    for child in children:
        child.join()
    return paid


def test_processes_that_ask_for_the_same_keys_pay_each_once(url) -> None:
    """Nothing is paid twice, and nothing is left out."""
    assert race(url, 3, 60) == Counter(range(60))


@pytest.mark.slow
def test_16_processes_pay_1000_keys_once(url) -> None:
    """As above, with as many as a cluster has."""
    assert race(url, 16, 1_000) == Counter(range(1_000))


async def test_a_process_whose_lease_has_ended_sends_nothing(ledgers) -> None:
    """Nobody has taken the entry over yet: the server's clock is enough."""
    one, _ = ledgers
    (claim,) = await one.coordinator.claim([make_key(1)])
    await asyncio.to_thread(
        one.database.write_now,
        lambda db: db.execute("UPDATE owners SET expires_at = clock_timestamp()"),
    )

    with pytest.raises(NotSent, match="claimed by another process"):
        await claim.sending()
    await claim.close()
    # The next claim is made under a new name.
    (claim,) = await one.coordinator.claim([make_key(1)])
    await claim.sending()
    await claim.close()


async def test_a_lease_is_renewed_until_it_is_released(ledgers, monkeypatch) -> None:
    """It lasts longer than it was first given, and ends at once with the ledger."""
    monkeypatch.setattr(_lease, "DURATION", 0.6)
    one, two = ledgers
    (claim,) = await one.coordinator.claim([make_key(1)])

    def ends():
        return two.database.read_now(lambda db: db.execute(_SELECT_OWNERS).fetchall())

    first = ends()
    await until(lambda: ends() not in ([], first))
    await claim.close()
    one.close()
    assert ends() == []


_SELECT_OWNERS = "SELECT name, expires_at FROM owners"


async def test_what_a_dead_host_was_sending_is_unknown(ledgers) -> None:
    """Once its lease has ended."""
    one, two = ledgers
    async with serving(silent) as server:  # noqa: SIM117  # reads better apart
        async with callers.patient_client(server.url, ledger=one) as client:
            task = asyncio.create_task(client.send(search_call()))
            await until(lambda: server.requests)
            assert two.summary().sending == 1
            end_process(one.coordinator.store)
            assert two.summary().unknown == 1
            task.cancel()
            await asyncio.wait([task])


async def test_a_waiter_on_another_host_is_woken(ledgers, monkeypatch) -> None:
    """By the server: the waiter's own looks are an hour apart here."""
    monkeypatch.setattr(postgres, "LOOK", 3600.0)
    one, two = ledgers
    go_on = asyncio.Event()

    async def wait_and_answer(exchange):
        await go_on.wait()
        await answer(FOUND)(exchange)

    two.database.version()  # begins to listen
    await until(lambda: two.database.mark() is not None)
    monkeypatch.setattr(listener, "POLL", 3600.0)
    monkeypatch.setattr(databases, "POLL", 3600.0)
    async with serving(wait_and_answer) as server:
        async with (
            callers.patient_client(server.url, ledger=one) as first,
            callers.patient_client(server.url, ledger=two) as second,
        ):
            sending = asyncio.create_task(first.send(search_call()))
            await until(lambda: server.requests)
            waiting = asyncio.create_task(second.send(search_call()))
            await until(lambda: two.database.listener._waiters)
            go_on.set()
            assert await waiting == await sending

        assert server.requests == 1


async def test_an_end_before_the_wait_began_is_not_missed(ledgers) -> None:
    """A notification after the mark is remembered, or the wait is over at once."""
    one, _ = ledgers
    heard = one.database.listener
    one.database.version()
    await until(lambda: one.database.mark() is not None)
    mark = one.database.mark()
    heard._note("key")

    await heard.wait_for("key", mark, at_most=3600.0)
    assert not heard._waiters


def test_the_password_is_nowhere(url, tmp_path, caplog) -> None:
    """Neither in text, nor in a pickle, nor in an error."""
    caplog.set_level(logging.DEBUG)
    with Ledger(url) as ledger:
        ledger.summary()
        seen = [
            repr(ledger),
            str(ledger.database),
            repr(ledger.database),
            repr(ledger.database.url),
        ]
        pickled = pickle.dumps(ledger)
        with pickle.loads(pickled) as twin:
            assert twin.summary() == ledger.summary()
            seen.append(repr(twin))
    with pytest.raises(DatabaseFailed) as caught:
        Ledger(
            f"postgresql://u:{PASSWORD.replace('%', '%25')}@127.0.0.1:1/x".replace("/w", "%2Fw")
        ).summary()
    seen += [str(caught.value), repr(caught.value), caplog.text]
    with pytest.raises(ValueError, match="cannot be read") as wrong:
        Ledger(f"postgresql://u:{PASSWORD}@[::1/x")
    seen.append(repr(wrong.value))

    assert not any("pa:ss" in text or "pa%3Ass" in text or "word%" in text for text in seen)
    assert b"pa:ss" not in pickled


def test_an_unpickled_ledger_refuses_other_tables(ledgers, postgres) -> None:
    """An empty schema would pay for everything again, and so would another ledger's."""
    one, two = ledgers
    one.summary()
    twin = pickle.loads(pickle.dumps(one))
    drop = f'DROP SCHEMA "{one.database.url.schema}" CASCADE'
    one.database.write_now(lambda db: db.execute(drop))

    with pytest.raises(DatabaseFailed, match="name the same database"):
        twin.summary()
    two.close()
    two.summary()
    with pytest.raises(DatabaseFailed, match="name the same database"):
        twin.summary()


def test_tables_of_a_newer_version_are_refused(ledgers) -> None:
    """They are left as they are."""
    one, two = ledgers
    one.database.write_now(lambda db: db.execute("UPDATE schemas SET version = 9"))

    with pytest.raises(DatabaseFailed, match="written by a newer memories_async"):
        two.summary()


def test_hosts_that_begin_at_the_same_time_make_the_tables_once(url) -> None:
    """One makes them, the others find them."""
    ledgers = [Ledger(url) for _ in range(6)]
    threads = [threading.Thread(target=one.summary) for one in ledgers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    found = {one.database.read_now(postgres._read_id) for one in ledgers}
    assert len(found) == 1
    for one in ledgers:
        one.close()


def test_tables_are_upgraded_step_by_step(url) -> None:
    """Each part of the library has a version of its own."""
    steps = (("CREATE TABLE things (a INT)",), ("ALTER TABLE things ADD COLUMN b INT",))
    for known in (1, 2):
        with Ledger(url) as ledger:
            ledger.database.include(Schema("things", (), postgres_steps=steps[:known]))
            versions = ledger.database.write_now(
                lambda db: dict(db.execute("SELECT name, version FROM schemas").fetchall())
            )
            assert versions == {"ledger": 1, "things": known}


def test_a_stricter_isolation_of_the_server_changes_nothing(url) -> None:
    """A snapshot from before the lock would not show what the last writer claimed."""
    with Ledger(url) as ledger:
        ledger.summary()
        isolation = ledger.database.write_now(
            lambda db: db.execute("SHOW transaction_isolation").fetchone()[0]
        )
    assert isolation == "read committed"


def test_an_error_of_one_move_rolls_back_that_move_alone(ledgers) -> None:
    """The others of its group are committed, each once."""
    one, _ = ledgers
    one.summary()
    store = one.coordinator.store
    done = []

    def fail(moves):
        moves.claim(make_key(9), fresh=False, resend=False)
        raise ValueError("no")

    def write(number):
        try:
            store.write_now(
                fail
                if number == 3
                else lambda moves: moves.claim(make_key(number), fresh=False, resend=False)
            )
        except ValueError as error:
            done.append(str(error))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(6)]
    with one.database._writing:  # so that they make one group
        for thread in threads:
            thread.start()
        time.sleep(0.05)
    for thread in threads:
        thread.join()

    assert done == ["no"]
    assert states(one) == ["planned"] * 5


def test_text_may_hold_what_postgresql_does_not_keep(ledgers) -> None:
    """A NUL is replaced."""
    one, _ = ledgers
    key = make_key(1)
    store = one.coordinator.store
    row, owner = store.write_now(lambda moves: moves.claim(key, fresh=False, resend=False))
    assert owner is not None
    store.write_now(lambda moves: moves.release(owner, entry=row.id, message="a\0b"))
    store.write_now(
        lambda moves: moves.connection.execute("UPDATE entries SET message = ?", ("a\0%?b",))
    )

    assert next(one.entries()).message == "a\ufffd%?b"


async def test_a_server_that_restarts_loses_nothing(ledgers, postgres) -> None:
    """Calls wait for it; the intent is committed before each is sent, and none is sent twice."""
    one, _ = ledgers
    async with (
        serving(answer(FOUND)) as server,
        callers.patient_client(server.url, ledger=one) as client,
    ):
        await client.send(search_call(prompt="first"))
        await asyncio.to_thread(postgres.stop)
        waiting = [
            asyncio.create_task(client.send(search_call(prompt=f"{n % 5}"))) for n in range(10)
        ]
        await asyncio.sleep(0.05)
        assert server.requests == 1
        await asyncio.to_thread(postgres.start)
        await asyncio.gather(*waiting)

        assert server.requests == 6
        assert rows(one) == [("done", None, 1)] * 6


def test_a_commit_that_was_cut_off_is_looked_up(ledgers, monkeypatch) -> None:
    """The server knows whether it committed: the moves are run again only where it did not."""
    one, _ = ledgers
    one.summary()
    execute = postgres.PostgresConnection.execute
    runs = []

    def cut(connection, statement, values=(), /):
        if statement == "COMMIT" and runs[-1:] == ["run"]:
            runs.append("cut")
            if len(runs) > 2:  # the first time the server never hears of it
                execute(connection, statement, values)
            connection.raw.close()
            raise postgres.psycopg.OperationalError("the connection is lost")
        return execute(connection, statement, values)

    monkeypatch.setattr(postgres.PostgresConnection, "execute", cut)

    def claim(moves):
        runs.append("run")
        return moves.claim(make_key(1), fresh=False, resend=False)

    _, owner = one.coordinator.store.write_now(claim)

    assert runs == ["run", "cut", "run", "cut"]
    assert rows(one) == [("planned", owner, 0)]


def test_a_server_that_was_never_reached_is_not_waited_for(postgres) -> None:
    """A typing error in the URL is told at once."""
    with pytest.raises(DatabaseFailed, match="connection"):
        Ledger("postgresql://127.0.0.1:1/nowhere").summary()


def test_without_psycopg_the_extra_is_named(tmp_path) -> None:
    """When the ledger is made, and not at the first call."""
    code = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from memories_async import Ledger\n"
        "Ledger(sys.argv[1])\n"
        "try: Ledger('postgresql://x/y')\n"
        "except ImportError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "x.db")],
        capture_output=True,
        text=True,
        check=True,
    )

    assert "pip install 'memories_async[postgres]'" in done.stdout
