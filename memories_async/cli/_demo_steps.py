"""The demonstration's three calls, each with its answer or refusal, its time and its cost."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

import click
from attrs import define, frozen

from memories_async import Caption, Client, Clip, Embedding
from memories_async.cli._film import Cut, cut, middle
from memories_async.errors import CaptionFailed, Refused
from memories_async.receiver import Receiver

if TYPE_CHECKING:
    from memories_async.local import LocalService, LocalVideo
    from memories_async.local.engine.protocol import Engine, Facts

T = TypeVar("T")
PROMPT = "the whole picture"
_PATIENCE = 300.0


@frozen(kw_only=True)
class Scene:
    """What the demonstration works on."""

    video: LocalVideo
    facts: Facts
    cut: Cut
    indexed: float
    """Seconds that indexing took; next to none where it was done before."""


@frozen(kw_only=True)
class Step(Generic[T]):
    """What one call came to."""

    call: str
    seconds: float
    points: int
    answer: T | None = None
    refusal: str | None = None
    """Why there is no answer."""


@frozen(kw_only=True)
class Findings:
    """What all calls came to."""

    search: Step[tuple[Clip, ...]]
    caption: Step[Caption]
    embedding: Step[Embedding]

    @property
    def steps(self) -> tuple[Step[tuple[Clip, ...]] | Step[Caption] | Step[Embedding], ...]:
        """The three in their order."""
        return self.search, self.caption, self.embedding


def prepared(service: LocalService, engine: Engine, folder: Path) -> Scene:
    """Index the service's video, and cut a picture from the middle of its longest scene."""
    from memories_async.local.engine.protocol import EngineError

    (video,) = service.library
    begun = time.perf_counter()
    try:
        # The engine keeps the index on disk, where the service will find it.
        facts = engine.index(video.path).facts
    except EngineError as error:
        raise click.UsageError(f"{video.path.name}: {error.reason}") from error
    indexed = time.perf_counter() - begun
    picture = cut(video.path, at=middle(facts), folder=folder)
    return Scene(video=video, facts=facts, cut=picture, indexed=indexed)


@define(eq=False, kw_only=True)
class Stage:
    """A client before a service."""

    client: Client
    service: LocalService
    receiver: Receiver
    scene: Scene

    async def search(self) -> Step[tuple[Clip, ...]]:
        """Look for the picture in the video it was cut from."""
        return await self._step(
            "clips.search",
            lambda: self.client.clips.search(
                self.scene.cut.picture, prompt=PROMPT, video_no=self.scene.video.video_no
            ),
        )

    async def caption(self) -> Step[Caption]:
        """Have the video described, the answer coming by callback."""
        return await self._step("captions.upload_file", self._captioned)

    async def _captioned(self) -> Caption:
        task = await self.client.captions.upload_file(
            self.scene.video.path,
            user_prompt="Summarize what happens in the video.",
            system_prompt="You are a video understanding system that describes what it sees.",
        )
        return await self.receiver.wait(task, timeout=_PATIENCE)

    async def embed(self) -> Step[Embedding]:
        """Embed the whole video."""
        return await self._step(
            "embeddings.video",
            lambda: self.client.embeddings.video(self.scene.video.asset_id),
        )

    async def _step(self, call: str, send: Callable[[], Awaitable[T]]) -> Step[T]:
        spent, begun = self.service.account.points_spent, time.perf_counter()
        answer, refusal = None, None
        try:
            answer = await send()
        except (Refused, CaptionFailed) as error:
            refusal = error.message
        except ValueError as error:
            # The client's own check, which knows the page's limits: nothing was sent.
            refusal = f"not sent: {error}"
        return Step(
            call=call,
            seconds=time.perf_counter() - begun,
            points=self.service.account.points_spent - spent,
            answer=answer,
            refusal=refusal,
        )
