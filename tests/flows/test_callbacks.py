"""An upload's callback ends the wait for it, and proves an upload whose reply was lost."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
import pytest_asyncio

from memories_async import OutcomeUnknown, Policy, Receiver, Video, videos
from memories_async._client.polling import PollSettings, wait_until_ready
from memories_async.local import Callbacks, LocalService
from memories_async.local.engine.fixed import FixedEngine
from memories_async.receiver import MemoryStore

LONG = 600.0
"""Seconds between two looks: no test waits for the second one."""


@pytest_asyncio.fixture
async def receiver():
    """A receiver that takes callbacks."""
    receiver = Receiver("http://127.0.0.1:0", store=MemoryStore())
    async with receiver.serve():
        yield receiver
    receiver.close()


@pytest_asyncio.fixture
async def service():
    """A service that parses long enough for the first look to be too early."""
    async with LocalService(
        engine=FixedEngine(), limits=None, callbacks=Callbacks(pause=0.001), parsing_seconds=0.3
    ) as service:
        yield service


async def test_a_callback_ends_the_wait(connect, receiver, film):
    """The wait does not last until its next request."""
    library = connect(receiver=receiver)

    async with asyncio.timeout(30):
        video = await library("videos.add", film, interval=LONG)

    assert video.ready


async def test_an_upload_by_url_takes_a_callback(connect, receiver):
    """The callback is one more field of the form."""
    call = videos.upload_url("https://example.com/v.mp4")

    filled = call.with_callback("https://mine/cb")

    assert ("callback", "https://mine/cb") in filled.body.fields
    assert call.welcomes_callback
    assert not filled.welcomes_callback


async def test_a_callers_own_callback_is_kept(film):
    """The receiver fills in no other."""
    call = videos.upload(film, callback="https://mine/cb")

    assert not call.welcomes_callback


async def test_a_callback_settles_an_upload_whose_reply_was_lost(connect, service, ledger, film):
    """The ledger learns that the upload was accepted, and which video it is."""
    receiver = Receiver("http://127.0.0.1:0", store=ledger)
    async with receiver.serve():
        library = connect(receiver=receiver, ledger=ledger, policy=Policy(timeout=5, attempts=1))
        service.faults.add(kind="drop", when="after", times=1)
        with pytest.raises(OutcomeUnknown):
            await library("videos.upload", film)
        async with asyncio.timeout(30):
            while await asyncio.to_thread(ledger.unknown):  # noqa: ASYNC110  # a file has no event
                await asyncio.sleep(0.02)

        video = await library("videos.add", film, interval=0.05)

    assert video.ready
    assert service.account.paid == 1


@pytest.mark.parametrize("at_once", [True, False])
async def test_a_callback_that_is_not_final_ends_no_wait(receiver, at_once):
    """UNPARSE is not final, whether it comes before or during the wait."""
    call = videos.upload_url("https://example.com/v.mp4")
    urls = []

    async def send(filled):
        urls.append(dict(filled.body.fields)["callback"])
        return Video(video_no="VI1")

    async def post(status):
        async with aiohttp.ClientSession() as session:
            await session.post(urls[0], json={"videoNo": "VI1", "status": status})

    await receiver.submit(call, send)
    if at_once:
        await post("UNPARSE")
        assert not await receiver.wait_for_news("VI1", timeout=0.05)
    else:
        clock = asyncio.get_running_loop().time
        until = clock() + 0.2
        hearing = asyncio.create_task(receiver.wait_for_news("VI1", timeout=0.2))
        await asyncio.sleep(0.02)
        await post("UNPARSE")
        assert not await hearing
        assert clock() >= until
    await post("PARSE")
    assert await receiver.wait_for_news("VI1", timeout=0)


@pytest.mark.parametrize("first", [None, "UNPARSE", "PARSE"])
async def test_a_callback_that_says_ready_is_heard_after_another_one(receiver, first):
    """The service may call back twice, with the same text, when an upload arrived and when it is parsed."""
    statuses, asked = [], asyncio.Event()
    video, urls = Video(video_no="VI1", status="UNPARSE"), []

    class Library:
        async def send(self, _):
            statuses.append(video.status)
            asked.set()
            return video

    async def send(filled):
        urls.append(dict(filled.body.fields)["callback"])
        return video

    async def post(status):
        async with aiohttp.ClientSession() as session:
            body = {"videoNo": "VI1", "status": status}
            async with session.post(urls[0], json=body) as reply:
                assert reply.status == 200

    await receiver.submit(videos.upload_url("https://example.com/v.mp4"), send)
    call, settings = videos.metadata("VI1"), PollSettings(LONG, LONG)
    wait = asyncio.create_task(
        wait_until_ready(Library(), call, "VI1", settings, receiver=receiver)
    )
    async with asyncio.timeout(20):
        await asked.wait()
        asked.clear()
        if first is not None:
            await post(first)
        if first == "PARSE":
            await asked.wait()  # it was not true yet
        video = Video(video_no="VI1", status="PARSE")
        await post("PARSE")
        assert (await wait).ready

    assert statuses == ["UNPARSE"] * (2 if first == "PARSE" else 1) + ["PARSE"]


async def test_a_callback_before_the_last_request_adds_one_request():
    """A video is not always listed at once after its callback."""
    looks = iter([None, None, Video(video_no="VI1", status="PARSE")])

    class Library:
        async def send(self, _):
            return next(looks)

    class Called:
        async def wait_for_news(self, _, *, timeout, seen):  # noqa: ASYNC109
            return max(seen, 1)

    question, settings = videos.metadata("VI1"), PollSettings(0.1, LONG)

    assert (await wait_until_ready(Library(), question, "VI1", settings, receiver=Called())).ready


async def test_an_unknown_name_is_waited_for_in_full(receiver):
    """The store has no record of it."""
    assert not await receiver.wait_for_news("VI1", timeout=0.01)


async def test_an_upload_needs_no_receiver_that_serves(connect, film):
    """A receiver that does not serve is not used, and polling finds the video."""
    receiver = Receiver("http://127.0.0.1:0", store=MemoryStore())

    video = await connect(receiver=receiver)("videos.add", film, interval=0.05)

    assert video.ready
