"""The two halves of an image-text model, run by onnxruntime from the files that a user brings.

The vectors of a video's frames are computed in a child process, and cached on disk.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import attrs
from attrs import field, frozen

from memories_async.local.engine import npz
from memories_async.local.engine._cv import Floats, Picture, cv2, np
from memories_async.local.engine.content_cache import hash_content, load_or_build
from memories_async.local.engine.models.vector_model import VectorModel
from memories_async.local.engine.processes.one_shot import run_in_child
from memories_async.local.engine.protocol import EngineFailed
from memories_async.local.engine.video.film import Film

__all__ = ["FrameVectors", "ImageTower", "TextTower", "embed_frames", "load_vectors"]

_USUAL_SIDE = 224
_PICTURE = 4
"""Dimensions of an input that takes pictures: one picture, its colours, its height, its width."""
_MASK, _TYPES, _POSITIONS = "attention_mask", "token_type_ids", "position_ids"
_PROBE = "a picture"


# Not slotted: the fingerprint is kept once it is known.
@frozen(kw_only=True, slots=False)
class ImageTower:
    """The image half of a model, and how it takes pictures; by default as CLIP does.

    `ValueError` where the file takes anything but pictures, or where none of its outputs can be used.
    """

    path: Path
    size: int | None = None
    """Pixels a side; by default what the file says, or 224 where it takes any."""
    mean: tuple[float, float, float] = (0.48145466, 0.4578275, 0.40821073)
    """Red, green, blue, of 1; SigLIP takes 0.5 here and in *spread*."""
    spread: tuple[float, float, float] = (0.26862954, 0.26130258, 0.27577711)
    squash: bool = False
    """Press the picture into the square, as SigLIP does, instead of cropping its sides."""
    output: str | None = None
    """Name of the output that is the vector, where the model has several."""
    model: VectorModel = field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        model = VectorModel(path=self.path, output=self.output)
        object.__setattr__(self, "model", model)
        taken = ", ".join(one.name for one in model.inputs)
        if len(model.inputs) != 1 or len(model.inputs[0].shape) != _PICTURE:
            raise ValueError(f"{self.path.name} takes {taken}: export the image half alone")
        _, colours, height, _ = model.inputs[0].shape
        if isinstance(colours, int) and colours != len(self.mean):
            raise ValueError(f"{self.path.name} takes {colours} planes of colour, and not 3, first")
        if isinstance(height, int) and self.size not in (None, height):
            raise ValueError(f"size={self.size}: {self.path.name} takes {height} pixels a side")

    @property
    def side(self) -> int:
        """Pixels a side of the model's input."""
        own = self.model.inputs[0].shape[-1]
        # A model that takes pictures of any size has a name, or nothing, in place of a number.
        return self.size or (own if isinstance(own, int) else _USUAL_SIDE)

    @cached_property
    def fingerprint(self) -> str:
        """A hash of all that decides a vector: the model, files of weights beside it, the settings.

        Files of weights begin with the model's own name: `model.onnx`, `model.onnx_data`.
        """
        beside = (one for one in self.path.parent.iterdir() if one.name.startswith(self.path.name))
        files = [hash_content(one) for one in sorted(beside)]
        settings = [self.side, self.mean, self.spread, self.squash, self.model.chosen]
        return hashlib.sha256(json.dumps([files, settings]).encode()).hexdigest()

    def embed(self, picture: Picture) -> Floats:
        """Run the model on *picture*; a vector of length 1. Raises `EngineFailed`."""
        (taken,) = self.model.inputs
        return self.model.run({taken.name: taken.convert(self.prepare(picture)[None])})

    def prepare(self, picture: Picture) -> Floats:
        """Scale *picture* to the model's input: red, green and blue planes."""
        if not self.squash:
            height, width = picture.shape[:2]
            side = min(height, width)
            top, left = (height - side) // 2, (width - side) // 2
            picture = picture[top : top + side, left : left + side]
        small = cv2.resize(picture, (self.side, self.side), interpolation=cv2.INTER_AREA)
        red_first = np.asarray(small, np.float32)[..., ::-1] / 255
        scaled = (red_first - np.array(self.mean)) / np.array(self.spread)
        return np.ascontiguousarray(scaled.transpose(2, 0, 1), np.float32)

    def to_json(self) -> str:
        """Serialise the settings, for another process."""
        settings = attrs.asdict(self, filter=lambda at, _: at.init)
        return json.dumps({**settings, "path": str(self.path.resolve())})

    @classmethod
    def from_json(cls, text: str) -> ImageTower:
        """Make the tower that `to_json` serialised."""
        settings: dict[str, Any] = json.loads(text)
        settings["path"] = Path(settings["path"])
        return cls(**settings)


