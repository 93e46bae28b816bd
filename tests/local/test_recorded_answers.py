"""Each answer of the service that was recorded, documented or quoted can be had from this service.

`tests/protocol/test_recorded_answers.py` reads the same answers with our client.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
from attrs import Factory, frozen
from uploading import V1, V2

from memories_async.local import Dialect

FOLDER = Path(__file__).parents[1] / "data" / "answers"
ANSWERS = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}


@frozen(kw_only=True)
class Produced:
    """What lets the service answer in a recorded shape: its dialect, a fault, fields of the request."""

    dialect: Dialect = Factory(Dialect)
    fault: dict | None = None
    fields: dict = Factory(dict)


def _fail(code, **dialect):
    """A refusal with *code*."""
    return Produced(dialect=Dialect(**dialect), fault={"kind": "code", "code": code})


RECORDED_LIST = Produced(dialect=Dialect(text_numbers=True, null_words=True, stem_names=True))
PRODUCED = {
    "asset_meta": Produced(dialect=Dialect(v2_code=200, flags=False)),
    "asset_upload_200": Produced(dialect=Dialect(v2_code=200)),
    "delete_0409": _fail("0409"),
    "delete_0409_busy": _fail("0409"),
    "delete_0429": _fail("0429"),
    "delete_real": Produced(),
    "download_json": _fail("0001"),
    "embed_200": Produced(dialect=Dialect(v2_code=200)),
    "embed_400": Produced(fields={"asset_id": "re_404"}),
    "embed_402": _fail("0402"),
    "embed_429": _fail("0429"),
    "embed_s3": Produced(),
    "err_1024": _fail("1024", flags=False),
    "err_401": _fail("0401"),
    "err_9009": _fail("9009"),
    "err_network": _fail("0001"),
    "err_static": _fail("0001"),
    "err_v2_limit400": _fail("0400"),
    "err_v2_post": _fail("0405"),
    "list_real_all": RECORDED_LIST,
    "list_real_one": RECORDED_LIST,
    "list_v12": RECORDED_LIST,
    "meta_null": Produced(fault={"kind": "null"}),
    "search_empty_null": Produced(dialect=Dialect(empty="null"), fields={"image": b"none"}),
    "search_empty_object": Produced(dialect=Dialect(empty="object"), fields={"image": b"none"}),
    "search_no_prompt": Produced(fields={"prompt": None}),
    "search_s1": Produced(),
    "submit_minus1": _fail("0001"),
    "submit_s2": Produced(),
    "upload_oa": Produced(dialect=Dialect(stem_names=True)),
    "upload_real_short": Produced(dialect=Dialect(short_uploads=True, stem_names=True)),
    "upload_v12": Produced(dialect=Dialect(flags=False, stem_names=True)),
}
VERBATIM = {
    "asset_upload_bare": "a fixture: no code at all",
    "asset_upload_nocode": "quoted: no code",
    "embed_list": "a page for text embeddings, whose data is a list",
    "err_401_http": "one page has this HTTP status, recorded refusals have 200",
    "err_spring404": "the answer of a gateway",
    "err_spring503": "the answer of a gateway",
    "err_v2_0001_200": "quoted: a code of the search host from the embedding host",
    "list_oa": "a page with fields of a camera",
    "list_public_fields": "public videos, which this service has not",
    "list_recorded_curl": "shortened by the one who recorded it",
    "meta_camel_fixture": "a fixture of two fields",
    "meta_fail": "a page of three fields",
    "meta_oa": "a page with fields of a camera",
    "meta_videoStatus": "a fixture: the status under another name",
    "search_camel_text": "quoted: clips of many videos, with their names",
    "search_oa_bucket": "a page with the place in the storage",
    "submit_oa_empty": "a page without the task",
    "upload_0429": "quoted: code and message only",
}
"""Answers in a shape that is not the service's own, and why: a fault `status` sends their body."""


@pytest.fixture
def ask(service, send, search, embed, caption, upload):  # noqa: PLR0917  # fixtures
    """Send a request of the kind that a recorded answer belongs to."""
    video = service.library[0]

    senders = {
        "clips": search,
        "embed": embed,
        "caption": caption,
        "upload": upload,
        "asset": partial(upload, path=f"{V2}/upload"),
        "assetmeta": partial(send, f"{V2}/{video.asset_id}/metadata", method="GET"),
        "meta": partial(send, f"{V1}/get_metadata?video_no={video.video_no}", method="GET"),
        "list": partial(send, f"{V1}/list_videos", document={}),
        "delete": partial(send, f"{V1}/delete_videos", document=[video.video_no]),
        "download": partial(send, f"{V1}/download", document={"video_no": video.video_no}),
    }

    async def ask(call, **fields):
        return await senders[call](**fields)

    return ask


def shape(value):
    """The names and types of *value*; of a list, those of its first item."""
    if isinstance(value, dict):
        return {name: shape(one) for name, one in value.items()}
    if isinstance(value, list):
        return [shape(one) for one in value[:1]]
    return (
        "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value)
    )


def test_the_tables_have_every_answer():
    """Once."""
    assert sorted([*PRODUCED, *VERBATIM]) == sorted(ANSWERS)


@pytest.mark.parametrize("name", PRODUCED)
async def test_the_service_answers_in_the_recorded_shape(service, ask, embed, name):
    """The same HTTP status, code, names and types."""
    answer, produced = ANSWERS[name], PRODUCED[name]
    await embed()  # the length of a video is known once it was looked at
    service.dialect = produced.dialect
    if produced.fault is not None:
        service.faults.add(**produced.fault)

    reply = await ask(answer["call"], **produced.fields)

    assert (reply.status, reply.json["code"]) == (answer["status"], answer["body"]["code"])
    assert shape(reply.json) == shape(answer["body"])
    if "videos" in (answer["body"]["data"] or {}):
        assert all("." not in one["video_name"] for one in reply.json["data"]["videos"])


@pytest.mark.parametrize("name", VERBATIM)
async def test_the_service_sends_any_other_body(service, ask, name):
    """Word for word, with its HTTP status."""
    answer = ANSWERS[name]
    body = json.dumps(answer["body"])
    service.faults.add(kind="status", status=answer["status"], body=body)

    reply = await ask(answer["call"])

    assert (reply.status, reply.json) == (answer["status"], answer["body"])
    assert reply.headers["Content-Type"].startswith("application/json")
