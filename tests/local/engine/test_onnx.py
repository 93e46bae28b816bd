"""An ONNX model is loaded and run: a tiny one, built here byte by byte."""

from __future__ import annotations

import sys
from itertools import pairwise

import numpy as np
import pytest
from attrs import evolve
from onnx_models import BYTES, FLOAT, HALF, INT64, node, value, whole, write

pytest.importorskip("onnxruntime")

from memories_async.local.engine.models import towers
from memories_async.local.engine.onnx import ImageTower, Likeness, OnnxEngine, TextTower
from memories_async.local.engine.processes import child
from memories_async.local.engine.protocol import (
    CaptionRequest,
    EngineFailed,
    Match,
    SearchResult,
    UnreadableVideo,
)
from memories_async.local.engine.video.picture import encode


@pytest.fixture(scope="module")
def image_file(tmp_path_factory):
    """Flatten 32 x 32 colours and multiply them to 16 numbers."""
    weights = np.random.default_rng(3).normal(0, 1, (3 * 32 * 32, 16)).astype(np.float32)
    nodes = [node("Flatten", ["x"], "f", whole("axis", 1)), node("MatMul", ["f", "w"], "y")]
    path = tmp_path_factory.mktemp("onnx") / "tiny.onnx"
    return write(
        path, nodes, {"w": weights}, value("x", FLOAT, (1, 3, 32, 32)), value("y", FLOAT, (1, 16))
    )


@pytest.fixture(scope="module")
def text_file(tmp_path_factory):
    """Look up four words' rows and flatten them to 16 numbers."""
    rows = np.random.default_rng(4).normal(0, 1, (256, 4)).astype(np.float32)
    nodes = [node("Gather", ["rows", "t"], "r"), node("Flatten", ["r"], "y", whole("axis", 1))]
    path = tmp_path_factory.mktemp("onnx") / "words.onnx"
    return write(path, nodes, {"rows": rows}, value("t", INT64, (1, 4)), value("y", FLOAT, (1, 16)))


def tokenize(text):
    """The first four bytes."""
    return [*text.encode(), 0, 0, 0, 0][:4]


@pytest.fixture(scope="module")
def tower(image_file):
    return ImageTower(path=image_file, size=32)


@pytest.fixture(scope="module")
def seeing(engine, tower, tmp_path_factory) -> OnnxEngine:
    return OnnxEngine(base=engine, image=tower, cache=tmp_path_factory.mktemp("seen"))


@pytest.fixture(scope="module")
def own(seeing, film):
    return seeing.index(film)


def test_pictures_are_scaled_as_the_model_was_trained(tower, image_file):
    """Red first, normalised by mean and spread, sides cropped or squashed."""
    picture = np.zeros((40, 80, 3), np.uint8)
    picture[:, 20:60] = (0, 0, 255)
    pressed = ImageTower(path=image_file, size=32, mean=(0, 0, 0), spread=(1, 1, 1), squash=True)

    cut = tower.prepare(picture)

    assert cut.shape == (3, 32, 32)
    assert cut[:, 0, 0] == pytest.approx(
        [(1 - 0.48145466) / 0.26862954, -1.7521, -1.4802], abs=1e-3
    )
    assert pressed.prepare(picture)[0].mean() == pytest.approx(0.5, abs=0.02)


def test_output_that_is_one_vector_is_used(tmp_path):
    """SigLIP's exports give every patch first, and the pooled vector after."""
    pooled = node("GlobalAveragePool", ["x"], "g"), node("Flatten", ["g"], "y", whole("axis", 1))
    nodes = [node("Identity", ["x"], "patches"), *pooled]
    made = value("patches", FLOAT, (1, 3, 32, 32)), value("y", FLOAT, (1, 3))
    path = write(tmp_path / "two.onnx", nodes, {}, value("x", FLOAT, (1, 3, 32, 32)), *made)

    assert ImageTower(path=path).embed(np.full((40, 40, 3), 200, np.uint8)).shape == (3,)


