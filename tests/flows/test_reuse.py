"""With a ledger, a file is uploaded once: also after a lost reply, and in every flow."""

from __future__ import annotations

import asyncio
import shutil

import pytest
from samples import PNG

from memories_async import Client, OutcomeUnknown, ProcessingFailed, embeddings, videos
from memories_async._client import polling
from memories_async.errors import InsufficientCredits, PaidElsewhere, UnclearUpload

QUICK = {"interval": 0.004, "timeout": 10}


def uploads(service) -> int:
    """How often a file was sent."""
    return sum(seen.route.endswith(".upload") for seen in service.request_log)


@pytest.mark.parametrize("kind", ["videos", "assets"])
async def test_the_same_content_is_not_uploaded_again(
    service, connect, ledger, *, film, tmp_path, kind
):
    """Whatever the file is called; `fresh` uploads it again."""
    library = connect(ledger=ledger)
    first = await library(f"{kind}.add", film, **QUICK)
    copy = shutil.copy(film, tmp_path / "copy.mp4")

    assert await library(f"{kind}.add", copy, **QUICK) == first
    assert uploads(service) == 1
    assert await library(f"{kind}.add", film, fresh=True, **QUICK) != first
    assert uploads(service) == 2


async def test_another_account_or_scope_uploads_its_own(service, connect, ledger, film):
    """A ledger that holds the upload under another account says so before it pays again."""
    other = next(iter(service.open_account().keys))
    for options in ({}, {"unique_id": "mine"}):
        await connect(ledger=ledger)("videos.add", film, **QUICK, **options)
    library = connect(ledger=ledger, api_key=other)
    with pytest.raises(PaidElsewhere):
        await library("videos.add", film, **QUICK)
    await library("videos.add", film, fresh=True, **QUICK)

    assert uploads(service) == 3


async def test_without_a_ledger_add_looks_into_the_library(service, library, film, tmp_path):
    """By size and name: the same size under a foreign name may be another film."""
    first = await library("videos.add", film, **QUICK)
    assert await library("videos.add", film, **QUICK) == first
    assert uploads(service) == 1

    await library("videos.add", film, fresh=True, **QUICK)
    assert uploads(service) == 2
    with pytest.raises(UnclearUpload):
        await library("videos.add", film, **QUICK)

    other = tmp_path / "other.mp4"
    other.write_bytes(bytes(reversed(film.read_bytes())))
    assert (await library("videos.add", other, unique_id="b", **QUICK)).video_no != first.video_no
    third = tmp_path / "third.mp4"
    third.write_bytes(film.read_bytes())
    await library("videos.add", third, unique_id="b", **QUICK)
    assert uploads(service) == 4


@pytest.mark.parametrize("kind", ["videos", "assets"])
async def test_a_deleted_upload_of_the_ledger_raises_and_is_not_paid_again(
    service, connect, ledger, *, film, monkeypatch, kind
):
    """The ledger holds an id that the service does not know."""
    monkeypatch.setattr(polling, "UNKNOWN_TIMEOUT", 0.01)
    library = connect(ledger=ledger)
    await library(f"{kind}.add", film, **QUICK)
    service.faults.add(kind="null", route=f"{kind}.metadata", times=None)

    with pytest.raises(ProcessingFailed, match="fresh=True uploads it again") as caught:
        await library(f"{kind}.add", film, **QUICK)

    assert caught.value.billed == "no"
    assert uploads(service) == 1


async def test_a_lost_upload_is_reconciled_and_then_reused(service, connect, ledger, film):
    """The library lists it, so the ledger records it as paid, and nothing is uploaded again."""
    library = connect(ledger=ledger)
    service.faults.add(kind="drop", when="after", route="videos.upload")
    for _ in range(2):
        with pytest.raises(OutcomeUnknown):
            await library("videos.add", film, **QUICK)
    assert uploads(service) == 1

    found = await library("videos.reconcile", film)

    assert found.video_no == service.uploads[0].id
    assert ledger.unknown() == ()
    assert (await library("videos.add", film, **QUICK)).video_no == found.video_no
    assert (uploads(service), service.account.paid) == (1, 1)


async def test_an_upload_that_never_arrived_stays_unknown(service, connect, ledger, film):
    """The library does not list it, which proves nothing; the caller decides."""
    library = connect(ledger=ledger)
    service.faults.add(kind="drop", when="before", route="videos.upload")
    with pytest.raises(OutcomeUnknown):
        await library("videos.add", film, **QUICK)

    assert await library("videos.reconcile", film) is None
    (lost,) = ledger.unknown()
    ledger.settle(lost.key, paid=False)
    assert (await library("videos.add", film, **QUICK)).ready


async def test_reconciling_needs_no_ledger(service, connect, ledger, film):
    """It returns the video."""
    library = connect()
    video = await library("videos.upload", film)
    call = videos.upload(film)

    assert (await library("videos.reconcile", film)).video_no == video.video_no
    for kept, told in (({}, False), ({"ledger": ledger}, False)):
        library = connect(**kept)
        client = library.client
        settled = client.settle(call, answer=video)
        assert (settled if isinstance(settled, bool) else await settled) is told


async def test_search_file_goes_from_a_file_to_its_clips(service, connect, ledger, film):
    """It uploads or reuses the file, waits, and searches."""
    library = connect(ledger=ledger)
    question = {"video": film, "prompt": "the red shirt", **QUICK}

    clips = await library("clips.search_file", PNG, **question)
    again = await library("clips.search_file", PNG, **question, unique_id="default")

    assert clips == again
    assert clips[0].start_time == 12.5
    assert (uploads(service), service.account.paid) == (1, 2)


async def test_video_file_goes_from_a_file_to_its_embedding(service, library, film):
    """It uploads the file, waits, and embeds."""
    embedding = await library("embeddings.video_file", film, **QUICK)

    assert len(embedding) == 4
    assert [one.route for one in service.account.statement] == ["assets.upload", "embeddings.video"]


async def test_an_error_after_the_upload_names_what_was_paid(service, library, film):
    """The id is nowhere else without a ledger."""
    service.faults.add(kind="status", status=402, route="embeddings.video")
    with pytest.raises(InsufficientCredits) as caught:
        await library("embeddings.video_file", film, **QUICK)

    (upload,) = service.uploads
    assert caught.value.billed == "no"
    assert f"assets.upload was paid: its asset_id is {upload.id}" in caught.value.__notes__[0]


async def test_a_bad_argument_is_refused_before_the_upload(service, library, film):
    """An empty prompt, a text that is no picture, an empty model."""
    for wrong in ({"image": PNG, "prompt": " "}, {"image": b"", "prompt": "x"}):
        with pytest.raises(ValueError, match="must not be empty"):
            await library("clips.search_file", wrong["image"], video=film, prompt=wrong["prompt"])
    with pytest.raises(ValueError, match="model must not be empty"):
        await library("embeddings.video_file", film, model="")

    assert service.account.calls == 0


async def test_a_flow_is_sent_like_a_call(service, connect, ledger, film):
    """By both clients; a second time, the ledger answers."""
    client = connect(ledger=ledger).client
    flow = embeddings.video_file(film, **QUICK)

    async def send():
        if isinstance(client, Client):
            return await client.send(flow)
        return await asyncio.to_thread(client.send, flow)

    assert await send() == await send()
    assert service.account.paid == 2
