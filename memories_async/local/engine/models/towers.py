"""The two halves of an image-text model, run by onnxruntime from the files that a user brings."""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import attrs
from attrs import field, frozen

from memories_async.local.engine._cv import Floats, Picture, cv2, np, unit
from memories_async.local.engine.content_cache import hash_content

__all__ = ["ImageTower", "TextTower"]

_USUAL_SIDE = 224
_VECTORS = 2
"""Dimensions of an output that is one vector for each input."""


class _Session(Protocol):
    def get_inputs(self) -> Sequence[Any]: ...

    def get_outputs(self) -> Sequence[Any]: ...

    def run(self, names: list[str], feed: dict[str, Any]) -> Sequence[Any]: ...


def _session(path: Path) -> _Session:
    try:
        runtime = importlib.import_module("onnxruntime")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "an ONNX model needs onnxruntime: pip install 'memories_async[onnx]'",
            name="onnxruntime",
        ) from error
    session: _Session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session


def _vector(session: _Session, given: Any) -> Floats:
    """Run the model on *given*; of several outputs take the one that is a vector, at length 1."""
    outputs = session.get_outputs()
    pooled = next((one for one in outputs if len(one.shape) == _VECTORS), outputs[0])
    found = session.run([pooled.name], {session.get_inputs()[0].name: given})[0]
    return unit(np.asarray(found, np.float32).reshape(-1))


# Not slotted: the fingerprint is kept once it is known.
@frozen(kw_only=True, slots=False)
class ImageTower:
    """The image half of a model, and how it wants pictures; CLIP's ways by default."""

    path: Path
    size: int | None = None
    """Pixels a side; by default what the file says, or 224 where it takes any."""
    mean: tuple[float, float, float] = (0.48145466, 0.4578275, 0.40821073)
    """Red, green, blue, of 1; SigLIP wants 0.5 here and in *spread*."""
    spread: tuple[float, float, float] = (0.26862954, 0.26130258, 0.27577711)
    squash: bool = False
    """Press the picture into the square, as SigLIP does, instead of cutting its sides off."""
    session: _Session = field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "session", _session(self.path))

    @property
    def side(self) -> int:
        """Pixels a side of the square that goes in."""
        shape = self.session.get_inputs()[0].shape
        # A model that takes pictures of any size gives a name, or nothing, in place of a number.
        own = shape[-1] if shape and isinstance(shape[-1], int) else _USUAL_SIDE
        return self.size or own

    @cached_property
    def fingerprint(self) -> str:
        """Hash all that decides a vector: the model, with weights in files beside it, and the ways.

        Such files begin with the model's own name: `model.onnx`, `model.onnx_data`.
        """
        beside = (one for one in self.path.parent.iterdir() if one.name.startswith(self.path.name))
        files = [hash_content(one) for one in sorted(beside)]
        ways = [self.side, self.mean, self.spread, self.squash]
        return hashlib.sha256(json.dumps([files, ways]).encode()).hexdigest()

    def vector(self, picture: Picture) -> Floats:
        """Put *picture* through the model; a vector of length 1."""
        return _vector(self.session, self._prepared(picture)[None])

    def as_json(self) -> str:
        """Tell another process how to make the same tower."""
        ways = attrs.asdict(self, filter=lambda at, _: at.init)
        return json.dumps({**ways, "path": str(self.path.resolve())})

    @classmethod
    def from_json(cls, text: str) -> ImageTower:
        """Make the tower that `as_json` told of."""
        ways: dict[str, Any] = json.loads(text)
        ways["path"] = Path(ways["path"])
        return cls(**ways)

    def _prepared(self, picture: Picture) -> Floats:
        square = picture if self.squash else _square(picture)
        small = cv2.resize(square, (self.side, self.side), interpolation=cv2.INTER_AREA)
        red_first = np.asarray(small, np.float32)[..., ::-1] / 255
        even = (red_first - np.array(self.mean)) / np.array(self.spread)
        return np.ascontiguousarray(even.transpose(2, 0, 1), np.float32)


@frozen(kw_only=True)
class TextTower:
    """The text half of a model, and the words' numbers that its tokenizer gives."""

    path: Path
    tokenize: Callable[[str], Sequence[int]]
    """Give as many numbers as the model wants, filled up and cut as it was trained."""
    session: _Session = field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "session", _session(self.path))

    def vector(self, text: str) -> Floats:
        """Put *text* through the model; a vector of length 1."""
        return _vector(self.session, np.array([self.tokenize(text)], np.int64))


def _square(picture: Picture) -> Picture:
    height, width = picture.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return picture[top : top + side, left : left + side]
