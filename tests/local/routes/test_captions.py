"""The caption routes accept or refuse at once, and report the rest by callback."""

from __future__ import annotations

import errno
import json
import os
import tempfile

import pytest
from aiohttp import FormData, web
from aiohttp.test_utils import TestServer

from memories_async.local import Dialect


async def test_url_with_the_name_of_a_library_video_is_captioned_without_fetching(
    service, caption, receiver
):
    """So the documentation's sample runs offline."""
    reply = await caption()
    await service.drain()

    task_id = reply.json["data"]["task_id"]
    assert reply.json == {"code": 0, "msg": "success", "data": {"task_id": task_id}}
    assert receiver.bodies == [
        {
            "status": 0,
            "task_id": task_id,
            "data": {
                "text": "30 seconds. Tell all. []",
                "token": {"input": 9, "output": 24, "total": 33},
            },
        }
    ]


async def test_file_is_captioned_with_the_persons_pictures_in_order(
    service, caption_file, receiver
):
    """The first file is the video; one picture for each person follows."""
    files = ("film.mp4", b"40:x"), ("a.png", b"1"), ("b.png", b"22")
    people = [{"name": "Alice"}, {"name": "Bob"}]

    reply = await caption_file(*files, persons=people, thinking=True)
    await service.drain()

    assert reply.json["code"] == 0
    assert receiver.bodies[0]["data"]["text"] == "40 seconds. Tell all. [Alice 1, Bob 2]"
    assert len(service.request_log[0].uploads) == 3


async def test_pictures_may_be_parts_named_file(send, service, receiver):
    """The page's sample with persons names them so."""
    people = '[{"name": "Alice"}, {"name": "Bob"}]'
    req = (
        f'{{"user_prompt": "u", "system_prompt": "s", "callback": "{receiver.url}", '
        f'"persons": {people}}}'
    )
    form = FormData()
    form.add_field("req", req)
    for name, content in (("file", b"1"), ("files", b"40:x"), ("file", b"22")):
        form.add_field(name, content, filename="part.mp4")

    reply = await send("/v1/understand/uploadFile", data=form)
    await service.drain()

    assert reply.json["code"] == 0
    assert "[Alice 1, Bob 2]" in receiver.bodies[0]["data"]["text"]
    assert len(service.request_log[0].uploads) == 3


async def test_persons_with_a_url_need_no_picture(service, caption_file, receiver, site):
    """The pictures that are sent belong to the others, in their order."""
    people = [{"name": "Alice", "url": f"{site}alice.png"}, {"name": "Bob"}]

    await caption_file(("film.mp4", b"40:x"), ("b.png", b"22"), persons=people)
    await caption_file(("film.mp4", b"40:x"), ("a.png", b"1"), ("b.png", b"22"), persons=people)
    await service.drain()

    texts = sorted(body["data"]["text"] for body in receiver.bodies)
    assert ["[Alice 1, Bob 2]" in texts[0], "[Alice 4, Bob 2]" in texts[1]] == [True, True]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"5:x", "The video lasts 5.0 seconds; it must be between 20 and 300."),
        (b"301:x", "The video lasts 301.0 seconds; it must be between 20 and 300."),
        (b"nothing", "The file holds no pictures."),
    ],
)
async def test_video_outside_the_limits_fails_by_callback_and_is_refunded(
    service, caption_file, receiver, content, reason
):
    """Only decoding shows its length."""
    reply = await caption_file(("film.mp4", content))
    await service.drain()

    failed = {
        "status": -1,
        "task_id": reply.json["data"]["task_id"],
        "msg": reason,
        "data": None,
    }
    assert receiver.bodies == [failed]
    assert [entry.points for entry in service.account.statement] == [1, -1]
    assert (service.account.paid, service.account.points_spent) == (0, 0)


