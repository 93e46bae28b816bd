"""A bad item, or an iterable that fails, blocks or exits: what it costs the other items."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import callers
import pytest
from batches import items, outcomes
from samples import ACCEPTED, EMBEDDED, caption_call, embed_call
from servers import answer, raw, serving

from memories_async import assets
from memories_async.errors import BadReply, InvalidRequest, OutcomeUnknown, Refused

HELPERS = Path(__file__).parents[1] / "helpers"


async def test_a_builder_that_fails_is_one_items_outcome(ledger, tmp_path):
    """The generator goes on to the items after it."""
    film = tmp_path / "film.mp4"
    film.write_bytes(b"a film")
    paths = [film, tmp_path / "missing.mp4", tmp_path / "other.mp4"]
    (tmp_path / "other.mp4").write_bytes(b"another film")
    uploaded = {"code": "0000", "msg": "ok", "data": {"asset_id": "re_1"}}
    calls = ((path.name, lambda path=path: assets.upload(path)) for path in paths)
    async with serving(answer(uploaded)) as server, callers.patient_client(server.url) as client:
        found = await outcomes(client, calls, ledger=ledger)

        assert server.requests == 2
    failed = found.pop("missing.mp4")
    assert isinstance(failed.error, ValueError)
    assert (failed.call, failed.billed, failed.replayed) == (None, "no", False)
    assert {one.result().asset_id for one in found.values()} == {"re_1"}


@pytest.mark.parametrize("recorded", [True, False])
async def test_an_item_that_is_no_call_is_that_items_outcome(ledger, recorded):
    """Nor is what a builder returns, or raises, the batch's own end."""

    def stop():
        raise StopIteration

    calls = [(0, embed_call()), (1, None), (2, lambda: "no call"), (3, stop), (4, embed_call("b"))]
    async with serving(answer(EMBEDDED)) as server, callers.patient_client(server.url) as client:
        found = await outcomes(client, calls, ledger=ledger if recorded else None)

    kinds = [type(found[key].error) for key in range(5)]
    assert kinds == [type(None), TypeError, TypeError, StopIteration, type(None)]


async def test_a_plan_counts_builders_that_fail_as_invalid(ledger):
    """And it counts the calls that the others build."""

    def fail():
        raise LookupError("no row")

    async with callers.client("http://localhost:9") as client:
        plan = await client.batch([(1, fail), (2, embed_call)], ledger=ledger).plan()

    assert (plan.items, plan.invalid, plan.calls) == (2, 1, 1)


async def test_a_key_that_is_no_text_is_recorded_escaped(ledger):
    """A file name may hold bytes that are not UTF-8."""
    key = os.fsdecode(b"caf\xe9.mp4")
    async with serving(answer(EMBEDDED)) as server, callers.patient_client(server.url) as client:
        for replayed in (False, True):
            found = await outcomes(client, {key: embed_call()}, ledger=ledger)
            assert (found[key].error, found[key].replayed) == (None, replayed)

    assert [entry.item for entry in ledger.entries()] == ["caf\\udce9.mp4"]


UNREADABLE = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n{..}"


async def test_a_kept_reply_that_can_be_read_now_is_not_paid_again(ledger):
    """With `resend`, too: the reply of the first attempt was kept for that."""
    async with serving(raw(UNREADABLE), answer(EMBEDDED)) as server:
        async with callers.patient_client(server.url) as client:
            first = await outcomes(client, items(1), ledger=ledger)
            assert first[0].error is not None
            ledger.database.write_now(
                lambda db: db.execute(
                    "UPDATE replies SET body = ?", (b'{"code": 0, "data": {"embedding": [1.0]}}',)
                )
            )
            second = await outcomes(client, items(1), ledger=ledger, on_unknown="resend")

        assert (server.requests, second[0].error) == (1, None)
    assert (second[0].replayed, second[0].billed) == (True, "no")
    assert ledger.summary().done == 1


NO_MEANING = {"code": -1, "msg": "Captioning is not enabled.", "data": None}


async def test_the_same_refusal_of_every_item_stops_the_batch(ledger):
    """The caption host refuses by -1, which has no meaning of its own."""
    calls = {n: caption_call(user_prompt=f"{n}") for n in range(500)}
    async with serving(answer(NO_MEANING)) as server, callers.patient_client(server.url) as client:
        async with client.batch(calls, ledger=ledger, concurrency=2) as batch:
            found = [outcome async for outcome in batch]

        assert server.requests <= 22
    assert len(found) <= 22
    assert type(batch.stopped) is Refused


async def test_a_refusal_numbered_by_the_service_is_the_same_refusal(ledger):
    """A request id and a time do not make another fault of it."""

    async def refuse(exchange):
        await exchange.receive()
        words = f"Not enabled (request {uuid4()} at 2026-11-28T09:00:{server.requests % 60:02}Z)"
        await answer({"code": -1, "msg": words})(exchange)

    calls = {n: caption_call(user_prompt=f"{n}") for n in range(100)}
    async with serving(refuse) as server, callers.patient_client(server.url) as client:
        assert len(await outcomes(client, calls, ledger=ledger, concurrency=1)) == 20


