"""What users write, as type checkers see it: both clients' methods give the types of the pages."""

from __future__ import annotations

from pathlib import Path
from typing import assert_type

from memories_async import (
    Call,
    CaptionTask,
    Client,
    Clip,
    Embedding,
    Hosts,
    Limit,
    Limits,
    Person,
    Policy,
    blocking,
    captions,
    clips,
    embeddings,
)
from memories_async.errors import Billed, MemoriesError

assert_type(clips.search("q.png", prompt="p", video_no="VI1"), Call[tuple[Clip, ...]])
assert_type(embeddings.video("re_1"), Call[Embedding])
assert_type(
    captions.upload("https://x/v.mp4", user_prompt="u", system_prompt="s"), Call[CaptionTask]
)


async def awaited() -> None:
    """The web application."""
    async with Client(
        api_key="local-x",
        hosts=Hosts.at("http://localhost:1"),
        policy=Policy(attempts=2),
        limits=Limits(search=Limit(1, per=60.0, concurrency=2)),
    ) as client:
        assert_type(client, Client)
        assert_type(
            await client.clips.search(Path("q.png"), prompt="p", video_no="VI1"),
            tuple[Clip, ...],
        )
        assert_type(
            await client.captions.upload_file(
                b"film", user_prompt="u", system_prompt="s", persons=[Person("Ann", image=b"x")]
            ),
            CaptionTask,
        )
        assert_type(await client.embeddings.video("re_1", model="m"), Embedding)
        assert_type(await client.send(embeddings.video("re_1")), Embedding)
        assert_type(client.with_policy(attempts=1, deadline=None), Client)
        assert_type(client.with_options(api_key="local-y", ledger=None), Client)


def waited() -> None:
    """Legacy code."""
    with blocking.Client(api_key="local-x") as client:
        assert_type(client, blocking.Client)
        with Path("q.png").open("rb") as file:
            found = client.clips.search(file, prompt="p", video_no="VI1", unique_id="mine")
        assert_type(found, tuple[Clip, ...])
        assert_type(found[0].score, float)
        assert_type(
            client.captions.upload("https://x", user_prompt="u", system_prompt="s"), CaptionTask
        )
        assert_type(client.embeddings.video("re_1").values, tuple[float, ...])
        assert_type(client.send(embeddings.video("re_1")), Embedding)
        assert_type(client.with_policy(resend_unknown=True), blocking.Client)
        assert_type(client.with_options(account="team"), blocking.Client)


def failed(error: MemoriesError) -> None:
    """What every error answers."""
    assert_type(error.billed, Billed)
    assert_type(error.retry_after, float | None)
