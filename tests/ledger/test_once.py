"""One call through a ledger: paid once, then answered from it, and not repeated when unknown."""

from __future__ import annotations

import asyncio
import errno
import json
import pickle
import shutil
import stat
from pathlib import Path

import callers
import pytest
from ledgers import WRONG, cancelled, states, until
from samples import FOUND, KEY, LIMITED, search_call
from servers import answer, hang_up, raw, serving, silent

from memories_async import clips, videos
from memories_async._database import file as database_file
from memories_async._database.file import create_private
from memories_async.errors import BadReply, InvalidRequest, OutcomeUnknown
from memories_async.ledger import DatabaseFailed, Ledger
from memories_async.ledger._claims import InFlight
from memories_async.ledger._coordinator import build_entry_key


async def test_a_paid_call_is_answered_from_the_ledger(ledger, place):
    """The second call, by another client, reaches no server."""
    async with serving(answer(FOUND)) as server:
        async with callers.patient_client(server.url, ledger=ledger) as client:
            first = await client.send(search_call())
        async with callers.patient_client(server.url, ledger=Ledger(place)) as client:
            assert await client.send(search_call()) == first

        assert server.requests == 1
        assert ledger.summary().done == 1


async def test_fresh_sends_again_and_keeps_the_first_entry(ledger):
    """Two payments are two entries."""
    async with (
        serving(answer(FOUND)) as server,
        callers.patient_client(server.url, ledger=ledger) as client,
    ):
        await client.send(search_call())
        await client.send(search_call(), fresh=True)

        assert server.requests == 2
        assert states(ledger) == ["done", "done"]


async def test_a_failed_fresh_call_leaves_the_paid_answer(ledger):
    """The paid reply stays the answer, however a later call ends."""
    async with (
        serving(answer(FOUND), hang_up) as server,
        callers.patient_client(server.url, ledger=ledger) as client,
    ):
        paid = await client.send(search_call())
        with pytest.raises(OutcomeUnknown):
            await client.send(search_call(), fresh=True)

        assert await client.send(search_call()) == paid
        assert states(ledger) == ["done", "unknown"]


async def test_the_intent_is_on_the_disk_before_the_first_byte_leaves(ledger):
    """When the service reads the request, the entry is `sending`."""
    seen = []

    async def look(exchange):
        seen.extend(states(ledger))
        await answer(FOUND)(exchange)

    async with serving(look) as server, callers.patient_client(server.url, ledger=ledger) as client:
        await client.send(search_call())

    assert seen == ["sending"]


async def test_the_answer_is_on_the_disk_before_the_caller_sees_it(ledger):
    """State and raw reply are in the file when `send` returns."""
    async with (
        serving(answer(FOUND)) as server,
        callers.patient_client(server.url, ledger=ledger) as client,
    ):
        await client.send(search_call())

        assert states(ledger) == ["done"]
        (entry,) = ledger.entries()
        assert (json.loads(entry.reply), entry.billed) == (FOUND, "yes")


async def test_a_refused_call_is_recorded_and_may_be_sent_again(ledger):
    """A refusal costs nothing."""
    async with (
        serving(answer(WRONG), answer(FOUND)) as server,
        callers.patient_client(server.url, ledger=ledger) as client,
    ):
        with pytest.raises(InvalidRequest):
            await client.send(search_call())
        (entry,) = ledger.entries()
        assert (entry.state, entry.billed, entry.status) == ("refused", "no", 200)

        await client.send(search_call())

        assert states(ledger) == ["done"]


async def test_a_rate_limited_call_is_not_unknown(ledger):
    """After a 429 the call is sent again, and the entry counts both requests."""
    async with (
        serving(answer(LIMITED), answer(FOUND)) as server,
        callers.patient_client(server.url, ledger=ledger) as client,
    ):
        await client.send(search_call())

        (entry,) = ledger.entries()
        assert (entry.state, entry.attempts, entry.message) == ("done", 2, None)


async def test_a_lost_reply_is_unknown_and_never_sent_again_by_itself(ledger):
    """The second call fails without a request, and the error says what to do."""
    async with (
        serving(hang_up) as server,
        callers.patient_client(server.url, ledger=ledger) as client,
    ):
        for _ in range(2):
            with pytest.raises(OutcomeUnknown) as caught:
                await client.send(search_call())

        assert server.requests == 1
        (entry,) = ledger.unknown()
        assert (entry.call, entry.billed, entry.attempts) == ("clips.search", "maybe", 1)
        assert entry.key in str(caught.value)
        assert caught.value.billed == "maybe"


