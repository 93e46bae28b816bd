"""Generate Video Embedding: the call of the page and the value that it gives."""

from __future__ import annotations

import copy
import math
import operator
import pickle
import subprocess
import sys
from array import array

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import EMBEDDED, PNG, embed_call, reply

from memories_async import Embedding, embeddings
from memories_async._protocol.reply import Host
from memories_async.errors import BadReply

finite = st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1)


def embedding(values=(0.5, -0.25, 1.0), model="m"):
    """A small one."""
    return Embedding(values, model=model)


def test_video_is_the_call_of_the_page():
    """Host, path, body and cost."""
    call = embed_call("re_1")

    assert (call.host, call.path) == (Host.EMBEDDINGS, "/serve/api/v2/embeddings/video")
    assert (call.family, call.unit, call.repeatable) == ("embeddings", "embedding", True)
    assert call.body.encode() == b'{"asset_id":"re_1","model":"multimodalembedding@001"}'


@pytest.mark.parametrize("name", ["asset_id", "model"])
def test_a_required_argument_must_not_be_empty(name):
    """Neither the asset nor the model."""
    with pytest.raises(ValueError, match=f"{name} must not be empty"):
        embeddings.video(**{"asset_id": "re_1", name: " "})


def test_an_embedding_has_its_model():
    """Only vectors of one model can be compared."""
    answer = embeddings.video("re_1", model="other").read(reply(EMBEDDED))

    assert answer == Embedding([0.5, -0.25, 1.0], model="other")


NUMBERS = [None, [], "0.5", {}, [True], ["0.5"], [None], [[0.5]], [0.5, "... (continues)"]]
NUMBERS += [[10**400], [1, 10**400]]


@pytest.mark.parametrize("numbers", NUMBERS)
def test_anything_but_numbers_is_a_bad_reply(numbers):
    """The documented sample holds a text among the numbers (fault case 44)."""
    with pytest.raises(BadReply) as caught:
        embed_call().read(reply({**EMBEDDED, "data": {"embedding": numbers}}))

    assert caught.value.body


@pytest.mark.parametrize("data", [None, [], [0.5], "x", {}])
def test_data_of_another_form_is_a_bad_reply(data):
    """It is never an empty vector."""
    with pytest.raises(BadReply, match="must be a list of numbers"):
        embed_call().read(reply({**EMBEDDED, "data": data}))


def test_booleans_are_refused():
    """Zeros and ones are numbers."""
    with pytest.raises(TypeError, match="not true or false"):
        Embedding([0.5, True], model="m")

    assert Embedding([0, 1.0, 1e308, -1e308], model="m").values == (0.0, 1.0, 1e308, -1e308)


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_not_finite_are_refused(wrong):
    """One of them would spoil every comparison."""
    with pytest.raises(ValueError, match="finite numbers only"):
        embedding([0.5, wrong])


def test_numbers_whose_sum_overflows_are_accepted():
    """Each of them is finite."""
    assert len(embedding([1e308, 1e308])) == 2


def test_an_empty_embedding_is_refused():
    """It has no meaning."""
    with pytest.raises(ValueError, match="must not be empty"):
        embedding([])


@given(finite)
def test_numbers_are_kept_exactly(values):
    """In 8 bytes each."""
    packed = embedding(values)

    assert packed.values == tuple(values)
    assert (len(packed), packed.itemsize) == (len(values), 8)
    assert memoryview(packed).nbytes == 8 * len(values)
    assert pickle.loads(pickle.dumps(packed)) == packed


def test_numpy_shares_the_memory_of_an_embedding():
    """A copy is made only on request."""
    packed = embedding()

    assert np.asarray(packed).tolist() == [0.5, -0.25, 1.0]
    assert np.shares_memory(np.asarray(packed), np.asarray(packed))
    assert np.asarray(packed, dtype="f4").dtype == np.float32
    assert packed.__array__(dtype="f4", copy=True).tolist() == [0.5, -0.25, 1.0]


def test_an_embedding_needs_no_numpy():
    """Importing it is left to the caller."""
    code = "import sys; sys.modules['numpy'] = None\nfrom memories_async import Embedding\n"
    code += "assert Embedding([1.0], model='m').values == (1.0,)"

    subprocess.run([sys.executable, "-c", code], check=True)


CHANGES = {
    "item": lambda one: one.__setitem__(0, 1.0),
    "deletion": lambda one: one.__delitem__(0),
    "sum": lambda one: one.__iadd__(array("d", [1.0])),
    "product": lambda one: one.__imul__(2),
    "append": lambda one: one.append(1.0),
    "byteswap": lambda one: one.byteswap(),
    "clear": lambda one: one.clear(),
    "extend": lambda one: one.extend([1.0]),
    "frombytes": lambda one: one.frombytes(bytes(8)),
    "fromlist": lambda one: one.fromlist([1.0]),
    "insert": lambda one: one.insert(0, 1.0),
    "pop": lambda one: one.pop(),
    "remove": lambda one: one.remove(0.5),
    "reverse": lambda one: one.reverse(),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_the_numbers_of_an_embedding_cannot_be_changed(change):
    """Every mutating method of an array raises."""
    one = embedding()

    with pytest.raises(TypeError, match="frozen"):
        change(one)
    assert one == embedding()


@pytest.mark.parametrize("name", ["model", "other"])
def test_the_attributes_of_an_embedding_cannot_be_changed(name):
    """Neither set nor deleted."""
    one = embedding()

    with pytest.raises(AttributeError, match="frozen"):
        setattr(one, name, "x")
    with pytest.raises(AttributeError, match="frozen"):
        delattr(one, name)


def test_embeddings_compare_by_numbers_and_model():
    """`==` and `!=` are opposites."""
    others = [embedding(model="n"), embedding([0.5]), array("d", embedding()), embedding().values]

    assert embedding() == embedding()
    assert not operator.ne(embedding(), embedding())
    for other in others:
        assert embedding() != other
        assert not operator.eq(embedding(), other)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_copy_of_an_embedding_is_the_same_value(copied):
    """With its model."""
    assert copied(embedding()) == embedding()


def test_the_repr_of_an_embedding_shows_a_few_numbers():
    """A thousand would fill the screen."""
    assert repr(embedding()) == "Embedding([0.5, -0.25, 1, ...], model='m', len=3)"


def test_an_image_is_sent_as_a_form():
    """With the model; it is billed apart from videos."""
    call = embeddings.image(PNG, model="mobileclip")
    file, model = call.body.parts

    assert (call.path, call.unit) == ("/serve/api/v2/embeddings/image", "image embedding")
    assert (file.name, file.content.name, file.content.content_type) == (
        "file",
        "image.png",
        "image/png",
    )
    assert (model.name, model.content) == ("model", "mobileclip")
    assert call.read(reply({"code": 200, "data": {"embedding": [0.5, 1]}})).model == "mobileclip"


@pytest.mark.parametrize(
    ("file", "options", "told"),
    [
        (b"", {}, "file must not be empty"),
        (b"no picture", {}, "file must be one of .jpg"),
        (PNG, {"model": " "}, "model must not be empty"),
        (PNG, {"max_image_size": 9}, "file must be at most 9 bytes"),
    ],
)
def test_a_wrong_image_is_refused_when_the_call_is_built(file, options, told):
    """The message names the argument."""
    with pytest.raises(ValueError, match=told):
        embeddings.image(file, **options)
