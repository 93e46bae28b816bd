"""`memories-async resume`: continue waiting for a caption that was submitted before."""

from __future__ import annotations

from pathlib import Path

import click

from memories_async import Caption, CaptionTask
from memories_async.cli import _receiving
from memories_async.cli._calls import run_async
from memories_async.cli._options import common, raise_usage_errors
from memories_async.cli._receiving import Reception, show_caption
from memories_async.cli._run import CommandRun, pass_run
from memories_async.receiver import Receiver

_EXAMPLES = """\
\b
Examples:
  memories-async resume 8e03075a-2230 --port 8000
  memories-async resume 8e03075a-2230 --store run.db
"""


@click.command(epilog=_EXAMPLES)
@click.argument("task_id")
@_receiving.port_option
@_receiving.timeout_option
@_receiving.store_option
@common
@pass_run
def command(
    run: CommandRun, /, *, task_id: str, port: int | None, timeout: float, store: Path | None
) -> None:
    """Continue waiting for a caption that was submitted before; free.

    TASK_ID is from a `memories-async caption --wait` that ended early, or from a program with a
    receiver. A caption that has arrived meanwhile is shown at once. To receive one that has not,
    give --port, the same port as before; without it, another process must be receiving.
    """
    with raise_usage_errors():
        task = CaptionTask.parse(task_id)
    # The callback's URL was given when the task was submitted; this receiver needs none.
    receiver = Receiver("http://127.0.0.1:0", store=store)
    reception = Reception(receiver=receiver, port=port, timeout=timeout, store=store)
    show_caption(run, task, run_async(wait_again(run, task, reception)))


async def wait_again(run: CommandRun, task: CaptionTask, reception: Reception) -> Caption:
    """Wait for the callback, if the store expects one."""
    receiver = reception.receiver
    if await receiver.find(task) is None:
        receiver.close()
        raise click.UsageError(
            f"{receiver.store} knows no task {task.task_id}: give --store FILE, the file of the "
            "receiver with which it was submitted"
        )
    async with reception.open() as port:
        run.resume_command = reception.resume_command(task, port)
        with run.screen.status("waiting for the caption ..."):
            return await reception.wait(task)
