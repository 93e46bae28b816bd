"""The embedding route speaks its page, both eras."""

from __future__ import annotations

from io import BytesIO

import pytest

from memories_async.local import Dialect


async def test_answers_one_vector_of_the_dimensions_asked(embed):
    """The seed page's envelope, with 1,024 numbers of length one."""
    reply = await embed()

    vector = reply.json["data"].pop("embedding")
    assert len(vector) == 1024
    assert sum(number * number for number in vector) == pytest.approx(1)
    assert reply.json["data"] == {"embedding": vector}
    assert {**reply.json, "data": None} == {
        "code": "0000",
        "msg": "success",
        "data": None,
        "success": True,
        "failed": False,
    }


async def test_speaks_the_newer_dialect(service, embed):
    """The newer pages answer the number 200."""
    service.dialect = Dialect(v2_code=200)

    assert (await embed()).json["code"] == 200


async def test_gives_the_same_bytes_again_and_bills_each_time(service, embed, engine):
    """A repeated question costs again, but not the decoding."""
    first, second = await embed(), await embed()

    assert first.body == second.body
    assert (service.account.paid, len(engine.indexed)) == (2, 1)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"asset_id": "re_404"}, "Asset not found"),
        ({"asset_id": ""}, "The asset_id parameter cannot be empty!"),
        ({"asset_id": 5}, "The asset_id parameter must be a string."),
        ({"model": None}, "The model parameter cannot be empty!"),
        ({"model": "mobileclip"}, "The model 'mobileclip' is not supported"),
    ],
)
async def test_refuses_by_http_400_with_the_same_code(embed, service, changes, sentence):
    """A bad request is HTTP 400, an unknown asset as well, and neither costs."""
    reply = await embed(**changes)

    assert (reply.status, reply.json["code"], reply.json["data"]) == (400, 400, None)
    assert sentence in reply.json["msg"]
    assert service.account.paid == 0


async def test_takes_no_video_no_for_an_asset(service, embed):
    """The two kinds of ids are not interchangeable."""
    reply = await embed(asset_id=service.library[0].video_no)

    assert reply.json["msg"] == "Asset not found"


@pytest.mark.parametrize("body", ["", "nothing", "[1]", "[" * 100_000])
async def test_refuses_a_body_that_is_no_object(send, body):
    """Whatever is not a JSON object is a 400, however deep."""
    kind = {"Content-Type": "application/json"}

    reply = await send("/serve/api/v2/embeddings/video", data=body, headers=kind)

    assert reply.status == 400


async def test_refuses_a_body_of_a_megabyte(send):
    """Two ids need no more."""
    kind = {"Content-Type": "application/json"}
    body = BytesIO(b" " * (1024 * 1024 + 1))

    reply = await send("/serve/api/v2/embeddings/video", data=body, headers=kind)

    assert reply.json["msg"] == "The JSON body is larger than 1 MB."


async def test_refuses_another_content_type(send):
    """A form is not JSON."""
    reply = await send("/serve/api/v2/embeddings/video", data={"asset_id": "re_1"})

    assert reply.status == 415


async def test_an_engine_that_breaks_is_a_500_and_free(service, embed, engine, caplog):
    """Whatever an engine throws becomes the host's own failure, and is tried anew."""
    engine.index = lambda path: 1 / 0
    failed = await embed()
    del engine.index
    again = await embed()

    assert (failed.status, failed.json["code"], failed.json["msg"]) == (
        500,
        500,
        "The engine failed.",
    )
    assert again.status == 200
    assert service.account.paid == 1
    assert "ZeroDivisionError" in caplog.text
