"""An upload is written to disk while it arrives, and no incomplete file stays."""

from __future__ import annotations

import asyncio
import hashlib

from uploading import V1

from memories_async.local import LocalService, PageLimits
from memories_async.local.pipeline.upload_stream import FileSink


async def test_disconnected_upload_leaves_no_file(service, http, until):
    """The draft is deleted."""
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


async def test_service_deletes_uploads_when_it_stops(films, engine):
    """An upload that is being parsed is deleted as well."""
    async with LocalService(
        films, engine=engine, parsing_seconds=60, page_limits=PageLimits()
    ) as service:
        async with service.client() as client:
            await client.videos.upload(films / "street.mp4")
        path = service.uploads[0].video.path
        assert (path.exists(), service._components.background.under_way) == (True, 1)

    assert not path.parent.exists()


async def test_large_upload_is_stored_and_hashed_completely(films, engine):
    """It arrives in many chunks, which are written together."""
    content = bytes(range(256)) * 16_000
    digest = hashlib.sha256(content)
    async with LocalService(films, engine=engine, limits=None) as service:
        async with service.client() as client:
            await client.videos.upload(content)
        (stored,) = service.uploads

        assert hashlib.sha256(stored.video.path.read_bytes()).digest() == digest.digest()
        assert service.request_log[0].uploads == (digest.hexdigest(),)


async def test_cancelled_write_waits_for_its_thread(tmp_path):
    """So the file can be closed afterwards."""
    sink = FileSink(tmp_path / "draft", 2**30)
    writing = asyncio.create_task(sink.write(bytes(4 * 1024 * 1024)))
    await asyncio.sleep(0)
    writing.cancel()
    await asyncio.wait([writing])

    assert writing.cancelled()
    assert (tmp_path / "draft").stat().st_size in {0, 4 * 1024 * 1024}
    sink.abandon()
