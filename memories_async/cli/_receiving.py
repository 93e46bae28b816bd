"""Receiving captions on this machine while a command runs, and going on with it in a later run."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from shlex import quote
from urllib.parse import urlsplit

import click
from attrs import asdict, frozen

from memories_async import Caption, CaptionTask
from memories_async._protocol.network import is_loopback
from memories_async.cli._local import starting
from memories_async.cli._run import Run
from memories_async.cli._settings import Configuration
from memories_async.errors import CallbackTimeout, OutcomeUnknown
from memories_async.ledger import Ledger
from memories_async.receiver import Receiver

port = click.option(
    "--port",
    type=click.IntRange(0, 65535),
    metavar="N",
    help="The port of this machine on which captions are received.",
)
public_url = click.option(
    "--public-url",
    metavar="URL",
    help="Where the service reaches --port: the address of your tunnel or proxy.",
)
timeout = click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    default=600.0,
    show_default=True,
    metavar="SECONDS",
    help="How long a caption is waited for.",
)
store = click.option(
    "--store",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Where callbacks are kept: a file of yours that all programs share, unless given.",
)


@frozen(kw_only=True)
class Reception:
    """Where captions come in, and how long they are waited for."""

    receiver: Receiver
    port: int | None
    """None to receive nothing here, and only look at what other processes receive."""
    timeout: float
    store: Path | None = None
    """Where the user asked to keep callbacks."""

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[int | None]:
        """Receive while the context is open; gives the port."""
        async with AsyncExitStack() as stack:
            stack.callback(self.receiver.close)
            if self.port is None:
                yield None
                return
            with starting(self.port):
                address = await stack.enter_async_context(self.receiver.serve(port=self.port))
            yield address.port

    async def caption_of(self, task: CaptionTask | OutcomeUnknown) -> Caption:
        """Wait for a caption; of a lost submission that stays lost, raise what was lost."""
        try:
            return await self.receiver.wait(task, timeout=self.timeout)
        except CallbackTimeout as error:
            if isinstance(task, OutcomeUnknown):
                raise task from None
            said = f"no callback for task {task.task_id} within {self.timeout:g} s"
            raise CallbackTimeout(said, call=error.call, billed="yes") from None

    def again(self, task: CaptionTask, port: int | None) -> str:
        """Write the command that goes on waiting for *task* when this one has ended."""
        where = "" if self.store is None else f" --store {quote(str(self.store))}"
        here = "" if port is None else f" --port {port}"
        return f"memories-async resume {quote(str(task))}{where}{here}"


def receiver(
    url: str | None, on_port: int | None, configuration: Configuration, kept: Path | Ledger | None
) -> Receiver:
    """Make a receiver, refusing before anything is paid where no callback could reach it."""
    host = urlsplit(configuration.hosts.captions).hostname or ""
    if url is None and not is_loopback(host):
        raise ValueError(
            f"{host} cannot reach this machine by itself: add --public-url URL (a tunnel to --port)"
        )
    if url is not None and not on_port:
        raise ValueError("--public-url needs --port N, the port of this machine that it leads to")
    return Receiver(url or "http://127.0.0.1:0", store=kept)


def show_caption(run: Run, task: CaptionTask | None, caption: Caption) -> None:
    """Show the caption, and what it read and wrote."""
    tokens = None if caption.tokens is None else asdict(caption.tokens)
    run.screen.document({"task_id": task and task.task_id, "text": caption.text, "tokens": tokens})
    run.screen.say(caption.text)
    if tokens is not None:
        run.screen.note(f"{tokens['input']:,} tokens read, {tokens['output']:,} written")