def test_one_vector_a_second_is_indexed(own):
    """Of length 1, as the model gives them."""
    assert own.frames.vectors.shape == (9, 16)
    assert np.linalg.norm(own.frames.vectors, axis=1) == pytest.approx(np.ones(9))
    assert own.facts.frames == 216


class Known:
    """A base engine whose index is known."""

    name = "known/1"

    def __init__(self, index):
        self.index = lambda _: index


def kept(engine):
    return sorted(engine.cache.iterdir())


def test_vectors_are_cached(seeing, own, film, monkeypatch):
    """Another process with the same model decodes no frame again."""
    monkeypatch.setattr(towers, "run_in_child", lambda *_, **__: pytest.fail("looked again"))
    again = evolve(seeing, image=ImageTower(path=seeing.image.path, size=32))

    assert np.array_equal(again.index(film).frames.vectors, own.frames.vectors)
    assert np.array_equal(again.index(film).frames.times, own.frames.times)
    assert len(kept(seeing)) == 1


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 no archive", {"times": [1.0]}, {"times": []}])
def test_damaged_vectors_are_computed_again(seeing, own, film, damage):
    """The cache may hold half a file, or another program's."""
    (path,) = kept(seeing)
    if isinstance(damage, bytes):
        path.write_bytes(damage)
    else:
        np.savez(path, vectors=np.zeros((2, 16)), **damage)

    assert np.array_equal(seeing.index(film).frames.vectors, own.frames.vectors)


@pytest.mark.parametrize(
    "ways", [{"squash": True}, {"mean": (0.5, 0.5, 0.5)}, {"spread": (0.5, 0.5, 0.5)}]
)
def test_other_settings_make_another_fingerprint(tower, ways):
    """So their vectors are cached apart."""
    assert evolve(tower, **ways).fingerprint != tower.fingerprint


def test_fingerprint_is_that_of_the_models_content(tower, tmp_path):
    """Not of its path; weights in a file beside it count."""
    path = tmp_path / "same.onnx"
    path.write_bytes(tower.path.read_bytes())
    (tmp_path / "notes.txt").touch()
    alone = ImageTower(path=path, size=32).fingerprint
    (tmp_path / "same.onnx_data").write_bytes(b"weights")

    assert alone == tower.fingerprint != ImageTower(path=path, size=32).fingerprint


def test_task_writes_the_vectors(film, tower, own, tmp_path):
    """Called here in this process."""
    towers.embed_frames(str(film), str(tmp_path / "seen.npz"), f"1.0 {tower.to_json()}")

    assert np.array_equal(np.load(tmp_path / "seen.npz")["vectors"], own.frames.vectors)


def test_frames_are_decoded_in_a_child_process(engine, tower, film, monkeypatch):
    """A crash or a time limit is an error of the video."""
    base = Known(engine.index(film))

    with pytest.raises(UnreadableVideo, match=r"longer than 0\.01 s"):
        OnnxEngine(base=base, image=tower, time_limit=0.01).index(film)
    monkeypatch.setattr(child, "_START", "import os, signal; os.kill(os.getpid(), 11)")
    with pytest.raises(UnreadableVideo, match="signal 11"):
        OnnxEngine(base=base, image=tower).index(film)


def test_file_without_pictures_is_refused(engine, tower, film, tmp_path):
    """With the decoder's reason."""
    path = tmp_path / "bad.mp4"
    path.write_bytes(b"no video" * 500)

    with pytest.raises(UnreadableVideo, match="no video that can be read"):
        OnnxEngine(base=Known(engine.index(film)), image=tower).index(path)


def test_model_adds_clips(engine, film, tower, jpeg, own):
    """With every frame alike to it, each shot is a clip; pixels alone found one."""
    easy = OnnxEngine(base=engine, image=tower, likeness=Likeness(middle=-1.0))

    found = easy.search(own, jpeg(1.3), "a red umbrella")

    alone = engine.search(engine.index(film), jpeg(1.3), "x").clips
    assert len(alone) == 1 < len(found.clips)
    assert found.ignored == ("umbrella",)
    ordered = sorted(found.clips, key=lambda one: one.start_time)
    assert all(a.end_time <= b.start_time for a, b in pairwise(ordered))


