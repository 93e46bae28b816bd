"""The inbox: the service receives callbacks itself, for tests without a receiver."""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
import urllib.request

import pytest

from memories_async.local import LocalService


@pytest.fixture
def submit(service, caption):
    """Submit a caption with a callback to the inbox; returns the task's id."""

    async def submit(**settings):
        return (await caption(callback=service.inbox.url, **settings)).json["data"]["task_id"]

    return submit


async def test_inbox_waits_for_the_callback_of_a_task(service, submit):
    """Waits may begin in any order, also after the callback has arrived."""
    first, second = await submit(), await submit(user_prompt="More.")

    late = await service.inbox.wait(second)
    early = await service.inbox.wait(first)
    await service.drain()
    again = await service.inbox.wait(first)

    assert (early["task_id"], late["task_id"]) == (first, second)
    assert "More." in late["data"]["text"]
    assert again == early
    assert not service.inbox._waiters


async def test_each_waiter_gets_the_first_callback(service, submit):
    """Repeated ones are kept in `received`."""
    service.faults.add(callback="duplicate", n=3, seconds=0.01)
    task_id = await submit()

    found = await asyncio.gather(*(service.inbox.wait(task_id) for _ in range(2)))
    await service.drain()

    assert found[0] == found[1]
    assert len(service.inbox.received) == 3
    assert [one.status for one in service.outbox.deliveries] == [200, 200, 200]


async def test_wait_times_out_with_the_name_of_the_task(service):
    """No waiter is left behind."""
    with pytest.raises(TimeoutError, match=r"no callback for nobody within 0\.001 s"):
        await service.inbox.wait("nobody", timeout=0.001)
    with pytest.raises(TimeoutError, match=r"no callback for nobody within 0\.001 s"):
        service.inbox.wait_blocking("nobody", timeout=0.001)

    assert not service.inbox._waiters


async def test_reset_empties_the_inbox(service, submit):
    """As it does everything else."""
    await service.inbox.wait(await submit())

    service.reset()

    assert service.inbox.received == ()


async def test_body_that_is_not_an_object_is_refused(service, http):
    """It is not kept."""
    async with http.post(service.inbox.url, data=b"[]") as reply:
        assert reply.status == 400
    assert service.inbox.received == ()


def _submitted(service, film):
    with service.blocking_client() as client:
        asked = {"user_prompt": "a", "system_prompt": "b", "callback": service.inbox.url}
        return client.captions.upload_file(film, **asked).task_id


def test_blocking_code_can_wait(films, engine):
    """While the service runs on a thread of its own."""
    with LocalService([films], engine=engine, limits=None) as service:
        task_id = _submitted(service, films / "street.mp4")

        assert service.inbox.wait_blocking(task_id)["status"] == 0


def test_any_event_loop_can_wait(films, engine):
    """Also one that is not the service's."""
    with LocalService([films], engine=engine, limits=None) as service:
        task_id = _submitted(service, films / "street.mp4")

        assert asyncio.run(service.inbox.wait(task_id))["task_id"] == task_id


def test_callback_of_an_upload_is_found_by_its_video_no(films, engine):
    """It has no task id."""
    with LocalService([films], engine=engine, limits=None) as service:
        body = json.dumps({"videoNo": "VI7", "status": "PARSE"}).encode()
        urllib.request.urlopen(service.inbox.url, data=body).close()

        assert service.inbox.wait_blocking("VI7")["status"] == "PARSE"


def test_inbox_has_a_url_only_while_the_service_runs(films, engine):
    """Each time another one."""
    service = LocalService([films], engine=engine)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="not running"):
            _ = service.inbox.url
        with service:
            assert service.inbox.url.startswith("http://127.0.0.1:")


def test_second_callback_changes_no_waiter(films, engine):
    """A cancelled waiter gets none."""
    with LocalService([films], engine=engine, limits=None) as service:
        submit, gone = service.inbox._add_waiter("t"), service.inbox._add_waiter("t")
        gone.cancel()
        for text in ("one", "two"):
            body = json.dumps({"task_id": "t", "text": text}).encode()
            urllib.request.urlopen(service.inbox.url, data=body).close()

        assert submit.result(0)["text"] == "one"


async def test_inbox_can_be_stopped_twice(service):
    """The second stop does nothing."""
    await service.inbox.stop()
    await service.inbox.stop()


@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example"}, {"Host": "evil.example"}])
async def test_callback_of_a_web_page_is_refused(service, http, headers):
    """A page in a browser reaches loopback too; it could make a test pass that should fail."""
    body = json.dumps({"task_id": "t", "status": 0})
    async with http.post(service.inbox.url, data=body, headers=headers) as reply:
        assert reply.status == 403
    assert service.inbox.received == ()


async def test_callback_over_one_megabyte_is_refused(service, http):
    """Counted after decompression."""
    bomb = gzip.compress(b" " * 2**26)
    async with http.post(
        service.inbox.url, data=bomb, headers={"Content-Encoding": "gzip"}
    ) as reply:
        assert (reply.status, await reply.text()) == (400, "The callback is larger than 1 MB.")
    assert service.inbox.received == ()


def test_waiter_fails_when_the_service_stops(films, engine):
    """It does not wait until its timeout for a callback that cannot come."""
    errors, begun = [], threading.Event()

    def wait(inbox):
        begun.set()
        with pytest.raises(RuntimeError, match="stopped before a callback for nobody came") as one:
            inbox.wait_blocking("nobody", timeout=20)
        errors.append(one.value)

    with LocalService([films], engine=engine, limits=None) as service:
        waiting = threading.Thread(target=wait, args=(service.inbox,), daemon=True)
        waiting.start()
        begun.wait(10)
        while not service.inbox._waiters:
            pass
    waiting.join(10)

    assert len(errors) == 1
