"""The admin routes under `/_local` do what the object does, for tests in another process."""

from __future__ import annotations

import gzip
from io import BytesIO

import pytest
from aiohttp import ServerDisconnectedError


@pytest.fixture
def local(send):
    """Send a request to an admin route."""

    async def local(method, path, document=None, headers=None):
        return await send(f"/_local/{path}", method=method, document=document, headers=headers)

    return local


async def test_state_shows_engine_and_account_without_a_key(service, local, search):
    """Calls, paid calls and points."""
    await search()

    state = await local("GET", "state")

    assert state.json["engine"] == state.headers["X-Local-Engine"] == "bytes/1"
    assert (state.json["calls"], state.json["paid"], state.json["points_spent"]) == (1, 1, 1)
    assert service.api_key.encode() not in state.body


async def test_state_sets_points_and_dialect(service, local, embed):
    """It also disables the account."""
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
async def test_wrong_state_is_refused_with_a_reason(local, document, sentence):
    """Unknown fields and wrong types."""
    reply = await local("POST", "state", document)

    assert reply.status == 400
    assert sentence in reply.json["error"]


async def test_faults_are_added_listed_and_cleared(local, search):
    """As JSON."""
    added = await local("POST", "faults", [{"kind": "drop", "when": "after"}, {"kind": "reset"}])
    with pytest.raises(ServerDisconnectedError):
        await search()

    assert [one["kind"] for one in added.json] == ["drop", "reset"]
    assert [one["kind"] for one in (await local("GET", "faults")).json] == ["reset"]
    assert (await local("DELETE", "faults")).json == []
    assert (await search()).status == 200


async def test_list_with_one_wrong_fault_adds_none(local):
    """All or none."""
    reply = await local("POST", "faults", [{"kind": "drop"}, {"kind": "explode"}])

    assert reply.status == 400
    assert (await local("GET", "faults")).json == []


async def test_library_statement_and_callbacks_are_listed(service, local, search, caption):
    """As on the object."""
    await search()
    await caption()
    await service.drain()

    films = (await local("GET", "library")).json
    statement = (await local("GET", "statement")).json
    callbacks = (await local("GET", "callbacks")).json
    assert [one["video_no"] for one in films] == [one.video_no for one in service.library]
    assert [one["route"] for one in statement] == ["clips.search", "captions.upload"]
    assert [one["status"] for one in callbacks] == [200]


async def test_callback_is_delivered_again_by_task_id(service, local, caption, receiver):
    """An unknown id is 404."""
    task_id = (await caption()).json["data"]["task_id"]
    await service.drain()

    assert (await local("POST", f"callbacks/{task_id}/resend")).json == {"taken": True}
    assert len(receiver.bodies) == 2
    assert (await local("POST", "callbacks/nobody/resend")).status == 404


async def test_reset_forgets_everything_but_the_library(service, local, search, caption, engine):
    """Indexes are kept."""
    await search()
    await caption()
    service.faults.add(kind="drop")

    await local("POST", "reset")

    assert (service.request_log, service.outbox.deliveries, list(service.faults)) == ((), (), [])
    assert (service.account.calls, service.account.points) == (0, 1_000_000)
    await search()
    assert len(engine.indexed) == 1


async def test_requests_of_web_pages_are_refused(service, local):
    """They have another host name, or an Origin; a key does not help the latter."""
    for header in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
        headers = {"Authorization": "", **header}
        assert (await local("POST", "reset", headers=headers)).status == 403
    with_key = {"Origin": "http://evil.example", "Authorization": service.api_key}
    assert (await local("POST", "reset", headers=with_key)).status == 403
    local_name = {"Host": "localhost:80", "Authorization": ""}
    assert (await local("GET", "state", headers=local_name)).status == 200


async def test_key_opens_the_admin_routes_to_other_machines(service, local, monkeypatch):
    """A request from elsewhere is refused without one, also if it claims to be for loopback."""
    monkeypatch.setattr("aiohttp.web.Request.remote", "192.0.2.1")

    for key, status in (("", 403), ("local-wrong", 403), (service.api_key, 200)):
        for host in ("127.0.0.1", "memories"):
            headers = {"Host": host, "Authorization": key}
            assert (await local("GET", "state", headers=headers)).status == status


@pytest.mark.parametrize("path", ["state", "faults"])
@pytest.mark.parametrize("is_compressed", [False, True])
async def test_body_over_one_megabyte_is_refused(service, send, path, is_compressed):
    """Counted after decompression: a few kilobytes must not fill the memory."""
    body = b" " * 2**26 if is_compressed else b" " * (2**20 + 1)
    headers = {"Content-Encoding": "gzip"} if is_compressed else {}

    reply = await send(
        f"/_local/{path}",
        data=gzip.compress(body) if is_compressed else BytesIO(body),
        headers=headers,
    )

    assert (reply.status, reply.json["error"]) == (400, "The JSON body is larger than 1 MB.")
    assert list(service.faults) == []