def test_strict_likeness_adds_no_clip(engine, tower, own, jpeg, film):
    """Only the base engine's clips are left."""
    strict = OnnxEngine(base=engine, image=tower, likeness=Likeness(middle=2.0))

    assert (
        strict.search(own, jpeg(1.3), "x").clips
        == engine.search(engine.index(film), jpeg(1.3), "x").clips
    )


def test_text_tower_weighs_scores_and_ignores_no_word(engine, tower, text_file, own, jpeg):
    """The prompt changes the scores."""

    reading = OnnxEngine(
        base=engine,
        image=tower,
        text=TextTower(path=text_file, tokenize=tokenize),
        likeness=Likeness(middle=0.0),
        fulfilment=Likeness(middle=0.0),
    )

    first, second = (reading.search(own, jpeg(4.7), prompt) for prompt in ("abcd", "zyxw"))

    assert first.ignored == ()
    assert {one.score for one in first.clips} != {one.score for one in second.clips}


@pytest.mark.parametrize("dimensions", [16, 512])
def test_embedding_has_any_number_of_dimensions(seeing, own, dimensions):
    """The model's own vector where it fits, a projection otherwise."""
    vector = seeing.embed(own, dimensions)

    assert len(vector) == dimensions
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


def test_caption_is_that_of_the_base_engine(seeing, engine, own, film):
    """Unchanged."""
    request = CaptionRequest(user_prompt="colours", system_prompt="")

    assert seeing.caption(own, request) == engine.caption(engine.index(film), request)
    assert seeing.name == "pixels/7+tiny"


def test_index_of_another_engine_is_refused(seeing, index):
    """Mixing engines is a mistake of the caller."""
    with pytest.raises(TypeError, match="another engine"):
        seeing.search(index, encode(np.zeros((50, 50, 3), np.uint8)), "x")


def test_missing_runtime_names_what_to_install(image_file, monkeypatch):
    """In one sentence."""
    monkeypatch.setitem(sys.modules, "onnxruntime", None)

    with pytest.raises(ModuleNotFoundError, match=r"pip install .memories_async\[onnx\]"):
        ImageTower(path=image_file)


def write_image_model(path, *outputs, kind=FLOAT, shape=(1, 3, 8, 8)):
    """A model that gives the mean of each colour under each of the names in *outputs*."""
    nodes = [
        node("Cast", ["x"], "f", whole("to", FLOAT)),
        node("GlobalAveragePool", ["f"], "g"),
        node("Flatten", ["g"], "v", whole("axis", 1)),
        *(node("Identity", ["v" if plain else "f"], name) for name, plain in outputs),
    ]
    made = [value(name, FLOAT, (1, 3) if plain else (1, 3, 8, 8)) for name, plain in outputs]
    return write(path, nodes, {}, value("x", kind, shape), *made)


def test_output_is_chosen_by_its_name(tmp_path):
    """Where several are vectors, the projected one, or the one that is asked for."""
    path = write_image_model(tmp_path / "m.onnx", ("a", True), ("image_embeds", True))

    assert ImageTower(path=path).model.chosen == "image_embeds"
    assert ImageTower(path=path, output="a").model.chosen == "a"
    assert ImageTower(path=path).fingerprint != ImageTower(path=path, output="a").fingerprint
    assert ImageTower.from_json(ImageTower(path=path, output="a").to_json()).output == "a"
    with pytest.raises(ValueError, match=r"output='b': m.onnx has a, image_embeds"):
        ImageTower(path=path, output="b")


def test_output_must_be_chosen_among_several_vectors(tmp_path):
    """The error lists them."""
    path = write_image_model(tmp_path / "m.onnx", ("a", True), ("b", True))

    with pytest.raises(ValueError, match=r"several outputs: pass output=, one of a, b"):
        ImageTower(path=path)


