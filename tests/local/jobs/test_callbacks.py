"""Results arrive at least once, and wrongly in every way that a test asks for."""

from __future__ import annotations

import pytest
from aiohttp import ClientSession, ServerDisconnectedError

from memories_async.local import Callbacks, LocalService


async def test_repeats_until_the_receiver_takes_it(service, caption, receiver):
    """Every attempt is in the log, with what the receiver said."""
    receiver.answers = [500, 302, 204]

    await caption()
    await service.drain()

    assert [(one.attempt, one.status) for one in service.outbox.deliveries] == [
        (1, 500),
        (2, 302),
        (3, 204),
    ]
    assert len(receiver.bodies) == 3


async def test_gives_up_after_the_last_attempt(service, caption, receiver):
    """Three attempts are the default."""
    receiver.answers = [500] * 9

    await caption()
    await service.drain()

    assert len(receiver.bodies) == 3


async def test_logs_a_receiver_that_is_not_there(service, caption, unused_tcp_port):
    """A refused connection is an attempt like any other."""
    await caption(callback=f"http://127.0.0.1:{unused_tcp_port}/callback")
    await service.drain()

    assert [one.attempt for one in service.outbox.deliveries] == [1, 2, 3]
    assert "no connection" in service.outbox.deliveries[0].error


@pytest.mark.parametrize(
    ("fault", "statuses"),
    [
        ("callback=duplicate; n=3", [0, 0, 0]),
        ("callback=missing", []),
        ("callback=conflict", [0, -1]),
        ("callback=failure", [-1]),
        ("callback=delay; seconds=0.001", [0]),
        ("callback=early", [0]),
    ],
)
async def test_spoils_the_delivery_as_asked(service, caption, receiver, fault, statuses):
    """Each kind of callback fault does what it is called."""
    await caption(headers={"X-Local-Fault": fault})
    await service.drain()

    assert [body["status"] for body in receiver.bodies] == statuses
    assert service.request_log[0].fault == fault.split(";")[0].replace("=", " ")


async def test_an_early_callback_is_there_before_the_reply(service, caption, receiver):
    """The reply waits until the result was delivered."""
    service.faults.add(callback="early", route="captions")

    await caption()

    assert len(receiver.bodies) == 1


async def test_a_failure_asked_for_is_paid_back(service, caption):
    """A failed task costs nothing, whoever made it fail."""
    await caption(headers={"X-Local-Fault": "callback=failure"})
    await service.drain()

    assert service.account.points_spent == 0


async def test_an_early_callback_and_a_lost_reply_come_together(service, http, caption, receiver):
    """The hardest case for a client: the result is there, the task id never came."""
    fault = {"X-Local-Fault": "callback=early, drop; when=after"}

    with pytest.raises(ServerDisconnectedError):
        await caption(headers=fault)

    assert len(receiver.bodies) == 1
    assert service.account.paid == 1
    assert service.request_log[0].fault == "drop after + callback early"


async def test_sends_a_result_again_on_request(service, caption, receiver):
    """What was withheld can be delivered later, by its task id."""
    reply = await caption(headers={"X-Local-Fault": "callback=missing"})
    await service.drain()

    taken = await service.outbox.resend(reply.json["data"]["task_id"])

    assert taken is True
    assert len(receiver.bodies) == 1
    assert await service.outbox.resend("nobody") is None


@pytest.mark.parametrize(("other", "same"), [(7, True), (8, False)])
async def test_task_ids_repeat_under_a_seed(films, engine, receiver, other, same):
    """The same seed gives the same ids, for tests that compare bytes."""
    ids = [await _first_id(films, engine, receiver, seed) for seed in (7, other)]

    assert (ids[0] == ids[1]) is same


async def _first_id(films, engine, receiver, seed):
    async with LocalService([films], engine=engine, seed=seed) as service, ClientSession() as http:
        document = {
            "video_url": "https://x/street.mp4",
            "user_prompt": "u",
            "system_prompt": "s",
            "callback": receiver.url,
        }
        async with http.post(
            f"{service.url}/v1/understand/upload",
            json=document,
            headers={"Authorization": service.api_key},
        ) as reply:
            return (await reply.json())["data"]["task_id"]


def test_a_service_may_deliver_nowhere(films, engine):
    """The settings may be given whole."""
    service = LocalService(
        [films], engine=engine, callbacks=Callbacks(allowed_hosts="off", attempts=1)
    )

    assert service._components.outbox.settings.attempts == 1
