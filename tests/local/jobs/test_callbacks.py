"""Results are delivered at least once, and in every faulty way that a test can ask for."""

from __future__ import annotations

import pytest
from aiohttp import ClientSession, ServerDisconnectedError

from memories_async.local import Callbacks, LocalService


async def test_outbox_repeats_a_delivery_until_the_receiver_answers_2xx(service, caption, receiver):
    """Each attempt is logged with the receiver's status."""
    receiver.answers = [500, 302, 204]

    await caption()
    await service.drain()

    assert [(one.attempt, one.status) for one in service.outbox.deliveries] == [
        (1, 500),
        (2, 302),
        (3, 204),
    ]
    assert len(receiver.bodies) == 3


async def test_outbox_gives_up_after_the_last_attempt(service, caption, receiver):
    """Three attempts are the default."""
    receiver.answers = [500] * 9

    await caption()
    await service.drain()

    assert len(receiver.bodies) == 3


async def test_outbox_logs_a_refused_connection_as_an_attempt(service, caption, unused_tcp_port):
    """With the reason."""
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
async def test_callback_fault_changes_the_delivery(service, caption, receiver, fault, statuses):
    """One case for each kind of callback fault."""
    await caption(headers={"X-Local-Fault": fault})
    await service.drain()

    assert [body["status"] for body in receiver.bodies] == statuses
    assert service.request_log[0].fault == fault.split(";")[0].replace("=", " ")


async def test_early_callback_arrives_before_the_reply(service, caption, receiver):
    """The reply waits until the result was delivered."""
    service.faults.add(callback="early", route="captions")

    await caption()

    assert len(receiver.bodies) == 1


async def test_failure_by_a_fault_is_refunded(service, caption):
    """As every failed task is."""
    await caption(headers={"X-Local-Fault": "callback=failure"})
    await service.drain()

    assert service.account.points_spent == 0


async def test_early_callback_and_lost_reply_can_be_combined(service, http, caption, receiver):
    """The client has the result, and never gets the task id."""
    fault = {"X-Local-Fault": "callback=early, drop; when=after"}

    with pytest.raises(ServerDisconnectedError):
        await caption(headers=fault)

    assert len(receiver.bodies) == 1
    assert service.account.paid == 1
    assert service.request_log[0].fault == "drop after + callback early"


async def test_outbox_delivers_a_result_again_on_request(service, caption, receiver):
    """A delivery that a fault withheld can be made up for by task id."""
    reply = await caption(headers={"X-Local-Fault": "callback=missing"})
    await service.drain()

    taken = await service.outbox.resend(reply.json["data"]["task_id"])

    assert taken is True
    assert len(receiver.bodies) == 1
    assert await service.outbox.resend("nobody") is None


@pytest.mark.parametrize(("other", "same"), [(7, True), (8, False)])
async def test_task_ids_repeat_with_the_same_seed(films, engine, receiver, other, same):
    """Another seed gives other ids."""
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


def test_service_takes_settings_for_callbacks_as_a_value(films, engine):
    """Here: no host, one attempt."""
    service = LocalService(
        [films], engine=engine, callbacks=Callbacks(allowed_hosts="off", attempts=1)
    )

    assert service._components.outbox.settings.attempts == 1
