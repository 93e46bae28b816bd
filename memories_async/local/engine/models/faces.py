"""Faces seen in a video, compared with those of reference pictures, by dlib's models. Opt-in.

A small distance says that two faces look alike, never who somebody is. Vectors of faces are biometric
data: they are computed and kept only where the engine was made with `faces=True`.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

from attrs import field, frozen

from memories_async.local.engine import npz
from memories_async.local.engine._cv import Floats, Picture, cv2, np
from memories_async.local.engine.protocol import ReferencePerson
from memories_async.local.engine.video.film import Film
from memories_async.local.engine.video.picture import decode

__all__ = ["LIMIT", "FaceModel", "describe_persons", "write_faces"]

LIMIT = 0.42
"""Largest distance of two faces that are called alike; measured on film, strangers included."""
_SIDE = 1280
"""Pixels to which the longer side of a picture is scaled: the detector finds faces from 80 of them."""
_SIZE = 128
"""Numbers that describe a face."""
_MOST = 6
"""Stretches that a sentence lists."""
_FOLDER, _MODELS = "face_recognition_models", "models"
_SHAPE = "shape_predictor_5_face_landmarks.dat"
_NET = "dlib_face_recognition_resnet_model_v1.dat"


class FaceModel(Protocol):
    """Finds the faces of a picture."""

    def find(self, picture: Picture) -> Sequence[Floats]:
        """Return a vector for each face, the largest face first."""
        ...


class _DlibModel:
    """dlib's frontal detector, five landmarks and face network; needs the extra `faces`."""

    def __init__(self) -> None:
        self._dlib: Any = importlib.import_module("dlib")
        # Located, not imported: nothing of that package runs.
        found = find_spec(_FOLDER)
        assert found is not None
        assert found.submodule_search_locations is not None
        folder = Path(next(iter(found.submodule_search_locations))) / _MODELS
        self._detect: Any = self._dlib.get_frontal_face_detector()
        self._shape: Any = self._dlib.shape_predictor(str(folder / _SHAPE))
        self._net: Any = self._dlib.face_recognition_model_v1(str(folder / _NET))

    def find(self, picture: Picture) -> Sequence[Floats]:
        height, width = picture.shape[:2]
        scale = _SIDE / max(height, width)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        scaled = cv2.resize(
            picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        )
        red_first = np.ascontiguousarray(scaled[..., ::-1])
        boxes = sorted(self._detect(red_first, 0), key=lambda box: -int(box.width()))
        return [
            np.asarray(
                self._net.compute_face_descriptor(red_first, self._shape(red_first, box)),
                np.float32,
            )
            for box in boxes
        ]


@frozen(kw_only=True)
class SeenFaces:
    """The faces of a video: one row each; and how many seconds lie between frames looked at."""

    times: Floats = field(repr=False)
    vectors: Floats = field(repr=False)
    step: float


def write_faces(video: str, result: str, rate: str, model: FaceModel | None = None) -> None:
    """Write the faces of *rate* frames a second to the file *result*; a task of `run_in_child`."""
    model = model or _DlibModel()
    times: list[float] = []
    vectors: list[Floats] = []
    with Film.open(Path(video)) as film:
        for frame in film.frames(float(rate)):
            found = model.find(frame.picture)
            times += [frame.time] * len(found)
            vectors += found
    rows = np.stack(vectors) if vectors else np.zeros((0, _SIZE), np.float32)
    step = np.float32(1 / float(rate))
    npz.write(Path(result), {"times": np.array(times, np.float32), "vectors": rows, "step": step})


def _read_faces(arrays: dict[str, Any]) -> SeenFaces:
    times, vectors = arrays["times"], arrays["vectors"]
    if vectors.shape != (len(times), _SIZE):
        raise ValueError("not what `write_faces` writes")
    return SeenFaces(times=times, vectors=vectors, step=float(arrays["step"]))


def describe_persons(
    path: Path, persons: Iterable[ReferencePerson], model: FaceModel | None = None
) -> str | None:
    """Compare the faces at *path* with the pictures of *persons*, a sentence each.

    None where the file is missing or damaged. Raises `UnreadableImage`.
    """
    seen = npz.read(path, _read_faces)
    if seen is None:
        return None
    given = list(persons)
    if any(person.image for person in given):
        model = model or _DlibModel()
    return " ".join(_describe_person(person, seen, model) for person in given)


def _describe_person(person: ReferencePerson, seen: SeenFaces, model: FaceModel | None) -> str:
    name = person.name
    if person.image is None or model is None:
        return f"{name} was given without a picture, and was not searched for."
    faces = model.find(decode(person.image))
    if not faces:
        return f"The picture of {name} shows no face large enough: {name} was not searched for."
    if not len(seen.times):
        return f"No face large enough was seen to compare with the picture of {name}."
    # The largest face of the picture.
    distances = np.linalg.norm(seen.vectors - faces[0], axis=1)
    nearest = f"distance {float(distances.min()):.2f}; {LIMIT:g} is the limit"
    alike = seen.times[distances <= LIMIT]
    if not len(alike):
        return f"No face like that in the picture of {name} was seen (nearest {nearest})."
    return f"A face like that in the picture of {name}: {_list_stretches(alike, seen.step)} ({nearest})."


def _list_stretches(times: Floats, step: float) -> str:
    """List the stretches of *times* without a gap of more than two steps."""
    moments = sorted({float(time) for time in times})
    cuts = [n for n, (a, b) in enumerate(pairwise(moments), 1) if b - a > 2.5 * step]
    groups = [moments[a:b] for a, b in pairwise([0, *cuts, len(moments)])]
    parts = [
        f"{a:.1f}-{b:.1f} s" if a < b else f"{a:.1f} s" for a, b in ((g[0], g[-1]) for g in groups)
    ]
    rest = len(parts) - _MOST
    return ", ".join(parts[:_MOST]) + (f" and {rest} more" if rest > 0 else "")