def test_model_without_a_vector_is_refused(engine, tmp_path):
    """Patches are many vectors: the shape is in the error."""
    path = write_image_model(tmp_path / "m.onnx", ("patches", False))

    with pytest.raises(ValueError, match=r"'patches' is no vector, but \(1, 3, 8, 8\)"):
        OnnxEngine(base=engine, image=ImageTower(path=path))


def test_model_of_half_precision_is_fed_as_it_wants(tmp_path):
    """As many exports for GPUs are."""
    path = write_image_model(tmp_path / "m.onnx", ("y", True), kind=HALF)
    tower = ImageTower(path=path, mean=(0, 0, 0), spread=(1, 1, 1))

    assert tower.embed(np.full((9, 9, 3), (0, 0, 255), np.uint8)) == pytest.approx([1, 0, 0])


@pytest.mark.parametrize(
    ("ways", "settings", "reason"),
    [
        pytest.param({"kind": BYTES}, {}, r"takes tensor\(uint8\) as x", id="bytes"),
        pytest.param({"shape": (1, 8, 8, 3)}, {}, "takes 8 planes of colour", id="colours last"),
        pytest.param({"shape": (1, 3, 8)}, {}, "takes x: export the image half", id="no picture"),
        pytest.param({}, {"size": 9}, "size=9: m.onnx takes 8 pixels a side", id="size"),
    ],
)
def test_image_model_that_does_not_fit_is_refused(tmp_path, ways, settings, reason):
    """When it is made, not in the first search."""
    path = write_image_model(tmp_path / "m.onnx", ("y", True), **ways)

    with pytest.raises(ValueError, match=reason):
        ImageTower(path=path, **settings)


def test_file_that_is_no_model_is_refused(tmp_path):
    """A missing one, and another one."""
    with pytest.raises(ValueError, match="no such file"):
        ImageTower(path=tmp_path / "m.onnx")
    (tmp_path / "m.onnx").write_bytes(b"no model")
    with pytest.raises(ValueError, match=r"m.onnx is no ONNX model that can be loaded"):
        ImageTower(path=tmp_path / "m.onnx")


def test_vector_that_is_not_finite_is_a_failure(tmp_path):
    """As half precision makes of large numbers."""
    path = write_image_model(tmp_path / "m.onnx", ("y", True))
    tower = ImageTower(path=path, spread=(0, 0, 0), mean=(0, 0, 0))

    with (
        np.errstate(divide="ignore", invalid="ignore"),
        pytest.raises(EngineFailed, match="finite"),
    ):
        tower.embed(np.full((9, 9, 3), 200, np.uint8))


@pytest.fixture
def write_text_model(tmp_path):
    """Write a model that adds up its inputs, and looks up the rows of the sums."""

    def write_text_model(*names):
        rows = np.random.default_rng(5).normal(0, 1, (900, 4)).astype(np.float32)
        sums = ["ids", *(f"s{n}" for n in range(1, len(names)))]
        nodes = [node("Identity", [names[0]], "ids")]
        nodes += [
            node("Mul" if name == "attention_mask" else "Add", [before, name], after)
            for name, before, after in zip(names[1:], sums, sums[1:], strict=False)
        ]
        nodes += [
            node("Gather", ["rows", sums[-1]], "r"),
            node("Flatten", ["r"], "y", whole("axis", 1)),
        ]
        given = [value(name, INT64, (1, 4)) for name in names]
        made = value("y", FLOAT, (1, 16))
        return write(tmp_path / "words.onnx", nodes, {"rows": rows}, given, made)

    return write_text_model


