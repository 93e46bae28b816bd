"""Calls that can do without a callback: they are sent though none can be received."""

from __future__ import annotations

import asyncio

import pytest
from callbacks import SUBMISSION, FakeSend

from memories_async import Receiver, Video, videos
from memories_async._database.file import DatabaseFailed
from memories_async.receiver import MemoryStore

URL = "https://public.example/memories"


UPLOAD = videos.upload_url("https://v.example/v.mp4")


class Uploaded:
    """Stands for a client's `send` of an upload: it keeps the call."""

    async def __call__(self, call) -> Video:
        self.call = call
        return Video(video_no="VI1")


async def test_an_upload_is_sent_without_a_callback_while_nothing_is_served() -> None:
    """Once a port is served, it gets one."""
    receiver = Receiver("http://127.0.0.1:0", store=MemoryStore())
    bare, served = Uploaded(), Uploaded()
    await receiver.submit(UPLOAD, bare)
    async with receiver.serve():
        await receiver.submit(UPLOAD, served)

    assert bare.call is UPLOAD
    assert "callback" in dict(served.call.body.fields)


async def test_an_upload_is_sent_without_a_callback_if_the_store_fails(tmp_path, caplog) -> None:
    """A warning is logged; a caption, which needs its callback, is not sent."""
    receiver = Receiver(URL, store=tmp_path / "missing" / "x.db")
    upload = Uploaded()

    assert await receiver.submit(UPLOAD, upload) == Video(video_no="VI1")
    assert upload.call is UPLOAD
    assert "videos.upload_url is sent without a callback" in caplog.text
    with pytest.raises(DatabaseFailed):
        await receiver.submit(SUBMISSION, FakeSend())


async def test_a_wait_for_news_lasts_its_time_if_the_store_fails(tmp_path, caplog) -> None:
    """A warning is logged, and the caller polls at its usual pace."""
    receiver = Receiver(URL, store=tmp_path / "missing" / "x.db")
    clock = asyncio.get_running_loop().time
    until = clock() + 0.01

    assert not await receiver.wait_for_news("VI1", timeout=0.01)
    assert clock() >= until
    assert "callbacks for 'VI1' cannot be read" in caplog.text
