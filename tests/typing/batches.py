"""Batches as type checkers see them: the key's and the answer's types come from the calls."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import assert_type

from memories_async import (
    Budget,
    Call,
    CaptionTask,
    Client,
    Clip,
    Embedding,
    Ledger,
    Outcome,
    blocking,
    captions,
    clips,
    embeddings,
)
from memories_async.batch import Plan, Progress


def pairs() -> Iterator[tuple[int, Call[CaptionTask]]]:
    """Calls from a generator."""
    yield 1, captions.upload("https://x/v.mp4", user_prompt="u", system_prompt="s")


async def rows() -> AsyncIterator[tuple[bytes, Call[tuple[Clip, ...]]]]:
    """Calls from a database that is awaited."""
    yield b"1", clips.search("q.png", prompt="p", video_no="VI1")


async def awaited(client: Client) -> None:
    """The nightly batch."""
    calls = {"re_1": embeddings.video("re_1")}
    batch = client.batch(calls, ledger=Ledger("run.db"), budget=Budget(calls=5))
    assert_type(await batch.plan(), Plan)
    async with batch as outcomes:
        async for outcome in outcomes:
            assert_type(outcome, Outcome[str, Embedding])
            assert_type(outcome.key, str)
            assert_type(outcome.call, Call[Embedding] | None)
        assert_type(outcomes.progress, Progress)
    async with client.batch(pairs()) as tasks:
        assert_type((await anext(tasks)).result(), CaptionTask)
    async with client.batch(rows(), on_unknown="resend") as found:
        assert_type(await anext(found), Outcome[bytes, tuple[Clip, ...]])


def waited(client: blocking.Client) -> None:
    """The same in blocking code."""
    with client.batch(pairs(), concurrency=4) as outcomes:
        for outcome in outcomes:
            assert_type(outcome, Outcome[int, CaptionTask])
        assert_type(outcomes.stopped, Exception | None)


def narrowed(outcome: Outcome[str, Embedding]) -> None:
    """An answer or an error: what is not None is of its type."""
    assert_type(outcome.answer, Embedding | None)
    if outcome.answer is not None:
        assert_type(outcome.answer.values, tuple[float, ...])
    if outcome.error is not None:
        raise outcome.error
    assert_type(outcome.result(), Embedding)
