"""Bodies are bounded in every dimension, and a refusal says which limit it is."""

from __future__ import annotations

import gzip
from io import BytesIO

import pytest
from uploading import V1

ROUTES = [f"{V1}/search_clips_by_image", f"{V1}/upload"]
KIND = {"Content-Type": "multipart/form-data; boundary=b"}


def build_body(*fields):
    """Build a multipart body; aiohttp's client refuses to send such large fields."""
    head = '--b\r\nContent-Disposition: form-data; name="{}"\r\n\r\n{}\r\n'
    return BytesIO("".join(head.format(*field) for field in fields).encode() + b"--b--\r\n")


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ([(f"n{number}", "x") for number in range(101)], "At most 100 fields are supported."),
        ([("a", "x" * 2**19), ("b", "x" * 2**19), ("c", "x")], "are together larger than 1 MB."),
        ([("a", "x" * (2**20 + 1))], "The field 'a' is larger than 1 MB."),
    ],
    ids=["many", "long", "one"],
)
async def test_form_with_too_much_text_is_refused(service, send, path, fields, sentence):
    """However it is divided among the fields."""
    reply = await send(path, data=build_body(*fields), headers=KIND)

    assert sentence in reply.json["msg"]
    assert service.account.paid == 0


@pytest.mark.parametrize("path", ROUTES)
async def test_line_without_an_end_is_refused(send, path):
    """aiohttp raises an error of its own for it."""
    reply = await send(path, data=b" " * 2**20, headers=KIND)

    assert reply.json["msg"] == "The multipart body cannot be read."


@pytest.mark.parametrize("path", ROUTES)
async def test_compressed_form_is_refused(send, path):
    """A few kilobytes would hold millions of lines."""
    body = gzip.compress(b"\r\n" * 2**20)

    reply = await send(path, data=body, headers={**KIND, "Content-Encoding": "gzip"})

    assert reply.json["msg"] == "Content-Encoding 'gzip' is not supported."
