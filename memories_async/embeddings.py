"""Generate Video Embedding and Generate Image Embedding: one vector for a whole video or a picture.

memories.ai docs, "Generate Video Embedding" and "Generate Image Embedding" (`POST
/serve/api/v2/embeddings/video` and `.../image`).
"""

from __future__ import annotations

import math
import struct
import sys
from array import array
from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, Self, SupportsIndex

from memories_async import assets, media
from memories_async._protocol import wire_json
from memories_async._protocol.arguments import check_id, check_text
from memories_async._protocol.call import Call, Form, Json, Part
from memories_async._protocol.flow import FIRST_INTERVAL, LATER, TIMEOUT, Flow
from memories_async._protocol.reply import Host
from memories_async._protocol.value import Value

DEFAULT_MODEL = "multimodalembedding@001"
"""The only model of videos in the documentation."""


if TYPE_CHECKING:
    _Doubles = array[float]
else:  # arrays are not subscriptable before Python 3.12
    _Doubles = array


def video(
    asset_id: str, *, model: str = DEFAULT_MODEL, extra: Mapping[str, Any] | None = None
) -> Call[Embedding]:
    """Embed the whole video *asset_id* with *model* as one vector.

    The answer is an `Embedding`, a vector of floats. A success is billed as one embedding. A repeat is
    safe: it gives the same answer and is billed again.

    *asset_id* comes from `assets.upload`; it is not a `video_no`. The length of the vector depends on
    the model and is not checked: the service documents 512 to 1,024 numbers, the maker of the default
    model 1,408. Only vectors of one model can be compared. *extra* are further fields of the request.

    Building the call raises `ValueError` or `TypeError` for an empty id or model, and for a file or URL
    in place of the id. Sending it raises
    `InvalidRequest` for an unknown asset, and any other `MemoriesError`. See memories.ai docs,
    "Generate Video Embedding".
    """
    arguments = {
        "asset_id": check_id("asset_id", asset_id, "embeddings.video_file takes a file"),
        "model": check_text("model", model),
    }
    call = Call(
        name="embeddings.video",
        host=Host.EMBEDDINGS,
        path="/serve/api/v2/embeddings/video",
        body=Json(arguments),
        family="embeddings",
        unit="embedding",
        repeatable=True,
        decode=partial(_read_embedding, model=model),
    )
    return call.with_extra(extra)


def video_file(
    file: media.Source,
    *,
    model: str = DEFAULT_MODEL,
    timeout: float = TIMEOUT,
    interval: float = FIRST_INTERVAL,
) -> Flow[Embedding]:
    """Upload a video *file* as an asset, wait until it can be used, and embed it with *model*.

    The answer is an `Embedding`, a vector of floats. The upload and the embedding are billed, each
    once; with a ledger, a file of the same content is not uploaded again, and the same embedding is
    answered from the ledger.

    *file* is a path, bytes or a file open for bytes. *timeout* and *interval* are seconds, as in
    `assets.wait`. Building the flow raises what building `assets.upload` and `video` raises; sending
    it raises what `assets.add` and `video` raise.
    """
    return Flow(
        name="embeddings.video_file",
        upload=assets.upload(file),
        call=video(LATER, model=model),
        id_field="asset_id",
        ask=assets.metadata,
        timeout=timeout,
        interval=interval,
    )


def image(
    file: media.Source,
    *,
    model: str = DEFAULT_MODEL,
    max_image_size: int | None = None,
    extra: Mapping[str, Any] | None = None,
) -> Call[Embedding]:
    """Embed the picture *file* with *model* as one vector.

    The answer is an `Embedding`, a vector of floats that can be compared with those of videos and
    pictures of the same model. A success is billed as one image embedding. A repeat is safe: it gives
    the same answer and is billed again.

    *file* is a path, bytes or a file open for bytes: .jpg, .jpeg, .png, .gif, .bmp or .webp. The page
    states no size limit; *max_image_size* sets one in bytes. *model* is `multimodalembedding@001` or
    `mobileclip`. *extra* are further fields of the request.

    Building the call raises `ValueError` or `TypeError` for a file that is no picture, or an empty
    model. Sending it raises `MemoriesError`. See memories.ai docs, "Generate Image Embedding".
    """
    picture = media.prepare_image("file", file, name="image", max_size=max_image_size)
    call = Call(
        name="embeddings.image",
        host=Host.EMBEDDINGS,
        path="/serve/api/v2/embeddings/image",
        body=Form((Part("file", picture), Part("model", check_text("model", model)))),
        family="embeddings",
        unit="image embedding",
        repeatable=True,
        decode=partial(_read_embedding, model=model),
    )
    return call.with_extra(extra)


