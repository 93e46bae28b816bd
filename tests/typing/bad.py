"""What type checkers refuse: each ignore names its error, and one that is not needed is an error."""

from __future__ import annotations

from memories_async import (
    Client,
    Clip,
    Embedding,
    Outcome,
    Policy,
    Receiver,
    blocking,
    clips,
    embeddings,
)


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


async def flows(client: Client, receiver: Receiver) -> None:
    """Mistakes with flows and listings."""
    # Prompts are asked for by flows, too.
    await client.captions.caption("https://x/v.mp4", user_prompt="u")  # type: ignore[call-arg]
    # A caption that is waited for here takes no callback.
    await client.captions.caption_file("v.mp4", user_prompt="u", system_prompt="s", callback="x")  # type: ignore[call-arg]
    await client.clips.search_file("q.png", prompt="p")  # type: ignore[call-arg]
    await client.videos.wait(7)  # type: ignore[arg-type]
    # A listing is gone through with `async for`, not awaited.
    await client.videos.list()  # type: ignore[misc]
    # It may be unknown to the service.
    (await client.assets.metadata("re_1")).ready  # type: ignore[union-attr]  # noqa: B018
    # Not awaited, it is no caption yet.
    receiver.wait("8e03").text  # type: ignore[attr-defined]  # noqa: B018
    client.receiver.wait("8e03")  # type: ignore[union-attr]


def batches(client: blocking.Client, outcome: Outcome[str, Embedding]) -> None:
    """Mistakes with batches."""
    # Whether there is an answer must be looked at first.
    outcome.answer.values  # type: ignore[union-attr]  # noqa: B018
    client.batch({"re_1": "re_1"})  # type: ignore[arg-type]
    client.batch({"re_1": embeddings.video("re_1")}, on_unknown="retry")  # type: ignore[arg-type]
    # What is run is given the asynchronous client.
    client.run(lambda awaited: awaited.batch({}))  # type: ignore[arg-type,return-value]
