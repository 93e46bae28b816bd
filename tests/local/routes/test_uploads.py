"""The upload routes of the video library."""

from __future__ import annotations

import errno
import os

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from uploading import FILM, V1, form_of

from memories_async.local import Dialect, Fault
from memories_async.local.pipeline.upload_stream import FileSink


async def test_upload_is_parsed_after_its_reply(service, upload, fetch_metadata):
    """Its status is UNPARSE in the reply, and PARSE with a duration later."""
    reply = await upload()
    data = reply.json["data"]

    assert (data["videoName"], data["videoStatus"]) == ("dog.mp4", "UNPARSE")
    assert data["uploadTime"].isdecimal()
    assert (await fetch_metadata(data["videoNo"]))["status"] == "UNPARSE"
    await service.drain()
    shown = await fetch_metadata(data["videoNo"])
    assert (shown["status"], shown["duration"], shown["size"]) == ("PARSE", 30, len(FILM))
    assert (service.account.paid, service.request_log[0].uploads != ()) == (1, True)


async def test_each_upload_is_a_new_video(service, upload):
    """The same content twice has two numbers and two files, and is paid twice; a reset deletes
    both."""
    first, second = await upload(), await upload()
    paths = [one.video.path for one in service.uploads]

    assert first.json["data"]["videoNo"] != second.json["data"]["videoNo"]
    assert service.account.paid == 2
    assert all(path.read_bytes() == FILM for path in paths)
    service.reset()
    assert service.uploads == ()
    assert not any(path.exists() for path in paths)


async def test_ids_of_uploads_repeat_from_run_to_run(service, upload):
    """They are made from content and order."""
    first = await upload()
    service.reset()

    assert (await upload()).json["data"]["videoNo"] == first.json["data"]["videoNo"]


async def test_upload_can_be_searched_once_it_is_parsed(service, upload, search):
    """A search before that is refused."""
    number = (await upload()).json["data"]["videoNo"]
    early = await search(b"ball", video_no=number)
    await service.drain()
    found = await search(b"ball", video_no=number)

    assert (early.json["code"], early.json["msg"]) == ("0003", f"The video {number} is not parsed.")
    assert found.json["data"][0]["start_time"] == float(FILM.index(b"ball") - 3)


async def test_dialect_may_answer_a_search_in_an_unparsed_video_without_clips(
    service, upload, search
):
    """The pages allow both readings."""
    service.dialect = Dialect(unparsed="empty")
    number = (await upload()).json["data"]["videoNo"]

    reply = await search(b"ball", video_no=number)

    assert (reply.json["code"], reply.json["data"]) == ("0000", [])


async def test_upload_that_is_not_a_video_fails_and_is_refunded(service, upload, fetch_metadata):
    """The engine's message is the cause; the dialect names the status."""
    service.dialect = Dialect(failed_word="PARSE_ERROR")
    number = (await upload(b"no pictures")).json["data"]["videoNo"]
    await service.drain()

    shown = await fetch_metadata(number)
    assert (shown["status"], shown["cause"]) == ("PARSE_ERROR", "The file holds no pictures.")
    assert service.account.paid == 0


async def test_exception_of_an_engine_fails_the_upload(
    service, upload, fetch_metadata, engine, caplog
):
    """The upload ends with an error instead of waiting without end."""
    engine.index = lambda path: 1 / 0
    number = (await upload()).json["data"]["videoNo"]
    await service.drain()

    assert (await fetch_metadata(number))["cause"] == "The engine failed."
    assert "ZeroDivisionError" in caplog.text


async def test_uploads_are_listed_in_their_own_unique_id_and_account(
    service, upload, fetch_metadata, list_videos, send
):
    """Others cannot list or delete them; metadata is found in any `unique_id` of the account."""
    number = (await upload(unique_id="mine")).json["data"]["videoNo"]
    await service.drain()

    assert (await fetch_metadata(number, "other"))["video_no"] == number
    assert number not in [one["video_no"] for one in (await list_videos())["videos"]]
    await send(f"{V1}/delete_videos", document=[number])
    assert (await list_videos(unique_id="mine"))["videos"][0]["video_no"] == number
    stranger = {"Authorization": next(iter(service.open_account().keys))}
    path = f"{V1}/get_metadata?video_no={number}&unique_id=mine"
    assert (await send(path, method="GET", headers=stranger)).json["data"] is None


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"content": None}, "The file parameter cannot be empty!"),
        ({"content": b""}, "The file 'dog.mp4' is empty."),
        ({"content": b"x" * 2001}, "The file is larger than 2000 bytes."),
        ({"name": "dog.flv"}, "not of an allowed type: .mp4, .avi, .mkv, .mov."),
        ({"kind": "image/png"}, "must start with video/."),
        ({"tags": ["x"] * 21}, "At most 20 tags are supported."),
        ({"callback": "http://x.example/" + "y" * 299}, "longer than 299 characters."),
        ({"callback": "ftp://x.example/"}, "The callback parameter: the URL must start with"),
    ],
)
async def test_forbidden_upload_is_refused(service, upload, options, sentence):
    """For free, and no file stays."""
    reply = await upload(**options)

    assert reply.json["code"] in {"0001", "0003"}
    assert sentence in reply.json["msg"]
    assert service.account.paid == 0
    folder = service._components.upload_store.create_draft().parent
    assert list(folder.iterdir()) == []


