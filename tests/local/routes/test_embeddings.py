"""The embedding route, in both documented dialects."""

from __future__ import annotations

from io import BytesIO

import pytest
from aiohttp import FormData

from memories_async.local import Dialect


async def test_embedding_is_one_vector_of_the_configured_length(embed):
    """In the page's envelope; the vector has length 1."""
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


async def test_newer_dialect_answers_the_number_200(service, embed):
    """The older code is the string "0000"."""
    service.dialect = Dialect(v2_code=200)

    assert (await embed()).json["code"] == 200


async def test_repeated_call_gets_the_same_bytes_and_is_paid_again(service, embed, engine):
    """The video is decoded once."""
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
async def test_wrong_request_is_http_400_and_code_400(embed, service, changes, sentence):
    """For free."""
    reply = await embed(**changes)

    assert (reply.status, reply.json["code"], reply.json["data"]) == (400, 400, None)
    assert sentence in reply.json["msg"]
    assert service.account.paid == 0


async def test_video_no_is_not_an_asset(service, embed):
    """The two kinds of ids are not interchangeable."""
    reply = await embed(asset_id=service.library[0].video_no)

    assert reply.json["msg"] == "Asset not found"


@pytest.mark.parametrize("body", ["", "nothing", "[1]", "[" * 100_000])
async def test_body_that_is_not_an_object_is_refused(send, body):
    """With HTTP 400, however deep it is nested."""
    kind = {"Content-Type": "application/json"}

    reply = await send("/serve/api/v2/embeddings/video", data=body, headers=kind)

    assert reply.status == 400


async def test_body_over_one_megabyte_is_refused(send):
    """Two ids need less."""
    kind = {"Content-Type": "application/json"}
    body = BytesIO(b" " * (1024 * 1024 + 1))

    reply = await send("/serve/api/v2/embeddings/video", data=body, headers=kind)

    assert reply.json["msg"] == "The JSON body is larger than 1 MB."


async def test_other_content_type_is_refused(send):
    """A form is not JSON."""
    reply = await send("/serve/api/v2/embeddings/video", data={"asset_id": "re_1"})

    assert reply.status == 415


async def test_exception_of_an_engine_is_http_424_and_free(service, embed, engine, caplog):
    """The next call tries again."""
    engine.index = lambda path: 1 / 0
    failed = await embed()
    del engine.index
    again = await embed()

    assert (failed.status, failed.json["code"], failed.json["msg"]) == (
        424,
        424,
        "The engine failed.",
    )
    assert again.status == 200
    assert service.account.paid == 1
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("model", ["multimodalembedding@001", "mobileclip"])
async def test_a_picture_is_embedded_as_a_video_of_one_frame(service, send, model):
    """One vector, paid like any other."""
    form = FormData(default_to_multipart=True)
    form.add_field("file", b"1:x", filename="a.png", content_type="image/png")
    form.add_field("model", model)

    reply = await send("/serve/api/v2/embeddings/image", data=form)

    assert (reply.json["code"], len(reply.json["data"]["embedding"])) == ("0000", 1024)
    assert service.account.statement[-1].route == "embeddings.image"


@pytest.mark.parametrize(
    ("name", "model", "told"),
    [("a.txt", "mobileclip", "not of an allowed type"), ("a.png", "other", "not supported")],
)
async def test_a_wrong_picture_or_model_is_refused(service, send, name, model, told):
    """For free."""
    form = FormData(default_to_multipart=True)
    form.add_field("file", b"1:x", filename=name, content_type="image/png")
    form.add_field("model", model)

    reply = await send("/serve/api/v2/embeddings/image", data=form)

    assert (reply.status, service.account.paid) == (400, 0)
    assert told in reply.json["msg"]
