"""Large files go to the service's storage by a signed URL: never with the key, and once with a ledger."""

from __future__ import annotations

import json

import pytest

from memories_async import (
    BadReply,
    Budget,
    BudgetExceeded,
    InvalidRequest,
    OutcomeUnknown,
    PermissionDenied,
    Refused,
    assets,
)
from memories_async._protocol.reply import Reply
from memories_async.assets import SignedUrl

SIGNED = SignedUrl(asset_id="re_1", signed_url="https://storage.example/a?signature=secret")


def list_routes(service):
    return [seen.route for seen in service.request_log]


async def test_a_file_is_sent_to_the_address_that_the_service_gives(service, library, film):
    """Its bytes become the asset of that id, which is free; the storage refuses a request with a key."""
    seen = []

    sent = await library("assets.signed_upload", film, progress=lambda *one: seen.append(one))
    ready = await library("assets.wait", sent.asset_id, interval=0.01)

    (stored,) = service.uploads
    assert (stored.id, stored.video.path.read_bytes()) == (sent.asset_id, film.read_bytes())
    assert (ready.original_filename, ready.file_size) == ("holiday.mp4", film.stat().st_size)
    assert list_routes(service)[:2] == ["assets.signed_url", "assets.send_to"]
    assert seen[-1][0] == seen[-1][1] > film.stat().st_size
    assert service.account.paid == 0


async def test_both_steps_are_calls_of_their_own(service, library, film):
    """An asset that has an id and no file yet waits; what needs the file is refused."""
    signed = await library("assets.signed_url", "holiday.mp4")
    waiting = await library("assets.metadata", signed.asset_id)
    with pytest.raises(InvalidRequest, match="Asset is not ready"):
        await library("assets.download", signed.asset_id, to=film.with_name("copy.mp4"))
    with pytest.raises(InvalidRequest, match="Asset is not ready"):
        await library("embeddings.video", signed.asset_id)

    await library("assets.send_to", signed, film)
    await service.drain()

    assert (waiting.upload_status, waiting.file_size) == ("WAITING", 0)
    assert (await library("assets.metadata", signed.asset_id)).ready
    assert signed.expires_in == 93_600
    assert signed.signed_url not in repr(signed)


async def test_with_a_ledger_a_file_is_uploaded_once(service, connect, ledger, film):
    """Whichever way it was uploaded before; fresh uploads it again."""
    library = connect(ledger=ledger)

    first = await library("assets.signed_upload", film)
    again = await library("assets.signed_upload", film)
    plain = await library("assets.upload", film)
    fresh = await library("assets.add", film, is_signed=True, fresh=True, interval=0.01)

    assert first.asset_id == again.asset_id == plain.asset_id != fresh.asset_id
    assert list_routes(service).count("assets.send_to") == 2
    assert ledger.summary().done == 2


async def test_a_lost_reply_of_the_storage_costs_nothing(service, library, film):
    """The file is sent again, to the same asset."""
    service.faults.add(kind="drop", when="after", route="assets.send_to")

    sent = await library("assets.signed_upload", film)

    assert list_routes(service) == ["assets.signed_url", "assets.send_to", "assets.send_to"]
    assert [one.id for one in service.uploads] == [sent.asset_id]


async def test_an_upload_that_failed_begins_anew(service, connect, ledger, film):
    """The ledger holds nothing that may have been paid, and the budget is whole."""
    budget = Budget(calls=1)
    library = connect(ledger=ledger, budget=budget)
    service.faults.add(kind="status", status=403, route="assets.send_to")

    with pytest.raises(PermissionDenied, match="the storage refused the file") as failed:
        await library("assets.signed_upload", film)

    assert (failed.value.call, failed.value.billed) == ("assets.send_to", "no")
    assert ledger.unknown() == ()
    assert budget.spending.calls == budget.spending.calls_at_risk == 0
    await library("assets.signed_upload", film)
    assert (budget.spending.calls, ledger.summary().done) == (1, 1)
    with pytest.raises(BudgetExceeded):
        await library("assets.signed_upload", b"another film")


async def test_an_address_that_is_unknown_or_deleted_is_refused(service, library, film):
    """As one that has expired."""
    unknown = SignedUrl(asset_id="re_1", signed_url=f"{service.url}/_storage/none")
    deleted = await library("assets.signed_url", "a.mp4")
    await library("assets.delete", deleted.asset_id)

    for signed in (unknown, deleted):
        with pytest.raises(PermissionDenied):
            await library("assets.send_to", signed, film)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((200, None), (201, None), (204, None), (302, Refused), (403, PermissionDenied)),
        *((404, InvalidRequest), (408, OutcomeUnknown), (418, Refused), (503, OutcomeUnknown)),
    ],
)
def test_the_storage_answers_by_its_status_alone(status, kind):
    """Whatever its body is; no message holds the signed address."""
    call = assets.send_to(SIGNED, b"film")
    reply = Reply(status=status, body=b"<Error>secret</Error>")

    if kind is None:
        assert call.read(reply) is None
        return
    with pytest.raises(kind) as failed:
        call.read(reply)
    assert "secret" not in str(failed.value)
    assert "secret" not in repr(call)


@pytest.mark.parametrize(
    "data",
    [
        *({}, {"asset_id": "re_1"}, {"asset_id": "", "signed_url": "https://s.example/a"}),
        *({"asset_id": "re_1", "signed_url": "/a"}, {"asset_id": "re_1", "signed_url": 7}),
    ],
    ids=["empty", "no address", "no id", "no host", "no text"],
)
def test_an_answer_without_an_address_cannot_be_read(data):
    """No file is sent anywhere else."""
    reply = Reply(status=200, body=json.dumps({"code": 200, "data": data}).encode())

    with pytest.raises(BadReply):
        assets.signed_url("a.mp4").read(reply)


@pytest.mark.parametrize("name", ["", "a", "a.txt", 'a".mp4', "b/a.mp4"])
def test_a_name_that_is_no_videos_is_refused(name):
    """Before anything is sent."""
    with pytest.raises(ValueError, match="original_filename must"):
        assets.signed_url(name)
