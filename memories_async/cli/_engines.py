"""`--engine`: what computes the embedded service's answers, with the settings that each needs."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click
from attrs import frozen

from memories_async._protocol.keys import ENGINE_KEY_VARIABLE
from memories_async.cli._local import cache_folder, pixel_engine

if TYPE_CHECKING:
    from memories_async.local.engine.protocol import Engine

F = TypeVar("F", bound=Callable[..., Any])


@frozen(kw_only=True)
class EngineWish:
    """Which engine is wished for; `engine` makes it."""

    kind: Literal["pixels", "fixed", "openai", "onnx"] = "pixels"
    url: str | None = None
    model: str | None = None

    def __attrs_post_init__(self) -> None:
        needed = {"openai": {"url", "model"}, "onnx": {"model"}}.get(self.kind, set[str]())
        given = {name for name in ("url", "model") if getattr(self, name) is not None}
        for name in sorted(needed ^ given):
            says = "needs" if name in needed else "takes no"
            raise click.UsageError(f"--engine {self.kind} {says} --engine-{name}")

    def engine(self) -> Engine:
        """Make the engine; raises `ModuleNotFoundError`, `OSError` or `ValueError`."""
        if self.kind == "fixed":
            from memories_async.local.engine.fixed import FixedEngine

            return FixedEngine()
        if self.kind == "openai":
            return self._openai()
        return self._onnx() if self.kind == "onnx" else pixel_engine()

    def _openai(self) -> Engine:
        from memories_async.local.engine.openai import OpenAIEngine

        return OpenAIEngine(
            base=pixel_engine(),
            base_url=self.url or "",
            model=self.model or "",
            api_key=os.environ.get(ENGINE_KEY_VARIABLE) or None,
            cache=cache_folder(),
        )

    def _onnx(self) -> Engine:
        from memories_async.local.engine.onnx import ImageTower, OnnxEngine

        path = Path(self.model or "")
        if not path.is_file():
            raise ValueError(f"--engine-model: no such file: {path}")
        try:
            tower = ImageTower(path=path)
        except ModuleNotFoundError:
            raise
        except Exception as error:  # the runtime's own kinds have nothing else in common
            raise ValueError(f"--engine-model: {path.name} is no ONNX model: {error}") from error
        return OnnxEngine(base=pixel_engine(), image=tower, cache=cache_folder())


def engine_options(function: F) -> F:
    """Add `--engine` and its settings to a command.

    They arrive as `engine`, `engine_url` and `engine_model`.
    """
    kind = click.option(
        "--engine",
        type=click.Choice(["pixels", "fixed", "openai", "onnx"]),
        default="pixels",
        show_default=True,
        help="What answers: the pixels; fixed answers; a vision model's captions; an ONNX model.",
    )
    url = click.option(
        "--engine-url",
        metavar="URL",
        help=f"For openai: the endpoint, such as http://host/v1. Its key: {ENGINE_KEY_VARIABLE}.",
    )
    model = click.option(
        "--engine-model",
        metavar="NAME",
        help="For openai the model's name; for onnx the file of a CLIP image encoder.",
    )
    return kind(url(model(function)))
