"""The search route answers as its page states."""

from __future__ import annotations

from io import BytesIO

import aiohttp
import pytest

from memories_async.local import Dialect
from memories_async.local.engine.protocol import EngineFailed
from memories_async.local.jobs import engine_pool


async def test_search_returns_clips_in_the_pages_envelope(search):
    """Times in seconds and a score."""
    reply = await search(b"blue")

    assert reply.status == 200
    assert reply.json == {
        "code": "0000",
        "msg": "success",
        "data": [{"start_time": 9.0, "end_time": 10.5, "score": 0.8765}],
        "success": True,
        "failed": False,
    }


async def test_headers_name_the_engine_and_the_ignored_words(search):
    """The answer cannot be mistaken for that of the real service."""
    reply = await search(prompt="red café and dragée")

    assert reply.headers["X-Local-Engine"] == "bytes/1"
    assert reply.headers["X-Local-Ignored"] == "caf%C3%A9, drag%C3%A9e"


async def test_search_without_a_match_is_an_empty_list(search):
    """An empty result is billed like any other."""
    assert (await search(b"green")).json["data"] == []


@pytest.mark.parametrize(("empty", "expected"), [("object", {}), ("null", None)])
async def test_dialect_decides_on_the_form_of_an_empty_result(service, search, empty, expected):
    """Older pages show an object, recordings show null."""
    service.dialect = Dialect(empty=empty)

    assert (await search(b"green")).json["data"] == expected


async def test_dialect_decides_on_numbers_as_text_and_on_flags(service, search):
    """The oldest answers have neither `success` nor `failed`."""
    service.dialect = Dialect(text_numbers=True, flags=False)

    assert (await search()).json == {
        "code": "0000",
        "msg": "success",
        "data": [{"start_time": "9.0", "end_time": "10.5", "score": 0.8765}],
    }


@pytest.mark.parametrize("prompt", [None, "", "   "])
async def test_missing_prompt_is_refused_in_the_pages_words(search, prompt):
    """The sentence is the documentation's."""
    reply = await search(prompt=prompt)

    assert reply.status == 200
    assert reply.json == {
        "code": "0001",
        "msg": "The prompt parameter cannot be empty!",
        "data": None,
        "success": False,
        "failed": True,
    }


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"name": "q.tiff"}, "'q.tiff' is not of an allowed type"),
        ({"name": "q"}, "'q' is not of an allowed type"),
        ({"kind": "application/pdf"}, "Content-Type of the file 'q.png' must start with image/"),
        ({"image": b""}, "The file 'q.png' is empty."),
        ({"image": b"x" * 1001}, "The file 'q.png' is larger than 1000 bytes."),
        ({"image": None}, "The file parameter cannot be empty!"),
        ({"video_no": "VI404"}, "The video VI404 does not exist."),
        ({"video_no": " "}, "The video_no parameter cannot be empty!"),
        ({"image": b"broken"}, "The picture cannot be decoded."),
    ],
)
async def test_forbidden_request_is_refused_with_the_name_of_file_or_field(
    service, search, changes, sentence
):
    """For free."""
    reply = await search(**changes)

    assert sentence in reply.json["msg"]
    assert reply.json["code"] in ("0001", "0003")
    assert (service.account.calls, service.account.paid) == (1, 0)


@pytest.mark.parametrize("name", ["Q.JPG", "q.jpeg", "q.GIF", "q.bmp", "q.webp"])
async def test_every_documented_extension_is_accepted(search, name):
    """In upper and lower case."""
    assert (await search(name=name)).json["code"] == "0000"


async def test_asset_id_is_not_a_video(service, search):
    """The two kinds of ids are not interchangeable."""
    asset_id = service.library[0].asset_id

    assert (await search(video_no=asset_id)).json["msg"] == f"The video {asset_id} does not exist."


async def test_id_of_the_documentations_sample_names_the_first_video(service, search):
    """So the sample runs as printed."""
    reply = await search(b"tree", video_no="VI625239098370850816")

    assert reply.json["data"][0]["start_time"] == 2.0
    assert service.account.statement[0].item == service.library[0].video_no