async def test_an_unreadable_success_keeps_its_body(ledger):
    """It was paid: the raw reply is in the error and in the ledger, and the call is not sent again."""
    async with serving(raw(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n{..}")) as server:
        async with callers.patient_client(server.url, ledger=ledger) as client:
            with pytest.raises(BadReply):
                await client.send(search_call())
            with pytest.raises(OutcomeUnknown) as caught:
                await client.send(search_call())

        assert caught.value.body == ledger.unknown()[0].reply == b"{..}"
        assert server.requests == 1


async def test_a_later_version_reads_a_kept_reply_at_no_cost(ledger, monkeypatch):
    """A reply that one version cannot read answers the call in the next one."""
    async with (
        serving(answer(FOUND)) as server,
        callers.patient_client(server.url, ledger=ledger) as client,
    ):
        with monkeypatch.context() as patch:
            patch.setattr(clips, "converter", None)
            patch.setattr(clips.Call, "read", _unreadable)
            with pytest.raises(BadReply):
                await client.send(search_call())

        assert len(await client.send(search_call())) == 1
        assert (server.requests, states(ledger)) == (1, ["done"])


def _unreadable(_, reply):
    raise BadReply("not yet", status=reply.status, body=reply.body)


async def test_every_resend_by_policy_is_recorded(ledger):
    """Two unknown attempts and a success: done, with three requests."""
    policy = callers.HASTY.__class__(
        resend_unknown=True, backoff=0.001, max_backoff=0.002, timeout=1.0
    )
    async with serving(hang_up, hang_up, answer(FOUND)) as server:  # noqa: SIM117  # reads better apart
        async with callers.patient_client(server.url, ledger=ledger, policy=policy) as client:
            await client.send(search_call())

    (entry,) = ledger.entries()
    assert (entry.state, entry.attempts) == ("done", 3)


async def test_a_refusal_after_an_unknown_attempt_stays_unknown(ledger):
    """The last attempt was not paid, the one before may have been."""
    policy = callers.HASTY.__class__(
        resend_unknown=True, backoff=0.001, max_backoff=0.002, timeout=1.0
    )
    async with serving(hang_up, answer(WRONG)) as server:  # noqa: SIM117  # reads better apart
        async with callers.patient_client(server.url, ledger=ledger, policy=policy) as client:
            with pytest.raises(OutcomeUnknown):
                await client.send(search_call())

    (entry,) = ledger.unknown()
    assert (entry.attempts, entry.billed) == (2, "maybe")


async def test_free_calls_are_not_recorded(ledger):
    """A list of videos is requested each time: it changes."""
    listed = {"code": "0000", "msg": "success", "data": {"videos": []}}
    call = videos.list()
    async with (
        serving(answer(listed)) as server,
        callers.patient_client(server.url, ledger=ledger) as client,
    ):
        for _ in range(2):
            await client.send(call)

        assert server.requests == 2
        assert ledger.summary().total == 0


async def test_another_server_has_entries_of_its_own(ledger):
    """An embedded service is another server than every other, and another account."""
    async with serving(answer(FOUND)) as one, serving(answer(FOUND)) as other:
        for url in (one.url, other.url, one.url):
            async with callers.patient_client(url, ledger=ledger) as client:
                await client.send(search_call())

        assert (one.requests, other.requests) == (1, 1)


async def test_the_file_is_private_and_holds_no_key(file_ledger):
    """Prompts and answers are readable by the owner only; the API key is not stored."""
    async with (
        serving(answer(FOUND)) as server,
        callers.patient_client(server.url, ledger=file_ledger) as client,
    ):
        await client.send(search_call())

    for path in file_ledger.path.parent.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert KEY.encode() not in path.read_bytes()


async def test_a_call_that_cannot_be_recorded_is_not_sent(file_ledger):
    """A full disk stops a call before its first byte."""
    async with (
        serving(answer(FOUND)) as server,
        callers.patient_client(server.url, ledger=file_ledger) as client,
    ):
        await client.send(search_call())
        fill(file_ledger)
        with pytest.raises(DatabaseFailed, match="disk is full") as caught:  # noqa: PT012  # raised inside the loop
            for number in range(1000):
                await client.send(search_call(prompt=f"{number} {'x' * 400}"))

        paid = file_ledger.database.read_now(
            lambda c: c.execute("SELECT count(*) FROM entries WHERE state='done'").fetchone()[0]
        )
        assert server.requests == paid
        assert caught.value.billed == "no"


def fill(ledger) -> None:
    """Keep the file from growing: SQLite then reports a full disk."""

    def limit(connection):
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count={pages}")

    ledger.database.write_now(limit)


async def test_an_answer_that_cannot_be_recorded_is_not_lost(file_ledger):
    """The error says that it was paid, and carries the reply."""
    big = {**FOUND, "extra": "x" * 100_000}

    async def fill_up(exchange):
        await asyncio.to_thread(fill, file_ledger)
        await answer(big)(exchange)

    async with (
        serving(fill_up) as server,
        callers.patient_client(server.url, ledger=file_ledger) as client,
    ):
        with pytest.raises(DatabaseFailed, match="not recorded") as caught:
            await client.send(search_call())

    assert caught.value.billed == "yes"
    assert json.loads(caught.value.body) == big
    assert states(file_ledger) == ["unknown"]


def test_a_ledger_pickles_as_its_path(ledger):
    """A worker process opens the same file."""
    twin = pickle.loads(pickle.dumps(ledger))

    assert (twin.path, repr(twin)) == (ledger.path, repr(ledger))


async def test_an_unpickled_ledger_without_its_file_sends_nothing(file_ledger):
    """On a machine that has not the file, an empty one would pay for everything again."""
    async with serving(answer(FOUND)) as server:
        async with callers.patient_client(server.url, ledger=file_ledger) as client:
            await client.send(search_call())
            pickled = pickle.dumps(client)
        file_ledger.close()
        file_ledger.path.rename(file_ledger.path.with_name("elsewhere.db"))
        async with pickle.loads(pickled) as client:
            with pytest.raises(DatabaseFailed, match="no such file on this machine"):
                await client.send(search_call())

        assert server.requests == 1
    assert not file_ledger.path.exists()


async def test_a_ledger_behind_a_link_is_the_same_ledger(file_ledger, tmp_path):
    """A call in flight is not taken for a dead process's, so `resend` sends it once."""
    (tmp_path / "links").mkdir()
    link = tmp_path / "links" / "link.db"
    link.symlink_to(file_ledger.path)
    async with (
        serving(silent) as server,
        callers.patient_client(server.url, ledger=file_ledger) as client,
    ):
        sending = asyncio.create_task(client.send(search_call()))
        await until(lambda: server.requests)
        key = build_entry_key(search_call(), client._settings.account(search_call()))
        (claim,) = await Ledger(link).coordinator.claim([key], resend=True)
        assert isinstance(claim, InFlight)
        await cancelled(sending)


async def test_a_ledger_that_takes_no_writes_is_read_and_exported(
    file_ledger, tmp_path, monkeypatch
):
    """Also where its log was left beside it, by a process that was killed."""
    async with serving(answer(FOUND), silent) as server:  # noqa: SIM117  # reads better apart
        async with callers.patient_client(server.url, ledger=file_ledger) as client:
            await client.send(search_call())
            lost = asyncio.create_task(client.send(search_call(prompt="lost")))
            await until(lambda: server.requests == 2)
            archive = tmp_path / "archive"
            archive.mkdir()
            for file in file_ledger.path.parent.glob("run.db*"):
                if "-owner-" not in file.name and "-shm" not in file.name:
                    shutil.copy(file, archive)
            await cancelled(lost)

    def refuse(path, flags=0):
        if Path(path).is_relative_to(archive):
            raise OSError(errno.EROFS, "Read-only file system")
        return create_private(path, flags)

    monkeypatch.setattr(database_file, "create_private", refuse)
    with Ledger(archive / "run.db") as archived:
        assert (archived.summary().done, archived.summary().unknown) == (1, 1)
        assert archived.export(tmp_path / "out.jsonl") == 2
        with pytest.raises(DatabaseFailed, match="Read-only"):
            archived.retry(archived.unknown()[0].key)


async def test_the_blocking_client_keeps_the_same_record(ledger):
    """Both clients share a ledger, and a paid call is free for either."""
    async with serving(answer(FOUND)) as server:
        blocking = callers.Caller(
            callers.blocking.Client(**callers.settings(server.url, ledger=ledger))
        )
        first = await blocking.send(search_call())
        async with callers.patient_client(server.url, ledger=ledger) as client:
            assert await client.send(search_call()) == first
        await blocking.aclose()

        assert server.requests == 1
