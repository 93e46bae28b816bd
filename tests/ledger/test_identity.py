"""What makes two calls the same: arguments and content, and nothing about a file but its bytes."""

from __future__ import annotations

import io
import mimetypes

import callers
from attrs import evolve
from samples import ACCEPTED, FOUND
from servers import answer, serving

from memories_async import captions, clips
from memories_async._protocol.call import Form, Part, identify
from memories_async.media import prepare_image

ARGUMENTS = {"user_prompt": "a", "system_prompt": "b", "callback": "https://example.com/cb"}
JPEG = b"\xff\xd8\xff" + bytes(40)


def name_file(tmp_path, name, content):
    """Write a file called *name*."""
    path = tmp_path / name
    path.write_bytes(content)
    return path


async def test_one_film_under_many_names_is_paid_once(ledger, tmp_path):
    """Its name, its extension and the kind of source do not matter."""
    film = b"a film"
    paths = [name_file(tmp_path, name, film) for name in ("clip.mov", "renamed.MOV", "clip.mp4")]
    async with serving(answer(ACCEPTED)) as server:
        async with callers.patient_client(server.url, ledger=ledger) as client:
            with paths[0].open("rb") as opened:
                for source in (*paths, film, io.BytesIO(film), opened):
                    await client.send(captions.upload_file(source, **ARGUMENTS))

        assert server.requests == 1


async def test_a_picture_with_a_wrong_extension_is_paid_once(ledger, tmp_path):
    """A JPEG that is called .png is the same JPEG."""
    sources = [JPEG, name_file(tmp_path, "x.jpg", JPEG), name_file(tmp_path, "x.png", JPEG)]
    async with serving(answer(FOUND)) as server:
        async with callers.patient_client(server.url, ledger=ledger) as client:
            for source in sources:
                await client.send(clips.search(source, prompt="a", video_no="VI1"))

        assert server.requests == 1


async def test_the_systems_table_of_media_types_does_not_matter(ledger, tmp_path, monkeypatch):
    """Another machine gives the same extension another type."""
    path = name_file(tmp_path, "clip.mp4", b"a film")
    async with serving(answer(ACCEPTED)) as server:
        async with callers.patient_client(server.url, ledger=ledger) as client:
            await client.send(captions.upload_file(path, **ARGUMENTS))
            monkeypatch.setattr(mimetypes, "guess_type", lambda _: ("video/x-other", None))
            await client.send(captions.upload_file(path, **ARGUMENTS))

        assert server.requests == 1


async def test_another_content_or_argument_is_another_call(ledger, tmp_path):
    """Under the same name."""
    async with serving(answer(FOUND)) as server:
        async with callers.patient_client(server.url, ledger=ledger) as client:
            for content, prompt in ((JPEG, "a"), (JPEG + b"x", "a"), (JPEG, "b")):
                path = name_file(tmp_path, "x.jpg", content)
                await client.send(clips.search(path, prompt=prompt, video_no="VI1"))

        assert server.requests == 3


async def test_a_text_that_looks_like_a_files_hash_is_no_file(ledger):
    """Text and file of one part never have the same identity."""
    call = clips.search(JPEG, prompt="a", video_no="VI1")
    picture = prepare_image("image", JPEG, name="x", max_size=None)
    bodies = [Form((Part("file", content),)) for content in (picture, picture.digest())]

    assert len({identify(evolve(call, body=body))[0] for body in bodies}) == 2
