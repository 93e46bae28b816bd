"""What the commands that run the embedded service share: its import, its cache, its failures."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from memories_async.cli._settings import CACHE

if TYPE_CHECKING:
    from memories_async.local.engine.protocol import Engine

F = TypeVar("F", bound=Callable[..., Any])


def cache_folder() -> Path:
    """Where indexes of videos are kept: `MEMORIES_CACHE`, or the user's own cache folder."""
    given = os.environ.get(CACHE)
    if given:
        return Path(given)
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "memories_async"


def pixel_engine() -> Engine:
    """Make the engine that looks at pixels and keeps what it saw."""
    from memories_async.local.engine.pixels import PixelEngine

    return PixelEngine(cache_folder())


def rate_option(default: str) -> Callable[[F], F]:
    """Add `--rate` to a command, as *default* where it is not given."""
    return click.option(
        "--rate",
        callback=_rate,
        default=default,
        show_default=True,
        metavar="N",
        help="Requests a second for each kind of call, or none for no limit.",
    )


def _rate(_: click.Context, parameter: click.Parameter, value: str) -> float | None:
    if value == "none":
        return None
    try:
        rate = float(value)
    except ValueError:
        rate = 0.0
    if not 0 < rate < float("inf"):
        raise click.BadParameter("must be a number above 0, or none", param=parameter)
    return rate


@contextmanager
def starting(port: int = 0) -> Generator[None]:
    """Say in a usage error why the embedded service cannot start."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise click.UsageError(_missing(error)) from error
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    except OSError as error:
        where = f"port {port}: " if port else ""
        raise click.UsageError(f"{where}{error.strerror or error}") from error


def _missing(error: ModuleNotFoundError) -> str:
    extra = "onnx" if error.name == "onnxruntime" else "local"
    return f"this command needs {error.name}: pip install 'memories_async[{extra}]'"