@frozen(kw_only=True)
class TextTower:
    """The text half of a model, and its tokenizer; run once on a word or two when it is made.

    `ValueError` where the model takes what *tokenize* does not return, or where it cannot be run.
    """

    path: Path
    tokenize: Callable[[str], Sequence[int] | Mapping[str, Any]]
    """Returns token ids as the model takes them, padded and cut as it was trained; a mapping, as the
    tokenizers of transformers return it, where the model takes an `attention_mask` too."""
    output: str | None = None
    """Name of the output that is the vector, where the model has several."""
    model: VectorModel = field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        model = VectorModel(path=self.path, output=self.output)
        object.__setattr__(self, "model", model)
        foreign = [one.name for one in model.inputs if len(one.shape) == _PICTURE]
        if foreign:
            raise ValueError(f"{self.path.name} takes {foreign[0]}: export the text half alone")
        try:
            self.embed(_PROBE)
        except EngineFailed as error:
            raise ValueError(f"the model and its tokenizer do not fit: {error}") from error

    def embed(self, text: str) -> Floats:
        """Run the model on *text*; a vector of length 1. Raises `EngineFailed`."""
        tokens = self.tokenize(text)
        given = dict(tokens) if isinstance(tokens, Mapping) else {self._name_ids(): tokens}
        length = np.size(next(iter(given.values())))
        # One sentence, from its beginning.
        given = {_TYPES: [0] * length, _POSITIONS: range(length), **given}
        feed: dict[str, Any] = {}
        for one in self.model.inputs:
            if one.name not in given:
                raise EngineFailed(
                    f"{self.path.name} takes {one.name}: let tokenize return a mapping with it"
                )
            feed[one.name] = one.convert(given[one.name]).reshape(1, -1)
        return self.model.run(feed)

    def _name_ids(self) -> str:
        """Return the name of the input for token ids: the first that is for nothing else."""
        names = [one.name for one in self.model.inputs]
        return next((one for one in names if one not in (_MASK, _TYPES, _POSITIONS)), names[0])


@frozen(kw_only=True)
class FrameVectors:
    """Vectors of length 1, one a row, and the seconds at which their frames are shown."""

    times: Floats = field(repr=False)
    vectors: Floats = field(repr=False)


def load_vectors(
    video: Path, folder: Path | None, *, tower: ImageTower, rate: float, seconds: float
) -> FrameVectors:
    """Load the vectors of *tower* for *video*, *rate* a second, from *folder*.

    Where they are not there, a child process computes them in at most *seconds*. Raises
    `UnreadableVideo`.
    """

    def build(result: Path) -> None:
        settings = f"{rate!r} {tower.to_json()}"
        task = f"{__name__}:embed_frames"
        run_in_child(task, str(video.resolve()), str(result), settings, seconds=seconds)

    return load_or_build(
        video,
        folder,
        engine=f"vectors-{tower.fingerprint[:24]}-{rate:.6g}",
        load=lambda path: npz.read(path, _read_vectors),
        build=build,
    )


def embed_frames(video: str, result: str, settings: str) -> None:
    """Write the vectors that *settings* describes to the file *result*; a task of `run_in_child`."""
    rate, tower_settings = settings.split(" ", maxsplit=1)
    tower = ImageTower.from_json(tower_settings)
    with Film.open(Path(video)) as film:
        frames = [(frame.time, tower.embed(frame.picture)) for frame in film.frames(float(rate))]
    times, vectors = zip(*frames, strict=True)
    npz.write(Path(result), {"times": np.array(times, np.float32), "vectors": np.stack(vectors)})


def _read_vectors(arrays: dict[str, Any]) -> FrameVectors:
    times, vectors = arrays["times"], arrays["vectors"]
    if not len(times) or vectors.shape != (len(times), vectors.size // len(times)):
        raise ValueError("not what `embed_frames` writes")
    return FrameVectors(times=times, vectors=vectors)
