"""The receiver: each submission has a callback URL of its own, and its result can be awaited."""

from __future__ import annotations

import asyncio
import gzip
import json
import pickle

import pytest
from aiohttp.test_utils import TestClient, TestServer
from callbacks import SUBMISSION, TASK, FakeSend, deliver, failure, lose_reply, success

from memories_async import CaptionTask, Receiver
from memories_async._database.file import DatabaseFailed
from memories_async.errors import BadReply, Refused
from memories_async.ledger import Ledger
from memories_async.receiver import MemoryStore

URL = "https://public.example/memories"


async def test_the_token_is_stored_before_the_submission_is_sent(receiver, other) -> None:
    """As soon as the service knows a callback URL, every process accepts it."""

    async def check(url):
        assert url.startswith(f"{URL}/")
        assert await deliver(other, url, success()) == 200

    task = await receiver.submit(SUBMISSION, FakeSend(before_reply=check))

    assert (await receiver.wait(task)).text == "A man enters."


async def test_every_submission_has_a_token_of_its_own(receiver) -> None:
    """The callback of one task is not accepted at the URL of another."""
    first, second = FakeSend(CaptionTask("t1")), FakeSend(CaptionTask("t2"))
    await receiver.submit(SUBMISSION, first)
    await receiver.submit(SUBMISSION, second)

    assert first.url != second.url
    assert await deliver(receiver, second.url, success(task_id="t1")) == 404
    assert await deliver(receiver, second.url, success(task_id="t2")) == 200


async def test_a_wait_survives_a_restart(receiver, place) -> None:
    """A task can be submitted, received and awaited in three processes, by its text alone."""
    send = FakeSend()
    text = str(await receiver.submit(SUBMISSION, send))
    receiver.close()

    later = Receiver(URL, store=place)
    assert await deliver(later, send.url, success("Kept.")) == 200
    assert (await later.wait(text)).text == "Kept."
    assert (await later.wait(CaptionTask.parse(text))).text == "Kept."
    later.close()


async def test_a_callback_makes_up_for_a_lost_reply(receiver, other) -> None:
    """The error of the submission can be waited for like a task, in any process."""
    send, error = await lose_reply(receiver)
    assert await deliver(receiver, send.url, success("Accepted after all.")) == 200

    assert (await receiver.wait(error)).text == "Accepted after all."
    assert (await other.wait(pickle.loads(pickle.dumps(error)))).text == "Accepted after all."
    assert (await other.wait(TASK)).text == "Accepted after all."


async def test_a_refused_submission_stays_refused(receiver) -> None:
    """The service's refusal is raised unchanged."""

    async def refuse(call):
        raise Refused("no")

    with pytest.raises(Refused):
        await receiver.submit(SUBMISSION, refuse)


async def test_the_first_callback_counts_and_repetitions_change_nothing(receiver, place) -> None:
    """Equal callbacks, also after a restart, are acknowledged without effect."""
    send = FakeSend()
    task = await receiver.submit(SUBMISSION, send)
    for _ in range(2):
        assert await deliver(receiver, send.url, success("First.")) == 200
    receiver.close()

    again = Receiver(URL, store=place)
    assert await deliver(again, send.url, success("First.")) == 200
    assert (await again.wait(task)).text == "First."
    assert len(await again.deliveries(task)) == 1
    again.close()


@pytest.mark.parametrize("second", [success("Second."), failure()])
async def test_a_conflicting_callback_is_stored_and_changes_nothing(
    receiver, second, caplog
) -> None:
    """Another text, or a failure after a success, is acknowledged, stored and logged."""
    send = FakeSend()
    task = await receiver.submit(SUBMISSION, send)
    await deliver(receiver, send.url, success("First."))

    assert await deliver(receiver, send.url, second) == 200

    assert (await receiver.wait(task)).text == "First."
    assert len(await receiver.deliveries(task)) == 2
    assert "different callback" in caplog.text


