"""What type checkers refuse: each ignore names its error, and one that is not needed is an error."""

from __future__ import annotations

from memories_async import Client, Clip, Policy, blocking, clips, embeddings


async def awaited(client: Client) -> None:
    """Mistakes in asynchronous code."""
    # A prompt must be given, and by name.
    await client.clips.search("q.png", video_no="VI1")  # type: ignore[call-arg]
    await client.clips.search("q.png", "p", "VI1")  # type: ignore[call-arg]
    # A number is no picture.
    await client.clips.search(7, prompt="p", video_no="VI1")  # type: ignore[arg-type]
    # Not awaited, it is no answer yet.
    client.embeddings.video("re_1").values  # type: ignore[attr-defined]  # noqa: B018
    # A policy's fields are known.
    client.with_policy(patience=1)  # type: ignore[call-arg]
    await client.send(clips.search)  # type: ignore[arg-type]


def waited(client: blocking.Client, clip: Clip) -> None:
    """Mistakes in blocking code."""
    # Values are frozen.
    clip.score = 1.0  # type: ignore[misc]
    # Settings are named.
    Policy(3)  # type: ignore[call-arg]
    client.embeddings.video(asset="re_1")  # type: ignore[call-arg]
    embeddings.video(7)  # type: ignore[arg-type]
