"""The library's upload routes: what is taken, what is refused, and what becomes of it."""

from __future__ import annotations

import asyncio
import hashlib

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from memories_async.local import Era, Fault, LocalService, Rules
from memories_async.local.intake import Sink

V1, V2 = "/serve/api/v1", "/serve/api/v2"
FILM = b"30:a dog and a ball"


def form_of(content=FILM, *, name="dog.mp4", kind="video/mp4", path=f"{V1}/upload", **fields):
    form = aiohttp.FormData(default_to_multipart=True)
    for field, value in fields.items():
        for one in value if isinstance(value, list) else [value]:
            form.add_field(field, one)
    if content is not None:
        form.add_field("file", content, filename=name, content_type=kind)
    return form


@pytest.fixture
def upload(send):
    """Upload a film; None leaves the file out."""

    async def upload(content=FILM, *, path=f"{V1}/upload", headers=None, **options):
        return await send(path, data=form_of(content, **options), headers=headers)

    return upload


@pytest.fixture
def described(send):
    """Ask for a video's metadata."""

    async def described(video_no, unique_id="default"):
        path = f"{V1}/get_metadata?video_no={video_no}&unique_id={unique_id}"
        return (await send(path, method="GET")).json["data"]

    return described


@pytest.fixture
def listed(send):
    """List the library."""

    async def listed(**fields):
        return (await send(f"{V1}/list_videos", document=fields)).json["data"]

    return listed


async def test_an_upload_is_parsed_after_a_while(service, upload, described):
    """UNPARSE in the answer, PARSE with its duration once the engine has looked at it."""
    reply = await upload()
    data = reply.json["data"]

    assert (data["videoName"], data["videoStatus"]) == ("dog.mp4", "UNPARSE")
    assert data["uploadTime"].isdecimal()
    assert (await described(data["videoNo"]))["status"] == "UNPARSE"
    await service.settle()
    shown = await described(data["videoNo"])
    assert (shown["status"], shown["duration"], shown["size"]) == ("PARSE", 30.0, len(FILM))
    assert (service.account.paid, service.journal[0].uploads != ()) == (1, True)


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
    await service.settle()
    found = await search(b"ball", video_no=number)

    assert (early.json["code"], early.json["msg"]) == ("0003", f"The video {number} is not parsed.")
    assert found.json["data"][0]["start_time"] == float(FILM.index(b"ball") - 3)


async def test_an_unparsed_video_may_be_searched_in_vain(service, upload, search):
    """The other reading of the pages: no clip, and no refusal."""
    service.era = Era(unparsed="empty")
    number = (await upload()).json["data"]["videoNo"]

    reply = await search(b"ball", video_no=number)

    assert (reply.json["code"], reply.json["data"]) == ("0000", [])


async def test_a_file_that_is_no_video_fails_and_is_paid_back(service, upload, described):
    """The engine's reason is the cause, and the word for it is the era's."""
    service.era = Era(failed_word="PARSE_ERROR")
    number = (await upload(b"no pictures")).json["data"]["videoNo"]
    await service.settle()

    shown = await described(number)
    assert (shown["status"], shown["cause"]) == ("PARSE_ERROR", "The file holds no pictures.")
    assert service.account.paid == 0


async def test_an_engine_that_breaks_is_a_failed_video(service, upload, described, engine, caplog):
    """Whatever an engine throws ends the wait."""
    engine.index = lambda path: 1 / 0
    number = (await upload()).json["data"]["videoNo"]
    await service.settle()

    assert (await described(number))["cause"] == "The engine failed."
    assert "ZeroDivisionError" in caplog.text


async def test_a_namespace_hides_its_videos(service, upload, described, listed, send):
    """Another unique_id, or another account, sees and deletes nothing."""
    number = (await upload(unique_id="mine")).json["data"]["videoNo"]
    await service.settle()

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
    folder = service._machine.shelf.draft().parent
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
    await service.settle()

    assert reply.json["code"] == "0000"
    assert "out of reach" in service.callbacks[0].error


async def test_an_account_without_points_keeps_nothing(service, upload):
    """The file was sent in vain: it is refused, and gone."""
    service.account.points = 0
    reply = await upload()

    assert reply.json["code"] == "0402"
    assert list(service._machine.shelf.draft().parent.iterdir()) == []


