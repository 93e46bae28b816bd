"""The library's upload routes: what is taken, what is refused, and what becomes of it."""

from __future__ import annotations

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from uploading import FILM, V1, form_of

from memories_async.local import Dialect, Fault


async def test_an_upload_is_parsed_after_a_while(service, upload, described):
    """UNPARSE in the answer, PARSE with its duration once the engine has looked at it."""
    reply = await upload()
    data = reply.json["data"]

    assert (data["videoName"], data["videoStatus"]) == ("dog.mp4", "UNPARSE")
    assert data["uploadTime"].isdecimal()
    assert (await described(data["videoNo"]))["status"] == "UNPARSE"
    await service.drain()
    shown = await described(data["videoNo"])
    assert (shown["status"], shown["duration"], shown["size"]) == ("PARSE", 30.0, len(FILM))
    assert (service.account.paid, service.request_log[0].uploads != ()) == (1, True)


async def test_every_upload_is_another_video(service, upload):
    """The same content twice: two numbers, two files, two bills, and a reset forgets them."""
    first, second = await upload(), await upload()
    paths = [one.video.path for one in service.uploads]

    assert first.json["data"]["videoNo"] != second.json["data"]["videoNo"]
    assert service.account.paid == 2
    assert all(path.read_bytes() == FILM for path in paths)
    service.reset()
    assert service.uploads == ()
    assert not any(path.exists() for path in paths)


async def test_ids_repeat_from_run_to_run(service, upload):
    """A script that ran yesterday finds the same numbers today."""
    first = await upload()
    service.reset()

    assert (await upload()).json["data"]["videoNo"] == first.json["data"]["videoNo"]


async def test_an_upload_can_be_searched_once_it_is_parsed(service, upload, search):
    """Refused before, found after; only in its own unique_id."""
    number = (await upload()).json["data"]["videoNo"]
    early = await search(b"ball", video_no=number)
    await service.drain()
    found = await search(b"ball", video_no=number)

    assert (early.json["code"], early.json["msg"]) == ("0003", f"The video {number} is not parsed.")
    assert found.json["data"][0]["start_time"] == float(FILM.index(b"ball") - 3)


async def test_an_unparsed_video_may_be_searched_in_vain(service, upload, search):
    """The other reading of the pages: no clip, and no refusal."""
    service.dialect = Dialect(unparsed="empty")
    number = (await upload()).json["data"]["videoNo"]

    reply = await search(b"ball", video_no=number)

    assert (reply.json["code"], reply.json["data"]) == ("0000", [])


async def test_a_file_that_is_no_video_fails_and_is_paid_back(service, upload, described):
    """The engine's reason is the cause, and the word for it is the dialect's."""
    service.dialect = Dialect(failed_word="PARSE_ERROR")
    number = (await upload(b"no pictures")).json["data"]["videoNo"]
    await service.drain()

    shown = await described(number)
    assert (shown["status"], shown["cause"]) == ("PARSE_ERROR", "The file holds no pictures.")
    assert service.account.paid == 0


async def test_an_engine_that_breaks_is_a_failed_video(service, upload, described, engine, caplog):
    """Whatever an engine throws ends the wait."""
    engine.index = lambda path: 1 / 0
    number = (await upload()).json["data"]["videoNo"]
    await service.drain()

    assert (await described(number))["cause"] == "The engine failed."
    assert "ZeroDivisionError" in caplog.text


async def test_a_namespace_hides_its_videos(service, upload, described, listed, send):
    """Another unique_id, or another account, sees and deletes nothing."""
    number = (await upload(unique_id="mine")).json["data"]["videoNo"]
    await service.drain()

    assert await described(number) is None
    assert (await described(number, "mine"))["video_no"] == number
    assert number not in [one["video_no"] for one in (await listed())["videos"]]
    await send(f"{V1}/delete_videos", document=[number])
    assert (await listed(unique_id="mine"))["videos"][0]["video_no"] == number
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
async def test_refuses_what_the_page_forbids(service, upload, options, sentence):
    """For free, and without leaving a file behind."""
    reply = await upload(**options)

    assert reply.json["code"] in {"0001", "0003"}
    assert sentence in reply.json["msg"]
    assert service.account.paid == 0
    folder = service._components.upload_store.create_draft().parent
    assert list(folder.iterdir()) == []


