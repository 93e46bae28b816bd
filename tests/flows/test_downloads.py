"""A download is complete under its name, or not there at all."""

from __future__ import annotations

import asyncio
import os

import pytest
import pytest_asyncio
from callers import client
from servers import answer, raw, serving

from memories_async import BadReply, InvalidRequest, OutcomeUnknown
from memories_async._http import files
from memories_async._http.files import save

QUICK = {"interval": 0.004, "timeout": 10}


@pytest_asyncio.fixture
async def asset(service, library, film):
    """The id of a stored film."""
    return (await library("assets.add", film, **QUICK)).asset_id


async def test_a_download_writes_the_whole_file(service, library, film, asset, tmp_path):
    """The answer is its size; a file of that name is replaced, with the usual permissions."""
    target = tmp_path / "copy.mp4"
    target.write_bytes(b"old")

    assert await library("assets.download", asset, to=target) == film.stat().st_size

    assert target.read_bytes() == film.read_bytes()
    (tmp_path / "plain").touch()
    assert target.stat().st_mode == (tmp_path / "plain").stat().st_mode
    assert service.account.statement[-1].route == "assets.download"


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"kind": "truncate"}, OutcomeUnknown),
        ({"kind": "drop", "when": "after"}, OutcomeUnknown),
        ({"kind": "status", "status": 200}, BadReply),
        ({"kind": "status", "status": 503}, OutcomeUnknown),
        ({"kind": "code", "code": "0003"}, InvalidRequest),
        ({"kind": "null"}, BadReply),
    ],
    ids=lambda value: value.get("kind") if isinstance(value, dict) else None,
)
async def test_a_failed_download_keeps_the_old_file(
    library, asset, *, tmp_path, service, fault, error
):
    """Half a file, a proxy's page, a refusal: one request is sent each time."""
    folder = tmp_path / "downloads"
    folder.mkdir()
    (folder / "copy.mp4").write_bytes(b"old")
    service.faults.add(route="assets.download", **fault)

    with pytest.raises(error):
        await library("assets.download", asset, to=folder / "copy.mp4")

    assert [path.name for path in folder.iterdir()] == ["copy.mp4"]
    assert (folder / "copy.mp4").read_bytes() == b"old"
    assert [seen.route for seen in service.request_log].count("assets.download") == 1


async def test_an_empty_answer_writes_an_empty_file(tmp_path):
    """The answer is 0 bytes."""
    async with (
        serving(_without_body(answer(b"", Content_Type="video/mp4"))) as server,
        client(server.url) as sender,
    ):
        assert await sender.assets.download("re_1", to=tmp_path / "none.mp4") == 0

    assert (tmp_path / "none.mp4").read_bytes() == b""


async def test_silence_during_a_download_ends_it(tmp_path):
    """No file is left."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\nContent-Type: video/mp4\r\n\r\nhalf"

    async def stall(exchange):
        await exchange.write(head)
        await asyncio.Event().wait()

    async with serving(stall) as server, client(server.url) as sender:
        with pytest.raises(OutcomeUnknown, match="in time"):
            await sender.assets.download("re_1", to=tmp_path / "x.mp4")

    assert list(tmp_path.iterdir()) == []


async def test_a_cancelled_download_leaves_no_file(tmp_path, monkeypatch):
    """The thread that writes is waited for before the file is removed."""
    begun, written = asyncio.Event(), []
    loop, write = asyncio.get_running_loop(), files._PartFile.write

    def slowly(part, piece):
        write(part, piece)
        loop.call_soon_threadsafe(begun.set)
        os.sched_yield()
        written.append(piece)

    monkeypatch.setattr(files._PartFile, "write", slowly)

    async def pieces():
        while True:
            yield b"x" * 1000

    saving = asyncio.create_task(save(pieces(), tmp_path / "x.mp4", lambda: None))
    await begun.wait()
    saving.cancel()
    await asyncio.wait([saving])

    assert saving.cancelled()
    assert written
    assert list(tmp_path.iterdir()) == []


async def test_a_full_disk_raises_and_leaves_no_file(tmp_path, monkeypatch):
    """The write fails, and so does closing the file."""

    def refuse(*_):
        raise OSError(28, "No space left on device")

    class Full:
        write = close = refuse

    def open_full(path, mode):
        path.touch()
        return Full()

    monkeypatch.setattr(files.Path, "open", open_full)

    async def pieces():
        yield b"x"

    with pytest.raises(OutcomeUnknown, match=r"x\.mp4 cannot be written: No space left"):
        await save(pieces(), tmp_path / "x.mp4", lambda: None)

    assert list(tmp_path.iterdir()) == []


async def test_a_download_without_a_body_leaves_no_file(tmp_path):
    """The reply breaks off after its headers."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nContent-Type: video/mp4\r\n\r\n"
    async with serving(_without_body(raw(head))) as server, client(server.url) as sender:
        with pytest.raises(OutcomeUnknown, match="broke off"):
            await sender.assets.download("re_1", to=tmp_path / "x.mp4")

    assert list(tmp_path.iterdir()) == []


def _without_body(behaviour):
    async def behave(exchange):
        exchange.body = b"a GET has none"
        await behaviour(exchange)

    return behave


async def test_a_video_of_the_library_is_downloaded(service, library, film, tmp_path):
    """By its number, and by the place where the service stores it."""
    video = await library("videos.add", film, **QUICK)
    by_number, by_place = tmp_path / "number.mp4", tmp_path / "place.mp4"

    assert await library("videos.download", video.video_no, to=by_number) == film.stat().st_size
    blob = f"{video.video_no}.mp4"
    assert await library("videos.download_blob", "mavi-resource", blob, to=by_place) > 0

    assert by_number.read_bytes() == by_place.read_bytes() == film.read_bytes()
    with pytest.raises(InvalidRequest, match="video not found"):
        await library("videos.download", "VI404", to=tmp_path / "none.mp4")
    assert not (tmp_path / "none.mp4").exists()


async def test_uploads_are_listed_by_their_tag_and_number(service, library, film):
    """What the service is told beside the video is sent; what it does not act on is said."""
    one = await library("videos.upload", film, tags=["cat", "dog"], retain_original_video=True)
    await library("videos.upload", film, tags=["cat"])

    assert service.request_log[0].ignored_fields == ("retain_original_video",)
    assert [v.video_no for v in await library.listed(tag="dog")] == [one.video_no]
    assert len(await library.listed(tag="cat")) == 2
    assert [v.video_no for v in await library.listed(video_nos=[one.video_no])] == [one.video_no]
