"""`/_local` lets a test in another process do what one in this process can."""

from __future__ import annotations

import pytest
from aiohttp import ServerDisconnectedError


@pytest.fixture
def local(send):
    """Ask one of the service's own routes."""

    async def local(method, path, document=None, headers=None):
        return await send(f"/_local/{path}", method=method, document=document, headers=headers)

    return local


async def test_tells_the_state(service, local, search):
    """What a billing test wants to know, without a key."""
    await search()

    state = await local("GET", "state")

    assert state.json["engine"] == state.headers["X-Local-Engine"] == "bytes/1"
    assert (state.json["calls"], state.json["paid"], state.json["points_spent"]) == (1, 1, 1)
    assert service.api_key.encode() not in state.body


async def test_sets_points_and_dialect(service, local, embed):
    """An empty account and another dialect, from outside."""
    await local("POST", "state", {"points": 1, "dialect": {"v2_code": 200}})

    assert (await embed()).json["code"] == 200
    assert (await embed()).status == 402
    await local("POST", "state", {"disabled": True})
    await local("POST", "state", {"points": 5})

    assert (service.account.disabled, service.account.points) == (True, 5)


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ({"point": 1}, "cannot be set: point"),
        ({"points": "many"}, "whole number"),
        ({"dialect": {"v2_code": 5}}, "v2_code is"),
        ({"dialect": {"v3": 5}}, "v3"),
        ([], "must be an object"),
    ],
)
async def test_refuses_a_state_that_makes_no_sense(local, document, sentence):
    """And says why."""
    reply = await local("POST", "state", document)

    assert reply.status == 400
    assert sentence in reply.json["error"]


async def test_orders_faults_and_takes_them_back(local, search):
    """PageLimits as JSON: added, listed, dropped."""
    added = await local("POST", "faults", [{"kind": "drop", "when": "after"}, {"kind": "reset"}])
    with pytest.raises(ServerDisconnectedError):
        await search()

    assert [one["kind"] for one in added.json] == ["drop", "reset"]
    assert [one["kind"] for one in (await local("GET", "faults")).json] == ["reset"]
    assert (await local("DELETE", "faults")).json == []
    assert (await search()).status == 200


async def test_a_list_with_one_bad_rule_adds_none(local):
    """All or nothing."""
    reply = await local("POST", "faults", [{"kind": "drop"}, {"kind": "explode"}])

    assert reply.status == 400
    assert (await local("GET", "faults")).json == []


async def test_lists_library_book_and_callbacks(service, local, search, caption):
    """The rest of what the object shows."""
    await search()
    await caption()
    await service.drain()

    films = (await local("GET", "library")).json
    statement = (await local("GET", "statement")).json
    callbacks = (await local("GET", "callbacks")).json
    assert [one["video_no"] for one in films] == [one.video_no for one in service.library]
    assert [one["route"] for one in statement] == ["clips.search", "captions.upload"]
    assert [one["status"] for one in callbacks] == [200]


async def test_sends_a_callback_again(service, local, caption, receiver):
    """By task id; an unknown one is 404."""
    task_id = (await caption()).json["data"]["task_id"]
    await service.drain()

    assert (await local("POST", f"callbacks/{task_id}/resend")).json == {"taken": True}
    assert len(receiver.bodies) == 2
    assert (await local("POST", "callbacks/nobody/resend")).status == 404


async def test_resets_everything_but_the_library(service, local, search, caption, engine):
    """After a reset nothing was ever asked."""
    await search()
    await caption()
    service.faults.add(kind="drop")

    await local("POST", "reset")

    assert (service.request_log, service.outbox.deliveries, list(service.faults)) == ((), (), [])
    assert (service.account.calls, service.account.points) == (0, 1_000_000)
    await search()
    assert len(engine.indexed) == 1


async def test_is_for_programs_on_this_machine_only(local):
    """A page in a browser reaches loopback too: by another name, or across origins."""
    for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
        assert (await local("POST", "reset", headers=headers)).status == 403
    assert (await local("GET", "state", headers={"Host": "localhost:80"})).status == 200
