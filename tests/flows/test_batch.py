"""A batch of flows: each file is uploaded once, waited for, and its call sent; a second run pays nothing."""

from __future__ import annotations

import asyncio

import pytest
from callers import PATIENT
from samples import PNG

from memories_async import Client, Limit, Limits, WaitTimeout, clips, embeddings
from memories_async.errors import InvalidRequest, NotSent, OutcomeUnknown
from memories_async.events import Sent

QUICK = {"interval": 0.004, "timeout": 10}


@pytest.fixture
def files(tmp_path):
    """Three files, of which two have the same content."""
    made = []
    for name, content in (("a", b"one"), ("b", b"two"), ("c", b"one")):
        path = tmp_path / f"{name}.mp4"
        path.write_bytes(content * 100)
        made.append(path)
    return made


def flows(files, **changes):
    """An embedding of each file, under its name."""
    return {path.stem: embeddings.video_file(path, **{**QUICK, **changes}) for path in files}


async def run(library, calls, **settings):
    """Run a batch of either client to its end; return the outcomes and the progress."""
    client = library.client
    if isinstance(client, Client):
        async with client.batch(calls, **settings) as batch:
            found = {outcome.key: outcome async for outcome in batch}
        return found, batch.progress

    def run_blocking():
        with client.batch(calls, **settings) as batch:
            found = {outcome.key: outcome for outcome in batch}
        return found, batch.progress

    return await asyncio.to_thread(run_blocking)


def count(service, route):
    """How many requests came to *route*."""
    return sum(seen.route == route for seen in service.request_log)


async def test_each_file_leads_to_its_answer(service, connect, ledger, files):
    """Files of one content are one upload and one embedding; the outcome tells both costs."""
    found, progress = await run(connect(ledger=ledger), flows(files))

    assert found["a"].result() == found["c"].result()
    assert sorted((one.billed, one.upload.billed) for one in found.values()) == [
        ("no", "no"),
        ("yes", "yes"),
        ("yes", "yes"),
    ]
    assert {one.upload.call.name for one in found.values()} == {"assets.upload"}
    assert found["b"].upload.answer.asset_id in {one.id for one in service.uploads}
    assert found["b"].to_dict()["upload"]["billed"] == "yes"
    assert (service.account.paid, len(service.uploads)) == (4, 2)
    assert (progress.done, progress.replayed, progress.waiting) == (2, 1, 0)


async def test_a_second_run_sends_nothing(service, connect, ledger, files):
    """Not even the free request for the status of an upload."""
    library = connect(ledger=ledger)
    first, _ = await run(library, flows(files))
    requests = len(service.request_log)
    again, progress = await run(library, flows(files))

    assert len(service.request_log) == requests
    assert all(one.replayed and one.upload.replayed for one in again.values())
    assert {key: one.answer for key, one in again.items()} == {
        key: one.answer for key, one in first.items()
    }
    assert progress.replayed == 3


async def test_searches_in_one_file_share_its_upload_and_its_wait(service, connect, ledger, film):
    """Two questions, two searches, one upload, and one request when it is ready."""
    calls = {prompt: clips.search_file(PNG, video=film, prompt=prompt, **QUICK) for prompt in "abc"}
    found, _ = await run(connect(ledger=ledger), calls)

    assert all(one.error is None for one in found.values())
    assert (count(service, "videos.upload"), count(service, "clips.search")) == (1, 3)
    assert sum(one.upload.billed == "yes" for one in found.values()) == 1


async def test_a_run_goes_on_after_an_upload_that_was_not_ready(service, connect, ledger, files):
    """The first run pays the upload, the second the embedding; the file is not uploaded again."""
    library = connect(ledger=ledger)
    service.faults.add(kind="null", route="assets.metadata", times=None)
    first, _ = await run(library, flows(files[:1], timeout=0.05))
    service.faults.clear()
    again, _ = await run(library, flows(files[:1]))

    assert isinstance(first["a"].error, WaitTimeout)
    assert (first["a"].billed, first["a"].upload.billed) == ("no", "yes")
    assert (again["a"].billed, again["a"].upload.billed) == ("yes", "no")
    assert again["a"].upload.replayed
    assert service.account.paid == 2


async def test_a_call_does_not_wait_for_the_uploads_of_others(service, connect, ledger, files):
    """One upload an hour: the first file is embedded while the second waits for its permit."""
    limits = Limits(
        asset_upload=Limit(1, per=3600), asset_metadata=Limit(1e5), embeddings=Limit(1e5)
    )
    library = connect(ledger=ledger, limits=limits)
    calls = flows(files[:2])

    async def take_first():
        async with library.client.batch(calls, concurrency=1) as batch:
            return await anext(batch)

    def take_first_blocking():
        with library.client.batch(calls, concurrency=1) as batch:
            return next(batch)

    if isinstance(library.client, Client):
        first = await take_first()
    else:
        first = await asyncio.to_thread(take_first_blocking)
    assert first.key == "a"
    assert first.error is None
    assert service.account.paid == 2