async def test_body_that_is_not_a_form_is_refused(send):
    """Another content type, or a damaged form."""
    path = "/serve/api/v1/search_clips_by_image"
    form = {"Content-Type": "multipart/form-data"}

    assert "not supported" in (await send(path, document={})).json["msg"]
    assert "cannot be read" in (await send(path, data=b"x", headers=form)).json["msg"]


async def test_unknown_parts_of_a_form_are_ignored(send, service):
    """A part without a name, or a form within the form."""
    head = "--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n"
    inner = "--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\ny\r\n--c--\r\n"
    kind = {"Content-Type": "multipart/form-data; boundary=b"}

    reply = await send(
        "/serve/api/v1/search_clips_by_image", data=f"{head}{inner}\r\n--b--\r\n", headers=kind
    )

    assert reply.json["msg"] == "The file parameter cannot be empty!"


async def test_file_name_that_is_not_utf8_is_escaped_in_the_refusal(send):
    """JSON cannot hold it otherwise."""
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="\xff.tif"\r\n\r\n'
    kind = {"Content-Type": "multipart/form-data; boundary=b"}

    reply = await send(
        "/serve/api/v1/search_clips_by_image", data=head + b"x\r\n--b--\r\n", headers=kind
    )

    assert "'\udcff.tif' is not of an allowed type" in reply.json["msg"]


async def test_form_with_more_files_than_documented_is_refused(send):
    """So a form cannot fill the memory."""
    form = aiohttp.FormData()
    for _ in range(2):
        form.add_field("file", b"blue", filename="q.png", content_type="image/png")

    reply = await send("/serve/api/v1/search_clips_by_image", data=form)

    assert reply.json["msg"] == "At most 1 files are supported."


async def test_field_over_one_megabyte_is_refused(send):
    """A prompt is shorter."""
    head = b'--b\r\nContent-Disposition: form-data; name="prompt"\r\n\r\n'
    body = BytesIO(head + b"x" * (1024 * 1024 + 1) + b"\r\n--b--\r\n")
    kind = {"Content-Type": "multipart/form-data; boundary=b"}

    reply = await send("/serve/api/v1/search_clips_by_image", data=body, headers=kind)

    assert reply.json["msg"] == "The field 'prompt' is larger than 1 MB."


async def test_failed_engine_is_refused_with_a_code_of_its_own(service, search, engine, caplog):
    """With the engine's message, in the envelope."""

    def fail(index, image, prompt):
        raise EngineFailed("The model is not there.")

    engine.search = fail

    reply = await search()

    assert (reply.status, reply.json["code"]) == (200, "0424")
    assert reply.json["msg"] == "The model is not there."
    assert service.account.paid == 0
    assert caplog.messages == ["clips.search failed: The model is not there."]
    assert "Traceback" not in caplog.text


async def test_unreadable_video_is_refused_and_decoded_once(films, service, search, engine):
    """Each search in it is refused."""
    (films / "zebra.mp4").write_bytes(b"no colon")
    broken = next(one for one in service.library if one.path.name == "zebra.mp4")

    replies = [await search(video_no=broken.video_no) for _ in range(2)]

    assert {reply.json["msg"] for reply in replies} == {"The file holds no pictures."}
    assert len(engine.indexed) == 1


async def test_unreadable_video_is_decoded_again_after_a_while(
    films, service, search, engine, monkeypatch
):
    """The machine may have been the reason, or the file is another one now."""
    zebra = films / "zebra.mp4"
    zebra.write_bytes(b"no colon")
    number = next(one.video_no for one in service.library if one.path == zebra)
    refused = await search(video_no=number)
    zebra.write_bytes(b"30:blue")
    still_refused = await search(video_no=number)
    monkeypatch.setattr(engine_pool, "RETRY_AFTER", -1.0)

    answered = [await search(video_no=number) for _ in range(2)]

    assert refused.json["msg"] == still_refused.json["msg"] == "The file holds no pictures."
    assert [len(reply.json["data"]) for reply in answered] == [1, 1]
    assert len(engine.indexed) == 2
