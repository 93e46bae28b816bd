"""The captions of a batch: waited for while it goes on, and written as they come."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TextIO, TypeVar

import click
from attrs import asdict, define, field, frozen

from memories_async import Caption, CaptionTask
from memories_async.batch import Outcome
from memories_async.cli import _receiving
from memories_async.cli._receiving import Reception
from memories_async.cli._settings import Configuration
from memories_async.errors import MemoriesError, OutcomeUnknown
from memories_async.ledger import Ledger
from memories_async.receiver import Receiver

F = TypeVar("F", bound=Callable[..., Any])
Take = Callable[[Outcome[str, Any]], Awaitable[None]]

AT_ONCE = 1000
"""Captions waited for before the batch waits, too: a quarter of an hour's submissions."""
_captions = click.option(
    "--captions",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="For rows without a callback: receive the captions here, on --port, and write them there "
    "as JSON lines.",
)


def here_options(function: F) -> F:
    """Add what says whether captions are received here; see `Here`."""
    return _captions(_receiving.port(_receiving.public_url(_receiving.timeout(function))))


@frozen(kw_only=True)
class Here:
    """Whether and how captions are received here."""

    captions: Path | None
    port: int | None
    public_url: str | None
    timeout: float

    def check(self, *, callback: str | None) -> None:
        """Refuse, as a `ValueError`, what does not go together."""
        if self.captions is None:
            if self.port is not None or self.public_url is not None:
                raise ValueError("--port and --public-url go with --captions")
        elif callback is not None:
            raise ValueError("give either --callback or --captions: a caption comes once")
        elif not self.port:
            raise ValueError("--captions needs --port N: the same command goes on receiving there")

    def received(
        self, configuration: Configuration, ledger: Ledger, *, tell: Callable[[str], None]
    ) -> Captions | None:
        """Make what receives captions, and keeps them in the ledger's file; None if not here."""
        if self.captions is None:
            return None
        receiver = _receiving.receiver(self.public_url, self.port, configuration, ledger)
        reception = Reception(receiver=receiver, port=self.port, timeout=self.timeout)
        return Captions(reception, self.captions, tell)


@define(eq=False)
class Captions:
    """Receives the captions of a batch into a file of JSON lines."""

    reception: Reception
    path: Path
    tell: Callable[[str], None]
    """Told of each caption that fails or does not come."""
    written: int = field(default=0, init=False)
    missing: int = field(default=0, init=False)
    _waiting: int = field(default=0, init=False)

    @property
    def receiver(self) -> Receiver:
        """What a client is to be given."""
        return self.reception.receiver

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[Take]:
        """Receive; gives what is to be told of each outcome. Leaving waits for what is to come."""
        room = asyncio.Semaphore(AT_ONCE)
        with self._file() as file:
            async with self.reception.open(), asyncio.TaskGroup() as group:

                async def take(outcome: Outcome[str, Any]) -> None:
                    task = _task(outcome)
                    if task is not None:
                        await room.acquire()
                        self._waiting += 1
                        group.create_task(self._write(outcome.key, task, file, room))

                yield take
                if self._waiting:
                    self.tell(f"waiting for {self._waiting:,} captions")

    def _file(self) -> TextIO:
        try:
            return self.path.open("w", encoding="utf-8")
        except OSError as error:
            raise click.UsageError(f"--captions: {self.path}: {error.strerror}") from error

    async def _write(
        self, key: str, task: CaptionTask | OutcomeUnknown, file: TextIO, room: asyncio.Semaphore
    ) -> None:
        try:
            caption = await self.reception.caption_of(task)
            print(json.dumps(_line(key, task, caption)), file=file, flush=True)
            self.written += 1
        except MemoriesError as error:
            self.missing += 1
            self.tell(f"{key}: {error.message}")
        finally:
            self._waiting -= 1
            room.release()


def _task(outcome: Outcome[str, Any]) -> CaptionTask | OutcomeUnknown | None:
    """What can be waited for here: a task, or a submission whose reply was lost."""
    if not outcome.call.needs_callback:
        return None  # the row names a callback of its own
    error = outcome.error
    if isinstance(error, OutcomeUnknown) and error.callback is not None:
        return error
    return outcome.answer


def _line(key: str, task: CaptionTask | OutcomeUnknown, caption: Caption) -> dict[str, Any]:
    return {
        "key": key,
        "task_id": task.task_id if isinstance(task, CaptionTask) else None,
        "text": caption.text,
        "tokens": None if caption.tokens is None else asdict(caption.tokens),
    }