async def test_refuses_two_files_and_broken_forms(send):
    """One file a call; a body that lies about being multipart is refused, too."""
    two = form_of()
    two.add_field("file", FILM, filename="b.mp4", content_type="video/mp4")
    kind = {"Content-Type": "multipart/form-data; boundary=x"}

    first = await send(f"{V1}/upload", data=two)
    second = await send(f"{V1}/upload", data=b"nothing", headers=kind)
    third = await send(f"{V1}/upload", document={})

    assert first.json["msg"] == "Only one file is supported."
    assert second.json["msg"] == "The multipart body cannot be read."
    assert third.json["msg"] == "Content-Type 'application/json' is not supported."


async def test_passes_over_what_is_no_field(send):
    """A nested form, or a part without a name, harms nobody."""
    form, nested = aiohttp.MultipartWriter("form-data"), aiohttp.MultipartWriter("mixed")
    nested.append("inside")
    form.append(nested)
    form.append("nameless")
    part = form.append(FILM, {"Content-Type": "video/mp4"})
    part.set_content_disposition("form-data", name="file", filename="d.mp4")

    assert (await send(f"{V1}/upload", data=form)).json["code"] == "0000"


async def test_a_callback_out_of_reach_is_taken_and_logged(service, upload):
    """As the printed sample's is."""
    reply = await upload(callback="https://example.com/cb")
    await service.drain()

    assert reply.json["code"] == "0000"
    assert "out of reach" in service.outbox.deliveries[0].error


async def test_an_account_without_points_keeps_nothing(service, upload):
    """The file was sent in vain: it is refused, and gone."""
    service.account.points = 0
    reply = await upload()

    assert reply.json["code"] == "0402"
    assert list(service._components.upload_store.create_draft().parent.iterdir()) == []


async def test_what_is_free_needs_no_points(service, described, listed):
    """Looking costs nothing, so it goes on when the points are gone."""
    service.account.points = 0

    assert (await listed())["total_count"] == 2
    assert (await described(service.library[0].video_no))["status"] == "PARSE"
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
async def test_the_callback_tells_number_and_status(service, upload, receiver, fault, statuses):
    """Nothing else is in it, and it may come early, twice, or not at all."""
    service.dialect = Dialect(failed_word="FAIL")
    if fault is not None:
        service.faults.add(Fault(callback=fault))
    number = (await upload(callback=receiver.url)).json["data"]["videoNo"]
    await service.drain()

    assert receiver.bodies == [{"videoNo": number, "status": status} for status in statuses]


async def test_fetches_a_video_by_url(service, send, described):
    """At the time of the call, from where the service may go; sent as a form."""

    async def film(_):
        return web.Response(body=FILM)

    app = web.Application()
    app.router.add_get("/there.mp4", film)
    async with TestServer(app) as server:
        url = str(server.make_url("/there.mp4"))
        reply = await send(f"{V1}/upload_url", data={"url": url})
    await service.drain()

    assert (await described(reply.json["data"]["videoNo"]))["video_name"] == "there.mp4"
    assert service.request_log[0].route == "videos.upload_url"


async def test_a_url_may_name_a_video_of_the_library(service, send):
    """As with captions: the printed sample runs without a network."""
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
async def test_refuses_a_url_that_leads_nowhere(service, send, data, sentence):
    """For free; a JSON body is refused whatever it says."""
    reply = await send(f"{V1}/upload_url", data=data)
    json = await send(f"{V1}/upload_url", document=data)

    assert sentence in reply.json["msg"]
    assert json.json["msg"] == "Content-Type 'application/json' is not supported."
    assert service.account.paid == 0


async def test_an_address_without_a_name_is_a_video_all_the_same(service, send):
    """The last part of a URL may be empty."""

    async def film(_):
        return web.Response(body=FILM)

    app = web.Application()
    app.router.add_get("/", film)
    async with TestServer(app) as server:
        await send(f"{V1}/upload_url", data={"url": str(server.make_url("/"))})

    assert service.uploads[0].name == "video.mp4"