class Embedding(Value, _Doubles):  # noqa: PLW1641  # unhashable, like the array that it is
    """A vector of doubles in 8 bytes each, with the buffer protocol; numpy is not needed.

    `numpy.asarray(embedding)` and `memoryview(embedding)` share its memory. It is immutable, it
    compares by its numbers and its `model`, and it can be pickled.
    """

    __slots__ = ("model",)
    model: str
    """The model that computed it; only vectors of one model can be compared."""

    def __new__(cls, values: Iterable[float], *, model: str) -> Self:
        """Pack *values*.

        Raises `TypeError` if one is not a number, and `ValueError` if one is not finite or there are
        none.
        """
        numbers = values if wire_json.is_array(values) else [*values]
        self = super().__new__(cls, "d", _pack(numbers))
        assert isinstance(self, cls)
        object.__setattr__(self, "model", model)
        return self

    @property
    def values(self) -> tuple[float, ...]:
        """The numbers as a tuple."""
        return tuple(self)

    def to_dict(self) -> dict[str, Any]:
        """Return `embedding`, the numbers as a list, and `model`."""
        return {"embedding": self.tolist(), "model": self.model}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Return the embedding that `to_dict` gave; raises as the constructor does."""
        return cls(data["embedding"], model=data["model"])

    @classmethod
    def list_field_types(cls) -> dict[str, tuple[Any, bool]]:
        """Return the types of `embedding` and `model`."""
        return {"embedding": (list[float], True), "model": (str, True)}

    @property
    def __dict__(self) -> dict[str, Any]:  # type: ignore[override]  # what `vars` shows
        """The fields as `vars` shows them, for encoders that know nothing else of an object."""
        return self.to_dict()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        import numpy as np  # noqa: PLC0415  # whoever calls this has it

        return np.array(np.frombuffer(self), dtype=dtype, copy=copy)

    def __eq__(self, other: object) -> bool:
        same = isinstance(other, Embedding) and self.model == other.model
        return same and super().__eq__(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _: object) -> Self:
        return self

    def __repr__(self) -> str:
        shown = ", ".join(f"{number:.6g}" for number in self[:3])
        return f"Embedding([{shown}, ...], model={self.model!r}, len={len(self)})"

    def __reduce_ex__(self, _: SupportsIndex) -> tuple[Any, ...]:
        return _unpack, (self.tobytes(), self.model)

    def __setattr__(self, name: str, _: object) -> NoReturn:
        raise AttributeError(f"an Embedding is frozen: {name} cannot be set")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"an Embedding is frozen: {name} cannot be deleted")


def _refuse_change(_: Embedding, *__: object) -> NoReturn:
    """Raise `TypeError`: an embedding is frozen."""
    raise TypeError("an Embedding is frozen")


for _mutator in (
    *("__setitem__", "__delitem__", "__iadd__", "__imul__", "append", "byteswap", "clear"),
    *("extend", "frombytes", "fromfile", "fromlist", "insert", "pop", "remove", "reverse"),
):
    setattr(Embedding, _mutator, _refuse_change)


def _pack(numbers: list[float]) -> bytes:
    """Pack and check. Checking the packed bytes takes a third of the time of checking each number."""
    if not numbers:
        raise ValueError("an embedding must not be empty")
    try:
        packed = struct.Struct(f"{len(numbers)}d").pack(*numbers)
    except struct.error as error:
        raise TypeError(f"an embedding must hold numbers only: {error}") from None
    # False and True pack as 0.0 and 1.0, whose bytes hold more zeros in a row than most numbers do.
    if packed.find(bytes(6)) >= 0 and bool in map(type, numbers):
        raise TypeError("an embedding must hold numbers only, not true or false")
    if _may_overflow(packed) and not all(map(math.isfinite, numbers)):
        raise ValueError("an embedding must hold finite numbers only")
    return packed


_LARGEST = 0x7F, 0xFF
"""The top bytes, with either sign, of what is infinite, not a number or above 1e303."""
_TOP = 7 if sys.byteorder == "little" else 0
"""The byte of a double that holds its sign and most of its exponent."""


def _may_overflow(packed: bytes) -> bool:
    """Tell from the top byte of each number whether one may be infinite, not a number or above 1e303."""
    tops = packed[_TOP::8]
    return _LARGEST[0] in tops or _LARGEST[1] in tops


def _unpack(packed: bytes, model: str) -> Embedding:
    return Embedding(array("d", packed), model=model)


def _read_embedding(data: Any, *, model: str) -> Embedding:
    # The service answers texts with a list, one item for each; the one of a video is read as well.
    if wire_json.is_array(data) and len(data) == 1:
        data = data[0]
    numbers = data.get("embedding") if wire_json.is_object(data) else None
    if not wire_json.is_array(numbers):
        raise TypeError("data.embedding must be a list of numbers")
    return Embedding(numbers, model=model)