async def test_a_callback_that_cannot_be_stored_is_not_acknowledged(
    receiver, monkeypatch, caplog
) -> None:
    """The answer is 503; once the disk has room, the repeated callback is stored."""
    send = FakeSend()
    task = await receiver.submit(SUBMISSION, send)
    store = receiver._open().store

    async def full(*_, **__):
        raise DatabaseFailed("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(type(store), "add_delivery", full)
        assert await deliver(receiver, send.url, success()) == 503
    assert "not acknowledged" in caplog.text

    assert await deliver(receiver, send.url, success()) == 200
    assert (await receiver.wait(task)).text == "A man enters."


async def test_a_receiver_whose_store_cannot_be_opened_answers_503(tmp_path) -> None:
    """Without its secret it cannot tell good tokens from bad ones."""
    receiver = Receiver(URL, store=tmp_path / "missing" / "x.db")

    assert await deliver(receiver, f"{URL}/x", success()) == 503


async def test_a_task_that_cannot_be_stored_is_still_returned(
    receiver, monkeypatch, caplog
) -> None:
    """It is paid for, and the callback will name it."""

    async def full(*_, **__):
        raise DatabaseFailed("the disk is full")

    send = FakeSend()
    with monkeypatch.context() as broken:
        broken.setattr(type(receiver._open().store), "set_task", full)
        task = await receiver.submit(SUBMISSION, send)
    assert "could not be stored beside" in caplog.text

    await deliver(receiver, send.url, success())
    assert (await receiver.wait(task)).text == "A man enters."


async def test_a_receiver_at_its_limit_answers_503(receiver) -> None:
    """A body beyond the limit is not read."""
    send = FakeSend()
    await receiver.submit(SUBMISSION, send)
    admission = receiver._open().admission

    admission.requests = 0
    assert await deliver(receiver, send.url, success()) == 503
    admission.requests = 1
    assert await deliver(receiver, send.url, success()) == 200


async def test_a_users_own_secret_is_needed_to_accept_its_tokens(place) -> None:
    """Receivers with the same secret accept each other's tokens, others do not."""
    mine, twin = (Receiver(URL, store=place, secret="my own secret!!!") for _ in range(2))
    stranger = Receiver(URL, store=place)
    send = FakeSend()
    await mine.submit(SUBMISSION, send)

    assert await deliver(stranger, send.url, success()) == 404
    assert await deliver(twin, send.url, success()) == 200
    for one in (mine, twin, stranger):
        one.close()


async def test_a_good_token_that_the_store_does_not_know_is_answered_503(
    place, tmp_path, caplog
) -> None:
    """The store is the wrong one, or has lost its records: the sender should try again later."""
    one, other = (
        Receiver(URL, store=store, secret="my own secret!!!")
        for store in (place, tmp_path / "b.db")
    )
    send = FakeSend()
    await one.submit(SUBMISSION, send)

    assert await deliver(other, send.url, success()) == 503
    assert "does not know its token" in caplog.text
    assert send.url.rpartition("/")[2] not in caplog.text
    one.close()
    other.close()


async def test_a_receiver_whose_file_was_removed_answers_503(file_receiver, path) -> None:
    """Every time: an empty new file must not make its callbacks look forged."""
    send = FakeSend()
    await file_receiver.submit(SUBMISSION, send)
    for file in path.parent.glob("callbacks.db*"):
        file.unlink()

    assert [await deliver(file_receiver, send.url, success()) for _ in range(3)] == [503] * 3


async def test_a_closed_receiver_reads_the_secret_again(file_receiver, path) -> None:
    """Its file may be another one now: tokens must be signed with the secret that is stored."""
    await file_receiver.submit(SUBMISSION, FakeSend())
    file_receiver.close()
    for file in path.parent.glob("callbacks.db*"):
        file.unlink()
    send = FakeSend()
    await file_receiver.submit(SUBMISSION, send)

    again = Receiver(URL, store=path)
    assert await deliver(again, send.url, success()) == 200
    again.close()


@pytest.mark.parametrize("adapter", ["asgi", "wsgi", "aiohttp"])
async def test_a_store_that_cannot_be_made_is_answered_503(tmp_path, monkeypatch, adapter) -> None:
    """A framework must not answer 500, nor a receiver 404, for a fault of the owner's machine."""
    (tmp_path / "state").write_text("a file where a folder should be")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    receiver, path, statuses = Receiver(URL), "/memories/token", []

    async def receive():
        return {"type": "http.request", "body": b"{}"}

    async def send(message):
        statuses.append(message.get("status", 503))

    if adapter == "asgi":
        scope = {"type": "http", "method": "POST", "path": path, "headers": []}
        await receiver.asgi(scope, receive, send)
    elif adapter == "wsgi":
        environ = {"REQUEST_METHOD": "POST", "PATH_INFO": path, "CONTENT_LENGTH": "2"}
        receiver.wsgi(environ, lambda status, _: statuses.append(int(status[:3])))
    else:
        http = TestClient(TestServer(receiver.aiohttp_app()))
        async with http, http.post(path, data=b"{}") as reply:
            statuses.append(reply.status)
    assert set(statuses) == {503}


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"Internal Server Error", "text/html"),
        (b"a=b&c=d", "application/x-www-form-urlencoded"),
        (b'{"status": 0, "task_id": "8e03075a", "data": {"te', "application/json"),
        (b"\x1f\x8b\x08 not really gzip", "application/json"),
        (b'{"status": 7}', ""),
    ],
)
async def test_an_unclear_callback_is_stored_and_given_to_the_waiter(
    receiver, body, content_type, caplog
) -> None:
    """It is acknowledged and logged once, without the token; a clear one may follow."""
    send = FakeSend()
    task = await receiver.submit(SUBMISSION, send)

    for _ in range(2):
        assert await deliver(receiver, send.url, body, content_type=content_type) == 200

    with pytest.raises(BadReply) as caught:
        await receiver.wait(task, timeout=0)
    assert caught.value.body == body
    assert [one.body for one in await receiver.deliveries(task)] == [body]
    assert len(caplog.records) == 1
    assert f"captions.upload, task '{task}': a callback of {len(body)} bytes" in caplog.text
    assert send.url.rpartition("/")[2] not in caplog.text
    assert await deliver(receiver, send.url, success("Clear.")) == 200
    assert (await receiver.wait(task, timeout=0)).text == "Clear."


