"""The inbox: the service takes its own callbacks, for tests that have no receiver."""

from __future__ import annotations

import asyncio
import json
import urllib.request

import pytest

from memories_async.local import LocalService


@pytest.fixture
def told(service, caption):
    """Have a caption delivered to the inbox; gives the task's id."""

    async def told(**settings):
        return (await caption(callback=service.inbox.url, **settings)).json["data"]["task_id"]

    return told


async def test_waits_for_the_callback_of_a_task(service, told):
    """Of this one, whichever comes first, and whether or not it came already."""
    first, second = await told(), await told(user_prompt="More.")

    late = await service.inbox.wait(second)
    early = await service.inbox.wait(first)
    await service.drain()
    again = await service.inbox.wait(first)

    assert (early["task_id"], late["task_id"]) == (first, second)
    assert "More." in late["data"]["text"]
    assert again == early
    assert not service.inbox._waiters


async def test_everybody_who_waits_is_told_once(service, told):
    """A repeat changes nothing, and is kept to be looked at."""
    service.faults.add(callback="duplicate", n=3, seconds=0.01)
    task_id = await told()

    found = await asyncio.gather(*(service.inbox.wait(task_id) for _ in range(2)))
    await service.drain()

    assert found[0] == found[1]
    assert len(service.inbox.received) == 3
    assert [one.status for one in service.outbox.deliveries] == [200, 200, 200]


async def test_gives_up_in_time(service):
    """And says what did not come; waiting in vain leaves nothing behind."""
    with pytest.raises(TimeoutError, match=r"no callback for nobody within 0\.001 s"):
        await service.inbox.wait("nobody", timeout=0.001)
    with pytest.raises(TimeoutError, match=r"no callback for nobody within 0\.001 s"):
        service.inbox.wait_blocking("nobody", timeout=0.001)

    assert not service.inbox._waiters


async def test_a_reset_forgets_what_came(service, told):
    """As it does everything that was asked."""
    await service.inbox.wait(await told())

    service.reset()

    assert service.inbox.received == ()


async def test_what_is_no_callback_is_refused(service, http):
    """The address takes JSON objects."""
    async with http.post(service.inbox.url, data=b"[]") as reply:
        assert reply.status == 400
    assert service.inbox.received == ()


def _submitted(service, film):
    with service.blocking_client() as client:
        asked = {"user_prompt": "a", "system_prompt": "b", "callback": service.inbox.url}
        return client.captions.upload_file(film, **asked).task_id


def test_blocking_code_waits_too(films, engine):
    """Beside a service on a thread of its own."""
    with LocalService([films], engine=engine, limits=None) as service:
        task_id = _submitted(service, films / "street.mp4")

        assert service.inbox.wait_blocking(task_id)["status"] == 0


def test_any_loop_may_wait(films, engine):
    """Also one that is not the service's."""
    with LocalService([films], engine=engine, limits=None) as service:
        task_id = _submitted(service, films / "street.mp4")

        assert asyncio.run(service.inbox.wait(task_id))["task_id"] == task_id


def test_an_uploads_callback_goes_by_its_video_no(films, engine):
    """It has no task."""
    with LocalService([films], engine=engine, limits=None) as service:
        body = json.dumps({"videoNo": "VI7", "status": "PARSE"}).encode()
        urllib.request.urlopen(service.inbox.url, data=body).close()

        assert service.inbox.wait_blocking("VI7")["status"] == "PARSE"


def test_has_no_address_without_the_service(films, engine):
    """It is there while the service runs, each time at its own."""
    service = LocalService([films], engine=engine)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="not running"):
            _ = service.inbox.url
        with service:
            assert service.inbox.url.startswith("http://127.0.0.1:")


def test_a_callback_that_comes_twice_at_once_is_told_once(films, engine):
    """Before whoever was told has gone; and one who gave up is left alone."""
    with LocalService([films], engine=engine, limits=None) as service:
        told, gone = service.inbox._add_waiter("t"), service.inbox._add_waiter("t")
        gone.cancel()
        for text in ("one", "two"):
            body = json.dumps({"task_id": "t", "text": text}).encode()
            urllib.request.urlopen(service.inbox.url, data=body).close()

        assert told.result(0)["text"] == "one"


async def test_may_be_stopped_twice(service):
    """As everything here."""
    await service.inbox.stop()
    await service.inbox.stop()