async def test_two_files_and_damaged_forms_are_refused(send):
    """One file a call."""
    two = form_of()
    two.add_field("file", FILM, filename="b.mp4", content_type="video/mp4")
    kind = {"Content-Type": "multipart/form-data; boundary=x"}

    first = await send(f"{V1}/upload", data=two)
    second = await send(f"{V1}/upload", data=b"nothing", headers=kind)
    third = await send(f"{V1}/upload", document={})

    assert first.json["msg"] == "Only one file is supported."
    assert second.json["msg"] == "The multipart body cannot be read."
    assert third.json["msg"] == "Content-Type 'application/json' is not supported."


async def test_unknown_parts_of_an_upload_are_ignored(send):
    """A nested form, or a part without a name."""
    form, nested = aiohttp.MultipartWriter("form-data"), aiohttp.MultipartWriter("mixed")
    nested.append("inside")
    form.append(nested)
    form.append("nameless")
    part = form.append(FILM, {"Content-Type": "video/mp4"})
    part.set_content_disposition("form-data", name="file", filename="d.mp4")

    assert (await send(f"{V1}/upload", data=form)).json["code"] == "0000"


async def test_forbidden_callback_of_an_upload_is_accepted_and_logged(service, upload):
    """The documentation's sample names one."""
    reply = await upload(callback="https://example.com/cb")
    await service.drain()

    assert reply.json["code"] == "0000"
    assert "out of reach" in service.outbox.deliveries[0].error


async def test_upload_without_points_leaves_no_file(service, upload):
    """It is refused after it was received."""
    service.account.points = 0
    reply = await upload()

    assert reply.json["code"] == "0402"
    assert list(service._components.upload_store.create_draft().parent.iterdir()) == []


async def test_free_routes_need_no_points(service, fetch_metadata, list_videos):
    """They answer when the account is empty."""
    service.account.points = 0

    assert (await list_videos())["total_count"] == 2
    assert (await fetch_metadata(service.library[0].video_no))["status"] == "PARSE"
    assert service.account.statement == ()


@pytest.mark.parametrize(
    ("fault", "statuses"),
    [
        (None, ["PARSE"]),
        ("early", ["UNPARSE", "PARSE"]),
        ("duplicate", ["PARSE", "PARSE"]),
        ("conflict", ["PARSE", "FAILED"]),
        ("failure", ["FAIL"]),
        ("missing", []),
    ],
)
async def test_callback_of_an_upload_has_number_and_status(
    service, upload, receiver, fault, statuses
):
    """It may come early, repeatedly, or never."""
    service.dialect = Dialect(failed_word="FAIL")
    if fault is not None:
        service.faults.add(Fault(callback=fault))
    number = (await upload(callback=receiver.url)).json["data"]["videoNo"]
    await service.drain()

    assert receiver.bodies == [{"videoNo": number, "status": status} for status in statuses]


async def test_video_is_fetched_by_url(service, send, fetch_metadata):
    """The request is a form."""

    async def film(_):
        return web.Response(body=FILM)

    app = web.Application()
    app.router.add_get("/there.mp4", film)
    async with TestServer(app) as server:
        url = str(server.make_url("/there.mp4"))
        reply = await send(f"{V1}/upload_url", data={"url": url})
    await service.drain()

    assert (await fetch_metadata(reply.json["data"]["videoNo"]))["video_name"] == "there.mp4"
    assert service.request_log[0].route == "videos.upload_url"


async def test_url_may_name_a_video_of_the_library(service, send):
    """So the documentation's sample runs offline."""
    reply = await send(f"{V1}/upload_url", data={"url": "https://example.com/street.mp4"})
    await service.drain()
    street = next(one for one in service.library if one.path.name == "street.mp4")

    assert reply.json["data"]["videoNo"] != street.video_no
    assert service.uploads[0].status == "PARSE"
    service.reset()
    assert street.path.exists()


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"url": ""}, "The url parameter cannot be empty!"),
        ({"url": "https://example.com/far.mp4"}, "is out of reach"),
        ({"url": "http://127.0.0.1:1/x.mp4"}, "no connection"),
        ({"url": "http://[x/y.mp4"}, "The url parameter"),
    ],
)
async def test_url_that_cannot_be_fetched_is_refused(service, send, data, sentence):
    """For free; a JSON body is always refused."""
    reply = await send(f"{V1}/upload_url", data=data)
    json = await send(f"{V1}/upload_url", document=data)

    assert sentence in reply.json["msg"]
    assert json.json["msg"] == "Content-Type 'application/json' is not supported."
    assert service.account.paid == 0


async def test_url_without_a_file_name_is_fetched(service, send):
    """The file gets a default name."""

    async def film(_):
        return web.Response(body=FILM)

    app = web.Application()
    app.router.add_get("/", film)
    async with TestServer(app) as server:
        await send(f"{V1}/upload_url", data={"url": str(server.make_url("/"))})

    assert service.uploads[0].name == "video.mp4"


async def test_upload_to_a_full_disk_is_a_failure_with_its_reason(
    service, upload, monkeypatch, caplog
):
    """It is not paid, and no message blames the engine."""

    def fail(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(FileSink, "_append", fail)
    reply = await upload()

    assert (reply.status, reply.json["code"]) == (500, "0500")
    assert reply.json["msg"] == "The service cannot use a file: No space left on device."
    assert (service.account.paid, service.uploads) == (0, ())
    assert "videos.upload failed" in caplog.text