async def test_a_callback_in_a_declared_charset_is_read_after_a_restart(receiver, place) -> None:
    """The charset is stored with the body."""
    send = FakeSend()
    task = await receiver.submit(SUBMISSION, send)
    body = json.dumps(success("Caf\u00e9"), ensure_ascii=False).encode("latin-1")
    content_type = "application/json;charset=ISO-8859-1"
    assert await deliver(receiver, send.url, body, content_type=content_type) == 200
    receiver.close()

    again = Receiver(URL, store=place)
    assert (await again.wait(task, timeout=0)).text == "Caf\u00e9"
    again.close()


async def test_a_compressed_callback_is_decompressed(receiver) -> None:
    """A proxy or the service may compress it."""
    send = FakeSend()
    task = await receiver.submit(SUBMISSION, send)
    body = gzip.compress(json.dumps(success("Small.")).encode())

    assert await deliver(receiver, f"{send.url}/", body, content_encoding="gzip") == 200
    assert (await receiver.wait(task, timeout=0)).text == "Small."


async def test_a_refused_callback_is_logged_without_its_token(place, caplog) -> None:
    """Another task's, and one whose token has expired."""
    receiver = Receiver(URL, store=place, accept_for=0.001)
    send = FakeSend()
    await receiver.submit(SUBMISSION, send)
    await asyncio.sleep(0.002)

    assert await deliver(receiver, send.url, success()) == 404
    assert await deliver(receiver, send.url, success(task_id="t2")) == 404

    assert "was not stored: its token has expired" in caplog.records[0].getMessage()
    assert "was not stored: it names 't2'" in caplog.records[1].getMessage()
    assert send.url.rpartition("/")[2] not in caplog.text
    receiver.close()


