"""Flows of several calls, listings and callbacks as type checkers see them, awaited and waited for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import assert_type

from memories_async import (
    Asset,
    Caption,
    CaptionTask,
    Client,
    Clip,
    Embedding,
    Person,
    Receiver,
    Tokens,
    Video,
    blocking,
    embeddings,
)

FILM = Path("film.mp4")
PEOPLE = (Person("Ann", image=b"x"),)


async def awaited() -> None:
    """The web application."""
    receiver = Receiver("http://127.0.0.1:0")
    async with receiver.serve() as address, Client(receiver=receiver) as client:
        assert_type(address.url, str)
        asked = client.captions.caption("https://x/v.mp4", user_prompt="u", system_prompt="s")
        assert_type(await asked, Caption)
        caption = await client.captions.caption_file(
            FILM, user_prompt="u", system_prompt="s", persons=PEOPLE, timeout=None
        )
        assert_type(caption, Caption)
        assert_type(caption.tokens, Tokens | None)
        assert_type(await receiver.wait(CaptionTask("8e03"), timeout=5), Caption)
        assert_type(await client.videos.add(FILM, progress=lambda sent, size: None), Video)
        assert_type(await client.videos.wait("VI1", timeout=60), Video)
        assert_type(client.videos.list(), AsyncIterator[Video])
        assert_type(await client.videos.metadata("VI1"), Video | None)
        assert_type(await client.videos.reconcile(FILM), Video | None)
        assert_type(await client.videos.delete(["VI1"]), None)
        assert_type(await client.assets.add(FILM, filename="holiday.mp4"), Asset)
        assert_type(await client.assets.wait("re_1"), Asset)
        assert_type(await client.assets.download("re_1", to="film.mp4"), int)
        assert_type(
            await client.clips.search_file("q.png", video=FILM, prompt="p"), tuple[Clip, ...]
        )
        assert_type(await client.embeddings.video_file(FILM, model="m"), Embedding)
        assert_type(
            await client.settle(embeddings.video("re_1"), answer=Embedding([1.0], model="m")), bool
        )


def waited() -> None:
    """Legacy code."""
    with blocking.Client(receiver=Receiver("http://127.0.0.1:0")) as client:
        caption = client.captions.caption(
            "https://x/v.mp4", user_prompt="u", system_prompt="s", thinking=True
        )
        assert_type(caption, Caption)
        assert_type(client.captions.caption_file(FILM, user_prompt="u", system_prompt="s"), Caption)
        assert client.receiver is not None
        assert_type(client.receiver.wait("8e03", timeout=5), Caption)
        assert_type(client.videos.add(FILM, fresh=True), Video)
        assert_type(client.videos.wait("VI1"), Video)
        assert_type(client.videos.list(size=10), Iterator[Video])
        assert_type(client.videos.metadata("VI1"), Video | None)
        assert_type(client.videos.find(FILM), Video | None)
        assert_type(client.assets.add(b"film"), Asset)
        assert_type(client.assets.wait("re_1", interval=2), Asset)
        assert_type(client.clips.search_file(b"x", video=FILM, prompt="p"), tuple[Clip, ...])
        assert_type(client.embeddings.video_file(FILM), Embedding)


async def _length(client: Client) -> int:
    """Embed a film; a flow of one's own."""
    return len(await client.embeddings.video_file(FILM))


def run(client: blocking.Client) -> None:
    """A flow of one's own in blocking code."""
    assert_type(client.run(_length), int)
    assert_type(client.run(lambda awaited: awaited.embeddings.video("re_1")), Embedding)