async def test_leaving_ends_the_wait_for_an_upload(service, connect, ledger, files):
    """At once: nothing of it is in flight, and the upload stays recorded."""
    service.faults.add(kind="null", route="assets.metadata", times=None)
    client = connect(ledger=ledger).client
    if not isinstance(client, Client):
        pytest.skip("the blocking batch is the same one")

    async with client.batch(flows(files[:2]), drain=3600) as batch:
        while batch.progress.waiting < 2:  # noqa: ASYNC110  # the batch has no such event
            await asyncio.sleep(0)
    assert ledger.summary().done == 2


async def test_a_refused_upload_is_the_outcome_of_its_item(service, connect, ledger, files):
    """The call is the upload, and the others are answered."""
    service.faults.add(kind="status", status=422, route="assets.upload", times=1)
    found, _ = await run(connect(ledger=ledger), flows(files[:2]), concurrency=1)

    assert isinstance(found["a"].error, InvalidRequest)
    assert (found["a"].call.name, found["a"].upload) == ("assets.upload", None)
    assert found["b"].error is None


async def test_a_plan_counts_uploads_and_calls(service, connect, ledger, files):
    """Two files of one content are one upload and one call; what is paid is neither."""
    client = connect(ledger=ledger).client
    if not isinstance(client, Client):
        pytest.skip("the blocking batch is the same one")
    before = await client.batch(flows(files)).plan()
    await run(connect(ledger=ledger), flows(files[:1]))
    after = await client.batch(flows(files)).plan()

    assert (before.items, before.calls, before.uploads, before.repeated) == (3, 4, 2, 1)
    assert before.by_unit == {"asset": 2, "embedding": 2}
    assert (after.paid, after.calls, after.uploads) == (2, 2, 1)


async def test_a_batch_of_flows_works_without_a_ledger(service, library, files):
    """Then every file is uploaded."""
    found, _ = await run(library, flows(files))

    assert {(one.billed, one.upload.billed) for one in found.values()} == {("yes", "yes")}
    assert len(service.uploads) == 3


async def test_leaving_during_an_upload_begins_no_wait(service, connect, ledger, files):
    """The upload is waited for and recorded; its item stays planned."""
    gate = asyncio.Event()

    def observe(event):
        if isinstance(event, Sent):
            gate.set()

    client = connect(ledger=ledger, observers=[observe]).client
    if not isinstance(client, Client):
        pytest.skip("the blocking batch is the same one")
    service.faults.add(kind="delay", seconds=0.05, route="assets.upload", times=None)

    async with client.batch(flows(files[:1])) as batch:
        await gate.wait()
    assert batch.progress.finished == batch.progress.waiting == 0
    assert ledger.summary().done == 1
    assert count(service, "assets.metadata") == 0


@pytest.mark.parametrize("is_recorded", [False, True])
async def test_more_files_than_workers_are_paid_once(
    service, connect, ledger, tmp_path, is_recorded
):
    """Those that are uploaded while others wait for a worker, too."""
    paths = [tmp_path / f"{number}.mp4" for number in range(10)]
    for path in paths:
        path.write_bytes(path.name.encode())
    settings = {"ledger": ledger} if is_recorded else {}

    _, progress = await run(
        connect(policy=PATIENT, **settings), flows(paths, timeout=600), concurrency=2
    )

    assert (progress.finished, progress.done) == (10, 10)
    assert count(service, "embeddings.video") == len(service.uploads) == 10
    assert service.account.paid == 20


async def test_a_paid_upload_without_a_ledger_has_an_outcome(service, connect, files):
    """Though the batch is left before its call: its id is the only trace of what was paid."""
    service.faults.add(kind="null", route="assets.metadata", times=None)
    client = connect(policy=PATIENT).client
    if not isinstance(client, Client):
        pytest.skip("the blocking batch is the same one")

    async with client.batch(flows(files)) as batch:
        while batch.progress.waiting < 3:  # noqa: ASYNC110  # the batch has no such event
            await asyncio.sleep(0)
    found = await batch.take()

    assert {one.upload.answer.asset_id for one in found} == {one.id for one in service.uploads}
    assert {(one.call.name, one.billed, one.upload.billed) for one in found} == {
        ("embeddings.video", "no", "yes")
    }
    assert all(isinstance(one.error, NotSent) for one in found)
    assert (batch.progress.unsent, batch.progress.waiting) == (3, 0)


async def test_a_call_that_was_cut_off_tells_of_its_upload(service, connect, files):
    """It may be paid as well."""
    service.faults.add(kind="delay", seconds=3600, route="embeddings.video", times=None)
    client = connect(policy=PATIENT).client
    if not isinstance(client, Client):
        pytest.skip("the blocking batch is the same one")

    async with client.batch(flows(files[:1]), drain=0) as batch:
        while not count(service, "embeddings.video"):  # noqa: ASYNC110  # as above
            await asyncio.sleep(0)
    (found,) = await batch.take()

    assert isinstance(found.error, OutcomeUnknown)
    assert (found.billed, found.upload.billed) == ("maybe", "yes")
