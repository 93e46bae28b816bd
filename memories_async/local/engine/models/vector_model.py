"""One ONNX file, run by onnxruntime: the inputs that it takes, and the one output that is a vector."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from attrs import field, frozen

from memories_async.local.engine._cv import Floats, np, unit
from memories_async.local.engine.protocol import EngineFailed

__all__ = ["ModelInput", "VectorModel"]

_TYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
}
_PROJECTED = ("image_embeds", "text_embeds")
"""Outputs of CLIP's exports that lie in the space which both halves share."""
_VECTORS = 2
"""Dimensions of an output that is one vector for each input."""


class _Session(Protocol):
    def get_inputs(self) -> Sequence[Any]: ...

    def get_outputs(self) -> Sequence[Any]: ...

    def run(self, names: list[str], feed: dict[str, Any]) -> Sequence[Any]: ...


@frozen(kw_only=True)
class ModelInput:
    """An input of a model; a size that it leaves open is no number in *shape*."""

    name: str
    kind: str
    """onnxruntime's name of its type, such as `tensor(float)`."""
    shape: tuple[int | str | None, ...]

    def convert(self, value: Any) -> Any:
        """Convert *value* to an array of the input's type."""
        return np.asarray(value, _TYPES[self.kind])


@frozen(kw_only=True)
class VectorModel:
    """A model that makes a vector; `ValueError` where none of its outputs can be one."""

    path: Path
    output: str | None = None
    """Name of the output; by default the only one that is a vector, or the projected one."""
    inputs: tuple[ModelInput, ...] = field(init=False, eq=False)
    chosen: str = field(init=False, eq=False)
    """Name of the output that is used."""
    session: _Session = field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        session = _start_session(self.path)
        inputs = tuple(
            ModelInput(name=one.name, kind=one.type, shape=tuple(one.shape))
            for one in session.get_inputs()
        )
        for one in inputs:
            if one.kind not in _TYPES:
                raise ValueError(f"{self.path.name} takes {one.kind} as {one.name}: export floats")
        object.__setattr__(self, "session", session)
        object.__setattr__(self, "inputs", inputs)
        object.__setattr__(self, "chosen", self._choose_output())

    def run(self, feed: Mapping[str, Any]) -> Floats:
        """Run the model; a vector of length 1. Raises `EngineFailed`."""
        try:
            answer = self.session.run([self.chosen], dict(feed))[0]
        except Exception as error:  # onnxruntime's own errors have no other base class
            reason = str(error).splitlines()[0]
            raise EngineFailed(f"{self.path.name} cannot be run: {reason}") from error
        vector = np.asarray(answer, np.float32)
        if vector.size != max(vector.shape, default=0) or not vector.size:
            raise EngineFailed(
                f"{self.path.name}: the output {self.chosen!r} is no vector, but {vector.shape}; "
                f"output= chooses among {self._list_outputs()}"
            )
        if not np.isfinite(vector).all():
            raise EngineFailed(f"{self.path.name} makes numbers that are not finite")
        return unit(vector.reshape(-1))

    def _choose_output(self) -> str:
        outputs = self.session.get_outputs()
        names = [one.name for one in outputs]
        if self.output is not None:
            if self.output not in names:
                found = self._list_outputs()
                raise ValueError(f"output={self.output!r}: {self.path.name} has {found}")
            return self.output
        vectors = [one.name for one in outputs if len(one.shape) == _VECTORS]
        projected = [name for name in vectors if name in _PROJECTED]
        for candidates in (projected, vectors, names):
            if len(candidates) == 1:
                return str(candidates[0])
        found = self._list_outputs()
        raise ValueError(f"{self.path.name} has several outputs: pass output=, one of {found}")

    def _list_outputs(self) -> str:
        return ", ".join(one.name for one in self.session.get_outputs())


def _start_session(path: Path) -> _Session:
    try:
        runtime = importlib.import_module("onnxruntime")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "an ONNX model needs onnxruntime: pip install 'memories_async[onnx]'",
            name="onnxruntime",
        ) from error
    if not path.is_file():
        raise ValueError(f"no such file: {path}")
    try:
        session: _Session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own errors have no other base class
        raise ValueError(f"{path.name} is no ONNX model that can be loaded: {error}") from error
    return session