def test_mask_types_and_positions_are_fed(write_text_model):
    """The mask is the tokenizer's; types are 0 and positions count up unless it says otherwise."""
    path = write_text_model("input_ids", "attention_mask", "token_type_ids", "position_ids")

    def tokens(**others):
        mask = {"input_ids": [7, 8, 9, 9], "attention_mask": [1, 1, 1, 0], "unknown": [5]}
        return TextTower(path=path, tokenize=lambda _: {**mask, **others}).embed("x")

    usual = tokens()

    assert np.array_equal(usual, tokens(token_type_ids=[0] * 4, position_ids=[[0, 1, 2, 3]]))
    for others in ({"attention_mask": [1] * 4}, {"token_type_ids": [1] * 4}):
        assert not np.array_equal(usual, tokens(**others))


def test_model_with_a_mask_refuses_a_tokenizer_without(write_text_model):
    """Every search answered with a failure instead."""
    path = write_text_model("input_ids", "attention_mask")

    with pytest.raises(ValueError, match=r"takes attention_mask: let tokenize return a mapping"):
        TextTower(path=path, tokenize=tokenize)


def test_tokenizer_of_another_length_is_refused(text_file):
    """When the tower is made; later, for one prompt, it is a failure of the engine."""
    with pytest.raises(ValueError, match=r"words.onnx cannot be run: .*dimensions"):
        TextTower(path=text_file, tokenize=lambda _: [1, 2])
    tower = TextTower(path=text_file, tokenize=lambda text: [1] * (4 if text == "a picture" else 5))
    with pytest.raises(EngineFailed, match="cannot be run"):
        tower.embed("a long prompt")


def test_text_half_that_takes_pictures_is_refused(image_file):
    """The file holds both halves, or is the wrong one."""
    with pytest.raises(ValueError, match="takes x: export the text half alone"):
        TextTower(path=image_file, tokenize=tokenize)


def test_halves_of_two_models_are_refused(engine, text_file, tmp_path):
    """Their vectors lie in different spaces."""
    image = ImageTower(path=write_image_model(tmp_path / "m.onnx", ("y", True)))

    with pytest.raises(ValueError, match=r"text: its vectors have 16 numbers and those of image 3"):
        OnnxEngine(base=engine, image=image, text=TextTower(path=text_file, tokenize=tokenize))


class Finds(Known):
    """A base engine that finds one clip."""

    def __init__(self, index, *clips):
        super().__init__(index)
        self.search = lambda *_: SearchResult(clips=clips)


def test_model_never_displaces_a_clip_of_the_base_engine(engine, film, tower, own, jpeg):
    """Its clips leave that stretch out, come after, and score no more."""
    exact = Match(start_time=1.0, end_time=2.0, score=0.5)
    easy = OnnxEngine(
        base=Finds(own.base, exact), image=tower, likeness=Likeness(middle=-1.0, slope=50.0)
    )

    clips = easy.search(own, jpeg(1.3), "x").clips

    assert clips[0] == exact
    assert max(one.score for one in clips[1:]) == 0.5
    assert (0.0, 1.0) in {(one.start_time, one.end_time) for one in clips}
    ordered = sorted(clips, key=lambda one: one.start_time)
    assert all(a.end_time <= b.start_time for a, b in pairwise(ordered))


def test_absent_thing_promotes_no_frame(engine, tower, text_file, own, jpeg):
    """Where no frame shows what the prompt says, the best of them is not preferred."""
    text = TextTower(path=text_file, tokenize=tokenize)
    plain = OnnxEngine(
        base=Finds(own.base), image=tower, likeness=Likeness(middle=0, slope=4, keep=0)
    )
    absent = evolve(plain, text=text, fulfilment=Likeness(middle=1.0, slope=2.0))
    shown = evolve(plain, text=text, fulfilment=Likeness(middle=-1.0, slope=50.0))

    seen, unseen, fulfilled = (
        {one.start_time: one.score for one in each.search(own, jpeg(4.7), "abcd").clips}
        for each in (plain, absent, shown)
    )

    assert fulfilled == pytest.approx(seen, abs=1e-3)
    assert unseen
    for start, score in unseen.items():
        assert score == pytest.approx(seen[start] / 2, abs=1e-3)