async def test_what_is_free_needs_no_points(service, described, listed):
    """Looking costs nothing, so it goes on when the points are gone."""
    service.account.points = 0

    assert (await listed())["total_count"] == 2
    assert (await described(service.library[0].video_no))["status"] == "PARSE"
    assert service.account.book == ()


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
    service.era = Era(failed_word="FAIL")
    if fault is not None:
        service.faults.add(Fault(callback=fault))
    number = (await upload(callback=receiver.url)).json["data"]["videoNo"]
    await service.settle()

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
    await service.settle()

    assert (await described(reply.json["data"]["videoNo"]))["video_name"] == "there.mp4"
    assert service.journal[0].route == "videos.upload_url"


async def test_a_url_may_name_a_video_of_the_library(service, send):
    """As with captions: the printed sample runs without a network."""
    reply = await send(f"{V1}/upload_url", data={"url": "https://example.com/street.mp4"})
    await service.settle()
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


async def test_lists_in_pages_the_newest_first(service, upload, listed):
    """Uploads before the library, and filters by name, number and status."""
    numbers = [(await upload(name=f"{n}.mp4")).json["data"]["videoNo"] for n in range(3)]
    page = await listed(page=2, size=2)

    assert [one["video_no"] for one in page["videos"]][:1] == numbers[:1]
    assert (page["current_page"], page["page_size"], page["total_count"]) == (2, 2, 5)
    assert (await listed(video_name="1.mp4"))["videos"][0]["video_no"] == numbers[1]
    assert (await listed(video_no=numbers[2]))["total_count"] == 1
    assert (await listed(video_nos=numbers[:2]))["total_count"] == 2
    await service.settle()
    assert (await listed(status="UNPARSE"))["total_count"] == 0
    assert (await listed(status="PARSE"))["total_count"] == 5


@pytest.mark.parametrize(
    "fields", [{"page": 0}, {"size": 201}, {"size": "20"}, {"page": True}, {"video_name": 5}]
)
async def test_refuses_a_page_that_is_none(send, fields):
    """The page's own limits."""
    assert (await send(f"{V1}/list_videos", document=fields)).json["code"] == "0003"


async def test_deletes_uploads_and_hides_the_library(service, upload, listed, send):
    """The file of an upload goes, one of the library stays on disk; unknown ones are no error."""
    number = (await upload()).json["data"]["videoNo"]
    path, street = service.uploads[0].video.path, service.library[0]
    reply = await send(
        f"{V1}/delete_videos", document=[number, street.video_no, "VI404", street.asset_id]
    )
    await service.settle()

    assert (reply.json["code"], reply.json["data"]) == ("0000", None)
    assert (path.exists(), street.path.exists()) == (False, True)
    assert (await listed())["total_count"] == 1
    service.reset()
    assert (await listed())["total_count"] == 2


@pytest.mark.parametrize("document", [{}, {"video_nos": ["VI1"]}, [1], [], ["VI1"] * 101, "VI1"])
async def test_deletes_a_bare_array_of_a_hundred_at_most(send, document):
    """An object is what everybody sends first."""
    reply = await send(f"{V1}/delete_videos", document=document)

    assert reply.json["code"] == "0003"


async def test_speaks_the_eras_of_the_library(service, upload, listed):
    """Text numbers, the text "null", either casing, and a short answer to uploads."""
    service.era = Era(names="camel", text_numbers=True, null_words=True, short_uploads=True)
    answer = (await upload()).json["data"]
    page = await listed(size=1)

    assert set(answer) == {"videoNo", "videoName"}
    assert (page["totalCount"], page["pageSize"]) == ("3", "1")
    shown = page["videos"][0]
    assert (shown["videoNo"], shown["cause"]) == (answer["videoNo"], "null")
    assert shown["size"] == str(len(FILM))
    service.era = Era(names="snake")
    assert "video_no" in (await upload()).json["data"]


async def test_a_fault_answers_null_or_a_bad_moment(service, described, send):
    """What is said of a fresh upload, and of a network that is not well."""
    number = service.library[0].video_no
    service.faults.add(kind="null", route="videos.metadata")
    service.faults.add(kind="code", code="0001", message="network abnormal", route="videos")

    assert await described(number) is None
    reply = await send(f"{V1}/get_metadata?video_no={number}", method="GET")
    assert (reply.json["code"], reply.json["msg"]) == ("0001", "network abnormal")
    assert (await described(number))["video_no"] == number


