"""Getting the captions of a batch, in the replies or by callback, and writing them to a file."""

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
from memories_async.cli._batch_films import FilmRows
from memories_async.cli._receiving import Reception
from memories_async.cli._screen import count_noun
from memories_async.cli._settings import Configuration
from memories_async.errors import MemoriesError, OutcomeUnknown
from memories_async.ledger import Ledger
from memories_async.receiver import Receiver

F = TypeVar("F", bound=Callable[..., Any])
Await = Callable[[Outcome[str, Any]], Awaitable[None]]

_MOST = 1000
"""Captions awaited at once; the batch pauses at this number."""
_captions_option = click.option(
    "--captions",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the captions to this file as JSON lines; without --sync, those of rows without a "
    "callback, received here, on --port.",
)
_long_option = click.option(
    "--long",
    "is_long",
    is_flag=True,
    help="Cut films over 300 s or 20 MB into pieces; each is charged as one caption.",
)
_sync_option = click.option(
    "--sync",
    is_flag=True,
    help="Get each caption in the reply, and record it in the ledger: no callback is needed.",
)


def caption_options(function: F) -> F:
    """Add the options of `CaptionOptions` to a command."""
    received = _receiving.public_url_option(_receiving.timeout_option(function))
    return _sync_option(_captions_option(_long_option(_receiving.port_option(received))))


@frozen(kw_only=True)
class CaptionOptions:
    """Whether the captions come in the replies, are received by the command, or go elsewhere."""

    sync: bool
    captions: Path | None
    is_long: bool
    port: int | None
    public_url: str | None
    timeout: float

    def check(self, *, callback: str | None) -> None:
        """Raise `ValueError` for options that exclude one another."""
        if self.is_long and self.captions is None:
            raise ValueError("--long needs --captions FILE, for the joined caption of each film")
        if self.sync:
            if callback is not None or self.port is not None or self.public_url is not None:
                raise ValueError("--callback, --port and --public-url do not go with --sync")
        elif self.captions is None:
            if self.port is not None or self.public_url is not None:
                raise ValueError("--port and --public-url go with --captions")
        elif callback is not None:
            raise ValueError("give either --callback or --captions: each caption is sent once")
        elif not self.port:
            raise ValueError("--captions needs --port N, on which a later run receives the rest")

    def make_writer(
        self,
        configuration: Configuration,
        ledger: Ledger,
        *,
        films: FilmRows | None,
        report: Callable[[str], None],
    ) -> CaptionWriter | None:
        """Make what writes the captions, and receives them without --sync; None without --captions."""
        if self.captions is None:
            return None
        if self.sync:
            return CaptionWriter(None, self.captions, films, report)
        receiver = _receiving.make_receiver(self.public_url, self.port, configuration, ledger)
        reception = Reception(receiver=receiver, port=self.port, timeout=self.timeout)
        return CaptionWriter(reception, self.captions, films, report)


@define(eq=False)
class CaptionWriter:
    """Waits for the captions of a batch, and writes each as a JSON line."""

    reception: Reception | None
    """None where the captions are in the replies."""
    path: Path
    films: FilmRows | None
    """Joins the captions of films that are captioned in pieces; None where there are none."""
    report: Callable[[str], None]
    """Called with a message for each caption that fails or does not arrive."""
    written: int = field(default=0, init=False)
    missing: int = field(default=0, init=False)
    _waiting: int = field(default=0, init=False)

    @property
    def receiver(self) -> Receiver | None:
        """The receiver that the client needs, if any."""
        return None if self.reception is None else self.reception.receiver

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[Await]:
        """Receive; yields what to call with each outcome. Leaving waits for the captions."""
        slots = asyncio.Semaphore(_MOST)
        try:
            file = self.path.open("w", encoding="utf-8")
        except OSError as error:
            raise click.UsageError(f"--captions: {self.path}: {error.strerror}") from error
        with file:
            if self.reception is None:

                async def write_caption(outcome: Outcome[str, Any]) -> None:
                    if isinstance(outcome.answer, Caption):
                        self._write(outcome.key, None, outcome.answer, file)
                    else:
                        self._give_up(outcome.key, outcome.error, file)

                yield write_caption
                return
            reception = self.reception
            async with reception.open(), asyncio.TaskGroup() as group:

                async def await_caption(outcome: Outcome[str, Any]) -> None:
                    task = find_task(outcome)
                    if task is None:
                        self._give_up(outcome.key, outcome.error, file)
                        return
                    await slots.acquire()
                    self._waiting += 1
                    waiting = self._wait(reception, outcome.key, task, file)
                    group.create_task(waiting).add_done_callback(lambda _: slots.release())

                yield await_caption
                if self._waiting:
                    self.report(f"waiting for {count_noun(self._waiting, 'caption')}")

    async def _wait(
        self, reception: Reception, key: str, task: CaptionTask | OutcomeUnknown, file: TextIO
    ) -> None:
        """Wait for one caption, and write it."""
        try:
            caption = await reception.wait(task)
            task_id = task.task_id if isinstance(task, CaptionTask) else None
            self._write(key, task_id, caption, file)
        except MemoriesError as error:
            self.missing += 1
            self.report(f"{key}: {error.message}")
            self._give_up(key, error, file)
        finally:
            self._waiting -= 1

    def _write(self, key: str, task_id: str | None, caption: Caption, file: TextIO) -> None:
        if self.films is not None and key in self.films.pieces:
            self._add_piece(key, caption, file)
            return
        line = {
            "key": key,
            "task_id": task_id,
            "tag": caption.tag,
            "text": caption.text,
            "tokens": None if caption.tokens is None else asdict(caption.tokens),
        }
        self._write_line(line, file)

    def _give_up(self, key: str, error: Exception | None, file: TextIO) -> None:
        """Note that a piece has no caption: the others of its film are joined without it."""
        if self.films is not None and key in self.films.pieces:
            self._add_piece(key, error, file)

    def _add_piece(self, key: str, answer: Caption | Exception | None, file: TextIO) -> None:
        assert self.films is not None
        film, long = self.films.add(key, answer)
        if long is not None and long.text:
            self._write_line({"key": film, "task_id": None, **long.to_dict()}, file)

    def _write_line(self, line: dict[str, Any], file: TextIO) -> None:
        print(json.dumps(line), file=file, flush=True)
        self.written += 1


def find_task(outcome: Outcome[str, Any]) -> CaptionTask | OutcomeUnknown | None:
    """Return what to wait for: a task, or a submission whose reply was lost; None for neither."""
    if outcome.call is None or not outcome.call.needs_callback:
        return None  # the row has its own callback
    error = outcome.error
    if isinstance(error, OutcomeUnknown) and error.callback is not None:
        return error
    return outcome.answer
