"""A bar for an upload, where somebody is looking."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.progress import TransferSpeedColumn as SpeedColumn

from memories_async._protocol.call import Progress as Told
from memories_async.cli._screen import Screen, clean


@contextmanager
def uploading(screen: Screen, name: str) -> Generator[Told | None]:
    """Show how far the upload of the file called *name* is; gives what the upload is to tell."""
    if screen.json or not screen.err.is_terminal:
        yield None
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        *(BarColumn(), DownloadColumn(), SpeedColumn(), TimeRemainingColumn()),
    )
    with Progress(*columns, console=screen.err, transient=True) as bar:
        task = bar.add_task(clean(name), total=None)

        def told(sent: int, size: int) -> None:
            bar.update(task, completed=sent, total=size)

        yield told
