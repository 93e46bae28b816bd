"""Files behind a body: opened and read in threads, never closed under them, never left open."""

from __future__ import annotations

import asyncio
import gc
import threading

import pytest
from callers import client
from samples import FOUND
from servers import answer, http, serving

from memories_async import clips
from memories_async._http import multipart
from memories_async.errors import InvalidRequest, NotSent, OutcomeUnknown
from memories_async.media import Media


class Slow:
    """A reader that takes until it is told, and notes a close in the middle of a read."""

    def __init__(self):
        self.begun, self.go = threading.Event(), threading.Event()
        self.reading = self.torn = self.closed = False

    def read(self, _):
        self.reading = True
        self.begun.set()
        self.go.wait(10)
        self.reading = False
        return b""

    def close(self):
        self.torn, self.closed = self.torn or self.reading, True


def picture(tmp_path, size=2_000_000):
    """A search whose picture is too large to be joined."""
    path = tmp_path / "a.png"
    path.write_bytes(bytes(size))
    return path, clips.search(path, prompt="x", video_no="VI1")


async def consume(call):
    """Read a body to its end, as a transport does."""
    async with multipart.FormStream(multipart.encode_form(call.body)) as stream:
        async for _ in stream:
            pass


async def interrupted(task, slow):
    """Cancel *task* in the middle of what its thread does, then let the thread end."""
    await asyncio.to_thread(slow.begun.wait)
    task.cancel()
    await asyncio.sleep(0.02)
    slow.go.set()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_file_is_not_closed_under_a_read(tmp_path, monkeypatch):
    """Its descriptor could be a socket's by the time the read begins."""
    slow = Slow()
    monkeypatch.setattr(Media, "open", lambda _: slow)
    await interrupted(asyncio.create_task(consume(picture(tmp_path)[1])), slow)

    assert (slow.torn, slow.closed) == (False, True)


async def test_a_file_that_opens_slowly_is_closed_when_nobody_waits_for_it(tmp_path, monkeypatch):
    """As on a network disk."""
    slow, opened = Slow(), []

    def open_slowly(_):
        slow.read(0)
        opened.append(slow)
        return slow

    monkeypatch.setattr(Media, "open", open_slowly)
    await interrupted(asyncio.create_task(consume(picture(tmp_path)[1])), slow)

    assert opened
    assert slow.closed


async def test_a_disk_that_fails_behind_a_finished_body_is_no_scandal(tmp_path, monkeypatch):
    """The error of a read-ahead that is no longer needed is not reported."""
    told = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))

    class Broken(Slow):
        def read(self, _):
            raise OSError("disk")

    monkeypatch.setattr(Media, "open", lambda _: Broken())
    stream = multipart.FormStream(multipart.encode_form(picture(tmp_path)[1].body))
    async with stream:
        stream._next = asyncio.get_running_loop().run_in_executor(None, Broken().read, 0)
    del stream
    gc.collect()

    assert not told


async def test_a_file_that_shrinks_while_it_is_sent_ends_the_call_at_once(connect, tmp_path):
    """The server has the headers and waits for the rest; the error names the file."""
    path, call = picture(tmp_path, 19_000_000)

    async def shrink(exchange):
        await exchange.reader.readexactly(10_000)
        path.write_bytes(b"short")
        await exchange.receive()

    async with serving(shrink) as server:
        error = await connect(server.url).fails(call, OutcomeUnknown)

        assert server.requests == 1
    assert error.billed == "maybe"
    assert f"{path} ended " in error.message


async def test_a_disk_that_fails_during_an_upload_is_named(connect, tmp_path, monkeypatch):
    """It is not taken for a lost connection."""
    path, call = picture(tmp_path, 19_000_000)
    genuine = Media.open

    class Failing:
        def __init__(self, reader):
            self.reader = reader

        def read(self, size):
            chunk = self.reader.read(size)
            if self.reader.tell() > 5_000_000:
                raise OSError(5, "Input/output error")
            return chunk

        def close(self):
            self.reader.close()

    monkeypatch.setattr(Media, "open", lambda media: Failing(genuine(media)))
    async with serving(answer(FOUND)) as server:
        error = await connect(server.url).fails(call, OutcomeUnknown)

    assert f"{path} could not be read: Input/output error" in error.message


async def test_a_file_that_grows_while_it_is_sent_is_sent_at_its_former_size(connect, tmp_path):
    """What was promised is sent, and no more."""
    path, call = picture(tmp_path, 19_000_000)

    async def grow(exchange):
        await exchange.reader.readexactly(10_000)
        with path.open("ab") as file:
            file.write(bytes(2_000_000))
        rest = int(exchange.headers["content-length"]) - 10_000
        exchange.body = await exchange.reader.readexactly(rest)
        await answer(FOUND)(exchange)

    async with serving(grow) as server:
        assert await connect(server.url).send(call)


async def test_a_client_closed_while_a_file_is_opened_sends_nothing(tmp_path, monkeypatch):
    """The session is gone before the request begins."""
    slow = Slow()
    genuine = Media.open

    def open_slowly(media):
        slow.read(0)
        return genuine(media)

    monkeypatch.setattr(Media, "open", open_slowly)
    async with serving(answer(FOUND)) as server:
        one = client(server.url)
        task = asyncio.create_task(one.send(picture(tmp_path)[1]))
        await asyncio.to_thread(slow.begun.wait)
        await one.aclose()
        slow.go.set()
        with pytest.raises(NotSent, match="could not be started") as caught:
            await task

        assert (server.requests, caught.value.billed) == (0, "no")


async def test_an_early_answer_leaves_no_file_open(connect, tmp_path):
    """413 in the middle of a streamed file (an open one would be a ResourceWarning)."""

    async def refuse(exchange):
        await exchange.reader.readexactly(1000)
        await exchange.write(http(b"", 413))
        await exchange.reader.read()

    async with serving(refuse) as server:
        await connect(server.url).fails(picture(tmp_path, 19_000_000)[1], InvalidRequest)
    gc.collect()