async def test_an_asset_goes_in_and_out_again(service, upload, send):
    """Upload, metadata with numbers as text, the file itself, and the end of it."""
    asset_id = (await upload(path=f"{V2}/upload", name="dog.webm")).json["data"]["asset_id"]
    waiting = await send(f"{V2}/{asset_id}/metadata", method="GET")
    early = await send(f"{V2}/embeddings/video", document=_embed(asset_id))
    await service.settle()
    ready = (await send(f"{V2}/{asset_id}/metadata", method="GET")).json["data"]
    file = await send(f"{V2}/{asset_id}/download", method="GET")

    assert waiting.json["data"]["resource"][0]["upload_status"] == "UPLOADING"
    assert (early.status, early.json["msg"]) == (400, "Asset is not ready")
    assert ready["total"] == 1
    assert ready["resource"][0]["upload_status"] == "SUCCESS"
    assert ready["resource"][0]["file_size"] == str(len(FILM))
    assert (file.body, file.headers["Content-Type"]) == (FILM, "application/octet-stream")
    assert (await send(f"{V2}/embeddings/video", document=_embed(asset_id))).status == 200
    assert (await send(f"{V2}/{asset_id}", method="DELETE")).json["data"] is None
    assert [one.route for one in service.account.book] == [
        "assets.upload",
        "assets.download",
        "embeddings.video",
    ]


def _embed(asset_id):
    return {"asset_id": asset_id, "model": "multimodalembedding@001"}


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/metadata"), ("GET", "/download"), ("DELETE", "")]
)
async def test_an_unknown_asset_is_a_400(send, service, method, path):
    """So is a video_no: the two are not interchangeable."""
    video_no = service.library[0].video_no

    for name in ("re_404", video_no):
        reply = await send(f"{V2}/{name}{path}", method=method)
        assert (reply.status, reply.json["msg"]) == (400, "Asset not found")


async def test_an_asset_may_fail_and_must_not_be_empty(service, upload, send):
    """By a fault; what it holds shows only when it is embedded."""
    service.faults.add(callback="failure", route="assets")
    asset_id = (await upload(path=f"{V2}/upload")).json["data"]["asset_id"]
    await service.settle()
    shown = await send(f"{V2}/{asset_id}/metadata", method="GET")
    empty = await upload(b"", path=f"{V2}/upload")

    assert shown.json["data"]["resource"][0]["upload_status"] == "FAILED"
    assert empty.status == 400
    assert service.account.paid == 0


@pytest.mark.parametrize("kind", ["garble", "slow"])
async def test_a_download_can_be_spoilt(service, send, kind):
    """Faults of a reply meet files as well."""
    asset, content = service.library[0].asset_id, service.library[0].path.read_bytes()
    service.faults.add(kind=kind)
    reply = await send(f"{V2}/{asset}/download", method="GET")

    assert reply.body == (content if kind == "slow" else content[:-8])


async def test_a_download_can_break_off(service, send):
    """Half a film, and its length promised."""
    service.faults.add(kind="truncate")

    with pytest.raises(aiohttp.ClientPayloadError):
        await send(f"{V2}/{service.library[0].asset_id}/download", method="GET")


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
    await until(lambda: service.journal and service.journal[0].note)

    assert list(service._machine.shelf.draft().parent.iterdir()) == []


async def test_uploads_end_with_the_service(films, engine):
    """The folder goes when the service stops, also while something is being parsed."""
    async with LocalService(films, engine=engine, parsing_seconds=60, rules=Rules()) as service:
        async with service.client() as client:
            await client.videos.upload(films / "street.mp4")
        path = service.uploads[0].video.path
        assert (path.exists(), service.tasks_under_way) == (True, 1)

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
        assert service.journal[0].uploads == (digest.hexdigest(),)


async def test_a_draft_is_never_left_open(tmp_path):
    """One who gives up while a thread writes is held until it is done."""
    sink = Sink(tmp_path / "draft", 2**30)
    writing = asyncio.create_task(sink.write(bytes(4 * 1024 * 1024)))
    await asyncio.sleep(0)
    writing.cancel()
    await asyncio.wait([writing])

    assert writing.cancelled()
    assert (tmp_path / "draft").stat().st_size in {0, 4 * 1024 * 1024}
    sink.abandon()


@pytest.mark.parametrize("wrong", [{"names": "kebab"}, {"failed_word": "BAD"}, {"unparsed": "?"}])
def test_an_era_that_never_was_is_refused(wrong):
    """A misspelt one would change nothing."""
    with pytest.raises(ValueError, match="is none of"):
        Era(**wrong)


async def test_an_address_without_a_name_is_a_video_all_the_same(service, send):
    """The last part of a URL may be empty."""

    async def film(_):
        return web.Response(body=FILM)

    app = web.Application()
    app.router.add_get("/", film)
    async with TestServer(app) as server:
        await send(f"{V1}/upload_url", data={"url": str(server.make_url("/"))})

    assert service.uploads[0].name == "video.mp4"