@pytest.mark.parametrize(
    ("status", "kind"), [(404, InvalidRequest), (501, OutcomeUnknown), (200, BadReply)]
)
async def test_a_server_that_is_not_the_service_stops_the_batch(ledger, status, kind):
    """A wrong base URL answers every request with the same page."""
    page = b"<html><head><title>404 Not Found</title></head></html>"
    async with (
        serving(answer(page, status)) as server,
        callers.patient_client(server.url) as client,
    ):
        async with client.batch(items(100), ledger=ledger, concurrency=1) as batch:
            found = [outcome async for outcome in batch]
        requests, server.script[:] = server.requests, [answer(EMBEDDED)]
        again = await outcomes(client, items(100), ledger=ledger, concurrency=1)

    assert (len(found), requests) == (20, 20)
    assert isinstance(batch.stopped, kind)
    # What is parked of that run does not stop the next one.
    assert len(again) == 100


async def test_unknown_assets_stop_no_batch(ledger):
    """The service says in JSON that an asset is unknown: that is the item's own fault."""
    unknown = answer({"detail": "asset not found"}, 404)
    async with serving(unknown) as server, callers.patient_client(server.url) as client:
        assert len(await outcomes(client, items(60), ledger=ledger)) == 60


async def test_refusals_between_answers_stop_no_batch(ledger):
    """One answer shows that the account is fine."""
    calls = {n: caption_call(user_prompt=f"{n}") for n in range(60)}
    async with serving(answer(ACCEPTED), answer(NO_MEANING)) as server:  # noqa: SIM117  # reads better apart
        async with callers.patient_client(server.url) as client:
            async with client.batch(calls, ledger=ledger, concurrency=1) as batch:
                found = [outcome async for outcome in batch]

    assert (len(found), batch.stopped) == (60, None)


async def test_different_refusals_stop_no_batch(ledger):
    """Nor do those that the documentation gives a meaning: they are the items' own."""

    async def refuse(exchange):
        await exchange.receive()
        await answer({"code": -1, "msg": f"Film {server.requests} is too long."})(exchange)

    calls = {n: caption_call(user_prompt=f"{n}") for n in range(60)}
    async with serving(refuse) as server, callers.patient_client(server.url) as client:
        assert len(await outcomes(client, calls, ledger=ledger)) == 60
    wrong = {"code": "0001", "msg": "The parameter is wrong."}
    async with serving(answer(wrong)) as server, callers.patient_client(server.url) as client:
        found = await outcomes(client, items(60), ledger=ledger)
    assert {type(one.error) for one in found.values()} == {InvalidRequest}
    assert len(found) == 60


@pytest.mark.parametrize("lazy", [False, True])
async def test_an_iterable_that_exits_ends_the_batch_after_its_outcomes(ledger, lazy):
    """`sys.exit` in it, or in a builder, is raised to whoever iterates."""

    def calls():
        yield 0, embed_call("a")
        if lazy:
            yield 1, lambda: sys.exit("a bad row")
        sys.exit("a bad row")

    seen = []
    async with serving(answer(EMBEDDED)) as server, callers.patient_client(server.url) as client:
        with pytest.raises(SystemExit, match="a bad row"):  # noqa: PT012  # raised inside the loop
            async with client.batch(calls(), ledger=ledger) as batch:
                async for outcome in batch:
                    seen.append(outcome.key)

    assert seen == [0]


async def test_an_iterable_that_waits_for_a_cancelled_task_is_no_end_of_the_items():
    """Its `CancelledError` is raised; the batch does not look complete."""

    async def calls():
        yield 0, embed_call("a")
        raise asyncio.CancelledError

    seen = []
    async with serving(answer(EMBEDDED)) as server, callers.patient_client(server.url) as client:
        with pytest.raises(asyncio.CancelledError):  # noqa: PT012  # raised inside the loop
            async with client.batch(calls()) as batch:
                async for outcome in batch:
                    seen.append(outcome.key)

    assert seen == [0]


PROGRAM = """
import queue, sys
sys.path.insert(0, sys.argv[3])
from callers import PATIENT, blocking, settings
from memories_async import embeddings

def calls():
    yield 0, embeddings.video("re_0")
    if sys.argv[2] == "exit":
        sys.exit("a bad row")
    if sys.argv[2] == "builder":
        yield 1, build
    queue.Queue().get()

def build():
    print("building", flush=True)
    queue.Queue().get()

with blocking.Client(**settings(sys.argv[1], policy=PATIENT)) as client:
    with client.batch(calls()) as batch:
        for outcome in batch:
            print(outcome.key, flush=True)
            if sys.argv[2] == "break":
                break
print("the end")
"""


@pytest.mark.parametrize(
    ("how", "code"), [("exit", 1), ("break", 0), ("interrupt", -2), ("builder", -2)]
)
async def test_a_program_whose_iterable_blocks_or_exits_ends(how, code):
    """A blocking batch waits neither for the iterable nor for its thread."""
    async with serving(answer(EMBEDDED)) as server:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", PROGRAM, server.url, how, HELPERS),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert await process.stdout.readline() in {b"0\n", b"building\n"}
        if code < 0:
            process.send_signal(signal.SIGINT)
        out, error = await asyncio.wait_for(process.communicate(), 60)

    assert process.returncode == code
    assert (b"the end" in out) == (how == "break")
    assert b"Exception ignored" not in error
    assert (b"a bad row" in error) == (how == "exit")
