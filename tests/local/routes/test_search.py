"""The search route speaks its page word for word."""

from __future__ import annotations

from io import BytesIO

import aiohttp
import pytest

from memories_async.local import Dialect
from memories_async.local.engine.protocol import EngineFailed


async def test_answers_clips_computed_from_the_video(search):
    """A found clip carries seconds and a likeness, in the page's envelope."""
    reply = await search(b"blue")

    assert reply.status == 200
    assert reply.json == {
        "code": "0000",
        "msg": "success",
        "data": [{"start_time": 9.0, "end_time": 10.5, "score": 0.8765}],
        "success": True,
        "failed": False,
    }


async def test_names_engine_and_ignored_words_in_headers(search):
    """Nobody mistakes the answer for the real service's, or a word for one acted on."""
    reply = await search(prompt="red café and dragée")

    assert reply.headers["X-Local-Engine"] == "bytes/1"
    assert reply.headers["X-Local-Ignored"] == "caf%C3%A9, drag%C3%A9e"


async def test_finds_nothing_as_an_empty_list(search):
    """No clip is an answer, and it is paid."""
    assert (await search(b"green")).json["data"] == []


@pytest.mark.parametrize(("empty", "expected"), [("object", {}), ("null", None)])
async def test_speaks_the_other_eras_of_an_empty_answer(service, search, empty, expected):
    """Older pages show an empty result as an object."""
    service.dialect = Dialect(empty=empty)

    assert (await search(b"green")).json["data"] == expected


async def test_speaks_the_era_of_numbers_as_text_and_no_flags(service, search):
    """The sibling search sends times as text, the oldest answers had two fields less."""
    service.dialect = Dialect(text_numbers=True, flags=False)

    assert (await search()).json == {
        "code": "0000",
        "msg": "success",
        "data": [{"start_time": "9.0", "end_time": "10.5", "score": "0.8765"}],
    }


@pytest.mark.parametrize("prompt", [None, "", "   "])
async def test_refuses_a_missing_prompt_in_the_pages_words(search, prompt):
    """The sentence is the documentation's own."""
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
async def test_refuses_what_the_page_forbids_naming_the_culprit(service, search, changes, sentence):
    """A refusal names the file or the field, and costs nothing."""
    reply = await search(**changes)

    assert sentence in reply.json["msg"]
    assert reply.json["code"] in ("0001", "0003")
    assert (service.account.calls, service.account.paid) == (1, 0)


@pytest.mark.parametrize("name", ["Q.JPG", "q.jpeg", "q.GIF", "q.bmp", "q.webp"])
async def test_takes_every_documented_extension(search, name):
    """Extensions are case-insensitive."""
    assert (await search(name=name)).json["code"] == "0000"


async def test_takes_no_asset_id_for_a_video(service, search):
    """The two kinds of ids are not interchangeable."""
    asset_id = service.library[0].asset_id

    assert (await search(video_no=asset_id)).json["msg"] == f"The video {asset_id} does not exist."


async def test_takes_the_printed_sample_id_for_the_first_video(service, search):
    """The page's sample runs as printed."""
    reply = await search(b"tree", video_no="VI625239098370850816")

    assert reply.json["data"][0]["start_time"] == 2.0
    assert service.account.statement[0].item == service.library[0].video_no


async def test_refuses_a_body_that_is_no_form(send):
    """Another content type, and a broken form, are refused in the envelope."""
    path = "/serve/api/v1/search_clips_by_image"
    form = {"Content-Type": "multipart/form-data"}

    assert "not supported" in (await send(path, document={})).json["msg"]
    assert "cannot be read" in (await send(path, data=b"x", headers=form)).json["msg"]


async def test_passes_over_parts_that_no_page_names(send, service):
    """A part without a name, or a form within the form, is nobody's."""
    head = "--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n"
    inner = "--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\ny\r\n--c--\r\n"
    kind = {"Content-Type": "multipart/form-data; boundary=b"}

    reply = await send(
        "/serve/api/v1/search_clips_by_image", data=f"{head}{inner}\r\n--b--\r\n", headers=kind
    )

    assert reply.json["msg"] == "The file parameter cannot be empty!"


async def test_names_a_file_whose_name_is_no_text(send):
    """What cannot be written as UTF-8 goes back escaped."""
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="\xff.tif"\r\n\r\n'
    kind = {"Content-Type": "multipart/form-data; boundary=b"}

    reply = await send(
        "/serve/api/v1/search_clips_by_image", data=head + b"x\r\n--b--\r\n", headers=kind
    )

    assert "'\udcff.tif' is not of an allowed type" in reply.json["msg"]


async def test_refuses_more_files_than_the_page_knows(send):
    """A form cannot fill the memory with files."""
    form = aiohttp.FormData()
    for _ in range(2):
        form.add_field("file", b"blue", filename="q.png", content_type="image/png")

    reply = await send("/serve/api/v1/search_clips_by_image", data=form)

    assert reply.json["msg"] == "At most 1 files are supported."


async def test_refuses_a_field_of_a_megabyte(send):
    """A prompt is no place for a film."""
    head = b'--b\r\nContent-Disposition: form-data; name="prompt"\r\n\r\n'
    body = BytesIO(head + b"x" * (1024 * 1024 + 1) + b"\r\n--b--\r\n")
    kind = {"Content-Type": "multipart/form-data; boundary=b"}

    reply = await send("/serve/api/v1/search_clips_by_image", data=body, headers=kind)

    assert reply.json["msg"] == "The field 'prompt' is larger than 1 MB."


async def test_an_engine_that_gives_no_answer_is_a_500_in_the_envelope(
    service, search, engine, caplog
):
    """The only refusal of this host that is not HTTP 200, with the engine's own sentence."""

    def fail(index, image, prompt):
        raise EngineFailed("The model is not there.")

    engine.search = fail

    reply = await search()

    assert (reply.status, reply.json["code"]) == (500, "0500")
    assert reply.json["msg"] == "The model is not there."
    assert service.account.paid == 0
    assert caplog.messages == ["clips.search failed: The model is not there."]
    assert "Traceback" not in caplog.text


async def test_an_unreadable_video_is_refused_and_not_decoded_twice(films, service, search, engine):
    """A corrupt file of the library is reported each time it is asked for."""
    (films / "zebra.mp4").write_bytes(b"no colon")
    broken = next(one for one in service.library if one.path.name == "zebra.mp4")

    replies = [await search(video_no=broken.video_no) for _ in range(2)]

    assert {reply.json["msg"] for reply in replies} == {"The file holds no pictures."}
    assert len(engine.indexed) == 1