@pytest.mark.parametrize(
    "url", ["", "x.example/cb", "ftp://x.example", "https://x.example/?a=1", "https://x.example/#a"]
)
def test_a_public_url_is_checked_at_once(url) -> None:
    """A URL that cannot be called is refused when the receiver is made."""
    with pytest.raises(ValueError, match="public_url"):
        Receiver(url)


async def test_port_0_stands_for_the_port_that_is_served() -> None:
    """A trial on one machine needs no port of its own; before serving there is none."""
    receiver = Receiver("http://127.0.0.1:0/cb/", store=MemoryStore())
    send = FakeSend()
    with pytest.raises(ValueError, match="port 0"):
        await receiver.submit(SUBMISSION, send)

    async with receiver.serve() as address:
        await receiver.submit(SUBMISSION, send)

    assert send.url.startswith(f"{address.url}/cb/")
    with pytest.raises(ValueError, match="port 0"):
        await receiver.submit(SUBMISSION, send)


async def test_port_0_stands_for_a_port_that_is_still_served() -> None:
    """Of several servers, the port of the one that was opened last is used."""
    receiver = Receiver("http://127.0.0.1:0", store=MemoryStore())
    send = FakeSend()
    async with receiver.serve() as first:
        async with receiver.serve() as second:
            await receiver.submit(SUBMISSION, send)
            assert send.url.startswith(f"{second.url}/")
        await receiver.submit(SUBMISSION, send)

    assert send.url.startswith(f"{first.url}/")


def test_a_receiver_that_would_accept_nothing_is_refused() -> None:
    """Every callback would come too late."""
    with pytest.raises(ValueError, match="accept_for must be a number of seconds above 0, not 0"):
        Receiver(URL, accept_for=0)


def test_a_receiver_works_with_one_ledger(tmp_path) -> None:
    """A callback must not be reported to the wrong one of two ledgers."""
    receiver = Receiver(URL, store=MemoryStore())
    ledger, another = Ledger(tmp_path / "a.db"), Ledger(tmp_path / "b.db")

    receiver.attach_ledger(ledger)
    receiver.attach_ledger(ledger)
    with pytest.raises(ValueError, match="another ledger"):
        receiver.attach_ledger(another)


async def test_an_answer_that_is_no_task_is_returned_unchanged() -> None:
    """The receiver stores the ids of tasks and videos only."""
    receiver = Receiver(URL, store=MemoryStore())

    assert await receiver.submit(SUBMISSION, FakeSend("something else")) == "something else"


async def test_a_receiver_pickles_as_its_settings(receiver) -> None:
    """It is pickled with its client; one with a secret refuses."""
    twin = pickle.loads(pickle.dumps(receiver))
    send = FakeSend()
    await receiver.submit(SUBMISSION, send)

    assert await deliver(twin, send.url, success()) == 200
    twin.close()
    with_secret = Receiver(URL, secret="my own secret!!!")
    assert "secret!!!" not in repr(with_secret)
    with pytest.raises(TypeError, match="does not pickle"):
        pickle.dumps(with_secret)


async def test_an_unpickled_receiver_refuses_a_missing_file(file_receiver, path) -> None:
    """On another machine an empty store would make callback URLs that the first one does not know."""
    pickled = pickle.dumps(file_receiver)
    file_receiver.close()
    for file in path.parent.glob("callbacks.db*"):
        file.unlink()
    send = FakeSend()

    with pytest.raises(DatabaseFailed, match="no such file on this machine"):
        await pickle.loads(pickled).submit(SUBMISSION, send)
    assert not send.url
    assert not path.exists()


@pytest.mark.parametrize("task_id", ["8e03-77", "a b", "../../etc/passwd", "\x1b[2J", "ü%41"])
def test_a_task_survives_being_written_as_text(task_id) -> None:
    """Its text is printable ASCII whatever its id contains."""
    text = str(CaptionTask(task_id))

    assert text.isascii()
    assert text.isprintable()
    assert " " not in text
    assert CaptionTask.parse(text) == CaptionTask(task_id)
