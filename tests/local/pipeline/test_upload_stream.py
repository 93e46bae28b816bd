"""A file is taken down piece by piece, and nothing of it stays that nobody wants."""

from __future__ import annotations

import asyncio
import hashlib

from uploading import V1

from memories_async.local import LocalService, PageLimits
from memories_async.local.pipeline.upload_stream import FileSink


async def test_one_who_hangs_up_leaves_nothing(service, http, until):
    """Half an upload is none."""
    begun = asyncio.Event()

    async def endless():
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="d.mp4"\r\n\r\n'
        while True:
            begun.set()
            yield bytes(100)
            await asyncio.sleep(0.001)

    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    sending = asyncio.create_task(http.post(f"{V1}/upload", data=endless(), headers=headers))
    await begun.wait()
    sending.cancel()
    await asyncio.wait([sending])
    await until(lambda: service.request_log and service.request_log[0].note)

    assert list(service._components.upload_store.create_draft().parent.iterdir()) == []


async def test_uploads_end_with_the_service(films, engine):
    """The folder goes when the service stops, also while something is being parsed."""
    async with LocalService(
        films, engine=engine, parsing_seconds=60, page_limits=PageLimits()
    ) as service:
        async with service.client() as client:
            await client.videos.upload(films / "street.mp4")
        path = service.uploads[0].video.path
        assert (path.exists(), service._components.background.under_way) == (True, 1)

    assert not path.parent.exists()


async def test_a_long_file_is_taken_down_piece_by_piece(films, engine):
    """Content and hash of what came in many pieces, some held back to be written together."""
    content = bytes(range(256)) * 16_000
    digest = hashlib.sha256(content)
    async with LocalService(films, engine=engine, limits=None) as service:
        async with service.client() as client:
            await client.videos.upload(content)
        (stored,) = service.uploads

        assert hashlib.sha256(stored.video.path.read_bytes()).digest() == digest.digest()
        assert service.request_log[0].uploads == (digest.hexdigest(),)


async def test_a_draft_is_never_left_open(tmp_path):
    """One who gives up while a thread writes is held until it is done."""
    sink = FileSink(tmp_path / "draft", 2**30)
    writing = asyncio.create_task(sink.write(bytes(4 * 1024 * 1024)))
    await asyncio.sleep(0)
    writing.cancel()
    await asyncio.wait([writing])

    assert writing.cancelled()
    assert (tmp_path / "draft").stat().st_size in {0, 4 * 1024 * 1024}
    sink.abandon()
