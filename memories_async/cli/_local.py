"""What the commands that run the embedded service share: its engine, its rate, its cache, its errors."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click
import platformdirs
from attrs import frozen

from memories_async._protocol.keys import ENGINE_KEY_VARIABLE
from memories_async.cli._settings import CACHE

if TYPE_CHECKING:
    from memories_async.local.engine.protocol import Engine
    from memories_async.local.state.rate_limits import Rate

F = TypeVar("F", bound=Callable[..., Any])


def cache_folder() -> Path:
    """Return the folder for video indexes: `MEMORIES_CACHE`, or the user's cache folder."""
    given = os.environ.get(CACHE)
    return Path(given) if given else platformdirs.user_cache_path("memories_async")


def pixel_engine(*, time_limit: float = 3600.0, faces: bool = False) -> Engine:
    """Make the engine that computes its answers from pixels, with its index cache."""
    from memories_async.local.engine.pixels import PixelEngine

    return PixelEngine(cache_folder(), time_limit=time_limit, faces=faces)


@frozen(kw_only=True)
class EngineOptions:
    """The values of `--engine` and its settings."""

    kind: Literal["pixels", "fixed", "openai", "onnx"] = "pixels"
    url: str | None = None
    model: str | None = None
    faces: bool = False
    time_limit: float = 3600.0

    def __attrs_post_init__(self) -> None:
        needed = {"openai": {"url", "model"}, "onnx": {"model"}}.get(self.kind, set[str]())
        given = {name for name in ("url", "model") if getattr(self, name) is not None}
        for name in sorted(needed ^ given):
            says = "needs" if name in needed else "takes no"
            raise click.UsageError(f"--engine {self.kind} {says} --engine-{name}")
        if self.faces and self.kind != "pixels":
            raise click.UsageError(f"--engine {self.kind} takes no --faces")

    def build(self) -> Engine:
        """Make the engine; raises `ModuleNotFoundError`, `OSError` or `ValueError`."""
        match self.kind:
            case "pixels":
                return pixel_engine(time_limit=self.time_limit, faces=self.faces)
            case "fixed":
                from memories_async.local.engine.fixed import FixedEngine

                return FixedEngine()
            case "openai":
                from memories_async.local.engine.openai import OpenAIEngine

                return OpenAIEngine(
                    base=pixel_engine(time_limit=self.time_limit),
                    base_url=self.url or "",
                    model=self.model or "",
                    api_key=os.environ.get(ENGINE_KEY_VARIABLE) or None,
                    cache=cache_folder(),
                )
            case "onnx":
                return build_onnx_engine(Path(self.model or ""), time_limit=self.time_limit)


def build_onnx_engine(path: Path, *, time_limit: float = 3600.0) -> Engine:
    """Make the engine whose searches and embeddings come from the ONNX model in *path*."""
    from memories_async.local.engine.onnx import ImageTower, OnnxEngine

    try:
        tower = ImageTower(path=path)
        return OnnxEngine(
            base=pixel_engine(time_limit=time_limit), image=tower, cache=cache_folder()
        )
    except ValueError as error:
        raise ValueError(f"--engine-model: {error}") from error


def engine_options(function: F) -> F:
    """Add `--engine`, its settings, `--faces` and `--time-limit` to a command."""
    kind = click.option(
        "--engine",
        type=click.Choice(["pixels", "fixed", "openai", "onnx"]),
        default="pixels",
        show_default=True,
        metavar="NAME",
        help="What computes the answers: pixels; fixed answers, no computation; openai: captions "
        "from a vision model; onnx: searches and embeddings from an ONNX model.",
    )
    url = click.option(
        "--engine-url",
        metavar="URL",
        help=f"For openai: the endpoint, such as http://host/v1. {ENGINE_KEY_VARIABLE} is its key.",
    )
    model = click.option(
        "--engine-model",
        metavar="NAME",
        help="For openai: the model's name. For onnx: the file of a CLIP image encoder.",
    )
    faces = click.option(
        "--faces",
        is_flag=True,
        help="For pixels: captions compare faces with the pictures of persons (biometric data).",
    )
    limit = click.option(
        "--time-limit",
        type=click.FloatRange(0, min_open=True),
        default=3600.0,
        show_default=True,
        metavar="SECONDS",
        help="The time after which indexing a video is given up.",
    )
    return kind(url(model(faces(limit(function)))))


RequestRate = float | Literal["documented"] | None
"""The value of `--rate`; None for no limit."""


def parse_rate(_: click.Context, parameter: click.Parameter, value: str) -> RequestRate:
    """Parse the value of `--rate`."""
    if value == "none":
        return None
    if value == "documented":
        return "documented"
    try:
        rate = float(value)
    except ValueError:
        rate = 0.0
    if not 0 < rate < float("inf"):
        raise click.BadParameter("must be a number above 0, documented or none", param=parameter)
    return rate


def rate_option(default: str) -> Callable[[F], F]:
    """Add `--rate` to a command."""
    return click.option(
        "--rate",
        callback=parse_rate,
        default=default,
        show_default=True,
        metavar="N",
        help="Requests a second for each kind of call; documented for those of the service's pages, "
        "none for no limit.",
    )


def choose_limits(rate: RequestRate) -> Mapping[str, Rate] | float | None:
    """Return the limits of the embedded service that `--rate` stands for."""
    from memories_async.local.state.rate_limits import DOCUMENTED

    return DOCUMENTED if rate == "documented" else rate


def describe_limits(limits: Mapping[str, Rate]) -> str:
    """Say in a line which limits a service has."""
    rates = {rate.count / rate.per for rate in limits.values()}
    if not rates:
        return "none"
    if len(rates) == 1:
        return f"{rates.pop():g} a second for each kind of call"
    return "as documented: uploads 1 a minute, lists and deletions 5 a second, most others 1"


@contextmanager
def report_start_errors(port: int = 0) -> Generator[None]:
    """Turn the reason why the embedded service, or a receiver, cannot start into a usage error."""
    try:
        yield
    except ModuleNotFoundError as error:
        extras = {"onnxruntime": "onnx", "dlib": "faces", "face_recognition_models": "faces"}
        extra = {**extras, "jinja2": "report", "resvg_py": "report"}.get(error.name or "", "local")
        raise click.UsageError(
            f"this command needs {error.name}: pip install 'memories_async[{extra}]'"
        ) from error
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    except OSError as error:
        where = f"port {port}: " if port else ""
        reason = error.strerror or str(error)
        if port and error.errno == errno.EADDRINUSE:
            # asyncio's own message repeats the address.
            reason = f"{os.strerror(errno.EADDRINUSE)}; choose another with --port N, or 0 for a free one"
        raise click.UsageError(f"{where}{reason}") from error
