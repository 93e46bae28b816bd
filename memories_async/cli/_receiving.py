"""Receiving captions on this machine while a command runs, and continuing in a later run."""

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
from memories_async.cli._local import report_start_errors
from memories_async.cli._options import make_timeout_option
from memories_async.cli._run import CommandRun
from memories_async.cli._settings import Configuration
from memories_async.errors import CallbackTimeout, OutcomeUnknown
from memories_async.ledger import Ledger
from memories_async.receiver import Receiver

port_option = click.option(
    "--port",
    type=click.IntRange(0, 65535),
    metavar="N",
    help="The port of this machine on which captions are received.",
)
public_url_option = click.option(
    "--public-url",
    metavar="URL",
    help="The address at which the service reaches --port: your tunnel or reverse proxy.",
)
timeout_option = make_timeout_option(600.0, "How long to wait for a caption.")
store_option = click.option(
    "--store",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The file of received callbacks.  [default: one file for all programs of the user]",
)


@frozen(kw_only=True)
class Reception:
    """A receiver, the port on which it listens, and how long to wait for a caption."""

    receiver: Receiver
    port: int | None
    """None to listen nowhere, and wait for what other processes receive."""
    timeout: float
    store: Path | None = None
    """The value of `--store`."""

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[int | None]:
        """Receive while the context is open; yields the port."""
        async with AsyncExitStack() as stack:
            stack.callback(self.receiver.close)
            if self.port is None:
                yield None
                return
            with report_start_errors(self.port):
                address = await stack.enter_async_context(self.receiver.serve(port=self.port))
            yield address.port

    async def wait(self, task: CaptionTask | OutcomeUnknown) -> Caption:
        """Wait for a caption. Raises the lost submission where its callback does not come either."""
        try:
            return await self.receiver.wait(task, timeout=self.timeout)
        except CallbackTimeout as error:
            if isinstance(task, OutcomeUnknown):
                raise task from None
            message = f"no callback for task {task.task_id} within {self.timeout:g} s"
            raise CallbackTimeout(message, call=error.call, billed="yes") from None

    def resume_command(self, task: CaptionTask, port: int | None) -> str:
        """Write the command that continues to wait for *task* after this one has ended."""
        where = "" if self.store is None else f" --store {quote(str(self.store))}"
        here = "" if port is None else f" --port {port}"
        return f"memories-async resume {quote(str(task))}{where}{here}"


def make_receiver(
    public_url: str | None,
    port: int | None,
    configuration: Configuration,
    store: Path | Ledger | None,
) -> Receiver:
    """Make a receiver. Raises `ValueError` where no callback could reach it, before any charge."""
    host = urlsplit(configuration.hosts.captions).hostname or ""
    if public_url is None and not is_loopback(host):
        raise ValueError(
            f"{host} cannot reach this machine: add --public-url URL, a tunnel to --port"
        )
    if public_url is not None and not port:
        raise ValueError("--public-url needs --port N, the port of this machine that it leads to")
    return Receiver(public_url or "http://127.0.0.1:0", store=store)


def show_caption(run: CommandRun, task: CaptionTask | None, caption: Caption) -> None:
    """Show the caption and its tokens."""
    tokens = None if caption.tokens is None else asdict(caption.tokens)
    run.screen.document(
        {
            "task_id": task and task.task_id,
            "tag": caption.tag,
            "text": caption.text,
            "tokens": tokens,
        }
    )
    run.screen.say(caption.text)
    if tokens is not None:
        run.screen.note(f"{tokens['input']:,} tokens read, {tokens['output']:,} written")
