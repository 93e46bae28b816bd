"""`memories-async resume`: go on waiting for a caption that was submitted before."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from memories_async import Caption, CaptionTask
from memories_async.cli import _receiving
from memories_async.cli._options import common
from memories_async.cli._receiving import Reception, show_caption
from memories_async.cli._run import Run, arguments, pass_run
from memories_async.receiver import Receiver

_EXAMPLES = """\
\b
Examples:
  memories-async resume 8e03075a-2230 --port 8000
  memories-async resume 8e03075a-2230 --store run.db --timeout 3600
"""
_ANY = "http://127.0.0.1:0"
"""No callback is asked for here: those that come were given their URL before."""


@click.command(epilog=_EXAMPLES)
@click.argument("task_id")
@_receiving.port
@_receiving.timeout
@_receiving.store
@common
@pass_run
def command(
    run: Run, /, *, task_id: str, port: int | None, timeout: float, store: Path | None
) -> None:
    """Go on waiting for a caption that was submitted before; free.

    For a `memories-async caption --wait` that ended too early, or for a program with a receiver.
    What has come meanwhile is shown at once. What is still to come is received on --port, which must
    be the port of before; without it, some other process must be receiving.
    """
    with arguments():
        task = CaptionTask.parse(task_id)
    reception = Reception(
        receiver=Receiver(_ANY, store=store), port=port, timeout=timeout, store=store
    )
    show_caption(run, task, asyncio.run(_resumed(run, task, reception)))


async def _resumed(run: Run, task: CaptionTask, reception: Reception) -> Caption:
    await _check(task, reception.receiver)
    async with reception.open() as port:
        run.again = reception.again(task, port)
        with run.screen.waiting("waiting for the caption ..."):
            return await reception.caption_of(task)


async def _check(task: CaptionTask, receiver: Receiver) -> None:
    """Refuse a task that the store does not know: no callback for it is expected."""
    if await receiver.find(task) is None:
        receiver.close()
        raise click.UsageError(
            f"{receiver.store} knows no task {task.task_id}: name the file of the receiver that it was "
            "submitted with by --store"
        )