async def test_exception_of_an_engine_fails_the_task(service, caption, receiver, engine, caplog):
    """It is logged, and the callback names no detail."""
    engine.caption = lambda index, request: 1 / 0

    await caption()
    await service.drain()

    assert receiver.bodies[0]["msg"] == "The engine failed."
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"video_url": None}, "The video_url parameter cannot be empty!"),
        ({"user_prompt": ""}, "The user_prompt parameter cannot be empty!"),
        ({"system_prompt": None}, "The system_prompt parameter cannot be empty!"),
        ({"callback": None}, "The callback parameter cannot be empty!"),
        ({"callback": "ftp://x/"}, "must start with http:// or https://"),
        ({"callback": "http://[x/"}, "the URL cannot be read"),
        ({"thinking": "yes"}, "The thinking parameter must be a boolean."),
        ({"persons": {"name": "Alice"}}, "The persons parameter must be an array."),
        ({"persons": ["Alice"]}, "Each of the persons must be an object."),
        ({"persons": [{"url": "http://x/"}]}, "The name parameter cannot be empty!"),
        ({"persons": [{"name": "A", "url": 1}]}, "The url of a person must be a string."),
        ({"persons": [{"name": "A"}] * 6}, "At most 5 persons are supported."),
    ],
)
async def test_wrong_fields_are_refused_at_once(service, caption, changes, sentence):
    """With -1 and HTTP 200, as on the page, for free."""
    reply = await caption(**changes)

    assert (reply.status, reply.json["code"], reply.json["data"]) == (200, -1, None)
    assert sentence in reply.json["msg"]
    assert service.account.paid == 0


async def test_callback_to_the_service_itself_is_refused(service, caption):
    """It would call itself for ever."""
    reply = await caption(callback=f"{service.url}/v1/understand/upload")

    assert "does not connect to itself" in reply.json["msg"]


FILM = ("film.mp4", b"30:x")


@pytest.mark.parametrize(
    ("files", "fields", "sentence"),
    [
        ([], {}, "The files parameter cannot be empty!"),
        ([("film.mp4", b"")], {}, "The file 'film.mp4' is empty."),
        ([("film.mp4", b"x" * 2001)], {}, "The file 'film.mp4' is larger than 2000 bytes."),
        ([FILM, ("a.png", b"x" * 1001)], {"persons": [{"name": "A"}]}, "'a.png' is too large."),
        ([FILM], {"persons": [{"name": "A"}]}, "1 persons need as many pictures; 0 came."),
        ([FILM, ("a.png", b"1")], {}, "0 persons need as many pictures; 1 came."),
        ([FILM], {"req": ""}, "The req parameter cannot be empty!"),
        ([FILM], {"req": "{"}, "The part req cannot be read as JSON."),
        ([FILM], {"req": "[]"}, "The part req must be an object."),
    ],
)
async def test_wrong_files_are_refused_at_once(caption_file, service, files, fields, sentence):
    """The refusal names the file; sizes and numbers are known before decoding."""
    reply = await caption_file(*files, **fields)

    assert reply.json["code"] == -1
    assert sentence in reply.json["msg"]
    assert service.account.paid == 0


async def test_part_req_may_be_a_plain_field(send, receiver, service):
    """Some clients send the JSON without a file name."""
    req = f'{{"user_prompt": "u", "system_prompt": "s", "callback": "{receiver.url}"}}'

    reply = await send("/v1/understand/uploadFile", data=_form(req))
    await service.drain()

    assert reply.json["code"] == 0
    assert receiver.bodies[0]["status"] == 0


def _form(req):
    form = FormData()
    form.add_field("req", req)
    form.add_field("files", b"30:x", filename="film.weird-suffix")
    return form


async def test_dialect_with_statuses_refuses_with_http_400(service, caption):
    """The page shows HTTP 200 only."""
    service.dialect = Dialect(security_statuses=True)

    reply = await caption(user_prompt=None)

    assert (reply.status, reply.json["code"]) == (400, -1)


@pytest.fixture
async def site(films):
    """A web site on loopback with one film and one picture."""
    app = web.Application()

    async def film(request):
        return web.Response(body=(films / "street.mp4").read_bytes())

    app.router.add_get("/clip.mp4", film)
    app.router.add_get("/alice.png", _picture)
    async with TestServer(app) as server:
        yield str(server.make_url("/"))


async def _picture(request):
    return web.Response(body=b"four")


async def test_film_and_pictures_are_fetched_from_loopback(service, caption, site, receiver):
    """A person without a URL has no picture."""
    people = [{"name": "Alice", "url": f"{site}alice.png"}, {"name": "Bob"}]

    await caption(video_url=f"{site}clip.mp4", persons=people)
    await service.drain()

    assert receiver.bodies[0]["data"]["text"] == "30 seconds. Tell all. [Alice 4, Bob 0]"


async def test_forbidden_picture_is_left_out(service, caption, receiver):
    """The documentation's sample names pictures on other hosts."""
    await caption(persons=[{"name": "Alice", "url": "https://example.com/alice.jpg"}])
    await service.drain()

    assert receiver.bodies[0]["data"]["text"] == "30 seconds. Tell all. [Alice 0]"


async def test_missing_picture_fails_the_task(service, caption, receiver, site):
    """The callback names the reason."""
    await caption(persons=[{"name": "Alice", "url": f"{site}nobody.png"}])
    await service.drain()

    assert receiver.bodies[0]["msg"] == "127.0.0.1 answered 404"


async def test_forbidden_film_is_accepted_with_a_note(service, caption, receiver):
    """Header, request log and callback say why there is no caption."""
    reply = await caption(video_url="https://example.com/unknown.mp4")
    await service.drain()

    assert reply.json["code"] == 0
    assert "will not be fetched" in reply.headers["X-Local-Note"]
    assert service.request_log[0].note == reply.headers["X-Local-Note"]
    assert "connects to loopback only" in receiver.bodies[0]["msg"]


async def test_forbidden_callback_is_accepted_with_a_note(service, caption):
    """The delivery is logged as refused, with its result."""
    reply = await caption(callback="https://yourserver.com/callback")
    await service.drain()

    (delivery,) = service.outbox.deliveries
    assert "will not be delivered" in reply.headers["X-Local-Note"]
    assert (delivery.attempt, delivery.status) == (0, None)
    assert delivery.body["status"] == 0


async def test_library_video_over_the_size_limit_fails_by_callback(
    service, films, caption, receiver
):
    """As a video that is sent would be refused."""
    (films / "long.mp4").write_bytes(b"30:" + b"x" * 2000)

    await caption(video_url="https://example.com/long.mp4")
    await service.drain()

    assert receiver.bodies[0]["msg"] == "The video long.mp4 is larger than the limit."


async def test_unreadable_url_fails_by_callback(service, caption, receiver):
    """It is accepted as any text is."""
    await caption(video_url="http://[x/")
    await service.drain()

    assert receiver.bodies[0]["msg"] == "the URL cannot be read"


async def test_caption_on_a_full_disk_fails_with_its_reason(
    service, caption_file, receiver, monkeypatch
):
    """The video is written to a temporary file for its decoder."""

    def fail(**_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tempfile, "TemporaryDirectory", fail)
    await caption_file(("film.mp4", b"40:x"))
    await service.drain()

    assert receiver.bodies[0]["msg"] == "The service cannot use a file: No space left on device."
    assert service.account.paid == 0


async def test_a_caption_comes_in_the_reply_where_it_is_asked_for_so(service, send):
    """By URL and as a file; each is paid once, and no callback is needed."""
    fields = {"user_prompt": "Tell all.", "system_prompt": "s"}
    name = service.library[0].path.name
    by_url = await send(
        "/v1/understand/uploadSync", document={"video_url": f"https://x/{name}", **fields}
    )
    form = FormData()
    form.add_field("req", json.dumps(fields))
    form.add_field("files", b"40:x", filename="film.mp4")
    as_file = await send("/v1/understand/uploadFileSync", data=form)

    assert as_file.json["data"] == {
        "text": "40 seconds. Tell all. []",
        "token": {"input": 9, "output": 24, "total": 33},
    }
    assert by_url.json["data"]["text"] == "30 seconds. Tell all. []"
    routes = [entry.route for entry in service.account.statement]
    assert routes == ["captions.upload_sync", "captions.upload_file_sync"]


async def test_a_video_outside_the_limits_is_refused_in_the_reply_and_free(service, send):
    """The page's limits are known once the video is decoded."""
    form = FormData()
    form.add_field("req", '{"user_prompt": "u", "system_prompt": "s"}')
    form.add_field("files", b"4:x", filename="film.mp4")
    reply = await send("/v1/understand/uploadFileSync", data=form)

    assert reply.json["code"] == -1
    assert "it must be between" in reply.json["msg"]
    assert service.account.paid == 0


async def test_fields_that_are_not_acted_on_are_named(service, send):
    """In a header of the reply, and in the request log."""
    form = FormData()
    form.add_field("req", '{"user_prompt": "u", "system_prompt": "s", "qa": true, "new one": 1}')
    form.add_field("files", b"40:x", filename="film.mp4")
    reply = await send("/v1/understand/uploadFileSync", data=form)

    assert reply.headers["X-Local-Ignored"] == "qa, new one"
    assert service.request_log[0].ignored_fields == ("qa", "new one")
