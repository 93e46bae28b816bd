"""Vectors come from a ledger, Parquet, numpy's files, mappings and streams; what differs is refused."""

from __future__ import annotations

import json
import sys
import tracemalloc

import callers
import pytest
from samples import EMBEDDED, FOUND, embed_call, search_call
from servers import answer, serving
from vector_samples import np

from memories_async import Embedding, Ledger, embeddings
from memories_async.vectors import Vectors
from memories_async.vectors._store import widen


def embedded(*numbers):
    """The reply with a vector."""
    return answer({**EMBEDDED, "data": {"embedding": numbers}})


async def fill(ledger, calls, *replies, account="team"):
    """Send *calls*, keys and calls, so that *ledger* holds the answers."""
    async with serving(*replies) as server:  # noqa: SIM117  # reads better apart
        async with callers.patient_client(server.url, account=account) as client:
            async with client.batch(calls, ledger=ledger, concurrency=1) as batch:
                return [one.result() async for one in batch]


@pytest.fixture
async def filled(tmp_path):
    """A ledger with two embeddings and a search."""
    with Ledger(tmp_path / "run.db") as ledger:
        calls = {"a.mp4": embed_call("re_1"), "b.mp4": embed_call("re_2"), "c": search_call()}
        await fill(ledger, calls, embedded(3, 4), embedded(1, 0), answer(FOUND))
        yield ledger


@pytest.mark.parametrize("dtype", ["float32", "float16"])
async def test_a_ledger_gives_its_embeddings_by_asset_id(filled, dtype):
    """With the model and the account; searches are left aside."""
    vectors = Vectors.of(filled, dtype=dtype)

    assert vectors.keys == ("re_1", "re_2")
    assert (vectors.model, vectors.account) == (embeddings.DEFAULT_MODEL, "team")
    assert (len(vectors), vectors.dimensions, dict(vectors.skipped)) == (2, 2, {})
    assert [near.key for near in vectors.similar("re_1")] == ["re_2"]
    assert vectors.similar("re_1")[0].cosine == pytest.approx(0.6, abs=1e-3)


async def test_a_ledger_gives_its_embeddings_by_the_keys_of_a_batch(filled):
    """Which are often names of files."""
    assert Vectors.of(filled, key_by="item").keys == ("a.mp4", "b.mp4")
    with pytest.raises(ValueError, match="key_by must be"):
        Vectors.of(filled, key_by="name")


async def test_an_exported_ledger_is_read_like_the_ledger(filled, tmp_path):
    """The same keys, numbers and model, from a file or a folder of files."""
    pytest.importorskip("pyarrow", reason="Parquet needs pyarrow")
    (tmp_path / "out").mkdir()
    filled.export(tmp_path / "out" / "run.parquet")

    for place in (tmp_path / "out" / "run.parquet", tmp_path / "out"):
        vectors = Vectors.of(place)
        assert (vectors.keys, vectors.account) == (("re_1", "re_2"), "team")
        assert vectors["re_1"].tolist() == [3.0, 4.0]


async def test_of_two_answers_to_one_call_the_newer_counts(filled):
    """A call that was sent anew replaces its vector."""
    async with serving(embedded(0, 5)) as server:  # noqa: SIM117  # reads better apart
        async with callers.patient_client(server.url, account="team", ledger=filled) as client:
            await client.send(embed_call("re_1"), fresh=True)

    vectors = Vectors.of(filled)
    assert vectors.keys == ("re_1", "re_2")
    assert vectors["re_1"].tolist() == [0.0, 5.0]


async def test_a_picture_is_named_by_its_call_where_no_batch_named_it(tmp_path):
    """It has no asset id."""
    from samples import PNG

    with Ledger(tmp_path / "run.db") as ledger:
        async with serving(answer({**EMBEDDED, "data": [{"embedding": [1, 2]}]})) as server:  # noqa: SIM117  # reads better apart
            async with callers.patient_client(server.url, ledger=ledger) as client:
                await client.send(embeddings.image(PNG))

        (entry,) = ledger.entries()
        assert Vectors.of(ledger).keys == (entry.key[:12],)


async def test_two_accounts_are_refused_together(filled):
    """Unless one is chosen, or it is said that they are one service's."""
    await fill(filled, {"d": embed_call("re_9")}, embedded(0, 1), account="other")

    with pytest.raises(ValueError, match=r"differ in account \('team': re_1, re_2; 'other': re_9"):
        Vectors.of(filled)
    assert Vectors.of(filled, account="other").keys == ("re_9",)
    mixed = Vectors.of(filled, mixed=True)
    assert (len(mixed), mixed.account) == (3, None)


def test_two_models_are_refused_together():
    """Unless one is chosen, or the caller wants both."""
    source = {"a": Embedding([1, 0], model="m"), "b": Embedding([0, 1], model="n")}

    with pytest.raises(ValueError, match=r"differ in model \('m': a; 'n': b\).*model="):
        Vectors.of(source)
    assert Vectors.of(source, model="n").keys == ("b",)
    assert Vectors.of(source, mixed=True).model is None


def test_two_lengths_are_refused_together_always():
    """They have no cosine; the error counts and names them."""
    source = {f"k{n}": [1.0, 2.0] for n in range(7)} | {"long": [1.0, 2.0, 3.0]}

    with pytest.raises(ValueError, match=r"dimensions \(2: k0, .*k4 and 2 more; 3: long"):
        Vectors.of(source, mixed=True)
    assert Vectors.of(source, dimensions=3).keys == ("long",)


BAD = {"empty": [], "zero": [0.0, 0.0], "nan": [float("nan"), 1.0], "huge": [1e200, 1e200]}


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_vectors_without_a_direction_are_refused_by_key(dtype):
    """Or left out and counted."""
    source = {"a": [1.0, 0.0], **BAD, "b": [1.0, 1.0]}

    with pytest.raises(ValueError, match=r"empty.*zero.*nan.*huge.*skip_invalid=True"):
        Vectors.of(source, dtype=dtype)
    vectors = Vectors.of(source, dtype=dtype, skip_invalid=True)
    assert vectors.keys == ("a", "b")
    assert vectors.skipped == {
        "empty": "empty",
        "zero": "zero",
        "nan": "not finite",
        "huge": "not finite",
    }
    assert vectors.similar("a")[0].cosine == pytest.approx(0.7071, abs=1e-3)


def test_a_paid_call_without_a_vector_is_refused_by_key(tmp_path):
    """It was settled by hand, without its answer."""
    with Ledger(tmp_path / "run.db") as ledger:
        ledger.summary()
        ledger.database.write_now(
            lambda db: db.execute(
                "INSERT INTO entries (key, call, asked, account, unit, state, planned_at) VALUES"
                " (x'00', 'embeddings.video', '{\"asset_id\": \"re_5\"}', 'a', 'embedding',"
                " 'done', 1.0)"
            )
        )

        with pytest.raises(ValueError, match=r"re_5 \(empty\)"):
            Vectors.of(ledger)


@pytest.mark.parametrize(
    ("source", "error", "words"),
    [
        ([("a", [1.0]), ("a", [2.0])], ValueError, "two vectors have the key 'a'"),
        ({"a": ["x"]}, TypeError, "'a' must hold numbers only"),
        ({"a": [[1.0]]}, ValueError, "'a' must be one row"),
        ({7: [1.0]}, TypeError, "key must be text, not 7"),
        ("vectors.csv", ValueError, r"\.parquet or \.npy, not 'vectors.csv'"),
    ],
    ids=["twice", "text", "table", "number", "suffix"],
)
def test_what_is_no_vector_is_refused(source, error, words):
    """The error names the key and the rule."""
    with pytest.raises(error, match=words):
        Vectors.of(source)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"dtype": "float64"}, "dtype must be"),
        ({"dimensions": 0}, "dimensions must be 1 or more, not 0"),
    ],
    ids=["dtype", "dimensions"],
)
def test_settings_are_checked(options, words):
    """Before anything is read."""
    with pytest.raises(ValueError, match=words):
        Vectors.of({}, **options)


def test_a_stream_is_read_once_and_nothing_of_it_is_kept_in_memory():
    """The numbers go to a file: ten times the vectors take no more memory than their keys do."""
    row = np.ones(1024)
    peaks = []
    for count in (200, 2_000):
        tracemalloc.start()
        vectors = Vectors.of((str(n), row) for n in range(count))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert len(vectors) == count

    assert peaks[1] - peaks[0] < 1_800 * 1024


def test_no_vectors_are_an_empty_answer():
    """Not an error: a ledger may have none yet."""
    vectors = Vectors.of({})

    assert (len(vectors), vectors.keys, [*vectors]) == (0, (), [])
    assert vectors.similar([1.0]) == ()


def test_a_numpy_file_is_used_where_it_is(tmp_path, films):
    """Its rows are called by their numbers, unless a file beside it names them."""
    table = np.array([*films.values()], np.float32)
    np.save(tmp_path / "x.npy", table)

    vectors = Vectors.of(tmp_path / "x.npy")
    assert vectors.keys[:2] == ("0", "1")
    assert not vectors.store.matrix.flags.writeable

    document = {"keys": [*films], "model": "m", "account": None}
    (tmp_path / "x.keys.json").write_text(json.dumps(document))
    vectors = Vectors.of(tmp_path / "x.npy")
    assert (vectors.keys, vectors.model) == (tuple(films), "m")
    assert np.array_equal(vectors["f1-c0"], table[4])
    assert "f1-c0" in vectors
    assert "f9" not in vectors
    assert len(Vectors.of(tmp_path / "x.npy", model="n")) == 0


@pytest.mark.parametrize("kind", ["float64", "float16", "column order"])
def test_other_numpy_files_are_converted(tmp_path, films, kind):
    """Into the type that was asked for."""
    table = np.array([*films.values()])
    table = np.asfortranarray(table, np.float32) if kind == "column order" else table.astype(kind)
    np.save(tmp_path / "x.npy", table)

    vectors = Vectors.of(tmp_path / "x.npy")
    assert vectors.store.matrix.dtype == np.float32
    assert np.allclose(vectors["3"], table[3], atol=1e-2)


def test_bad_rows_of_a_numpy_file_are_refused_or_left_out(tmp_path):
    """Like those of every other source."""
    np.save(tmp_path / "x.npy", np.array([[1, 0], [0, 0], [0, 1]], np.float32))

    with pytest.raises(ValueError, match=r"1 \(zero\)"):
        Vectors.of(tmp_path / "x.npy")
    assert Vectors.of(tmp_path / "x.npy", skip_invalid=True).keys == ("0", "2")


def test_files_that_are_no_table_are_refused(tmp_path):
    """The error names the file."""
    np.save(tmp_path / "one.npy", np.ones(3, np.float32))
    (tmp_path / "text.npy").write_text("hello")
    np.save(tmp_path / "two.npy", np.ones((2, 2), np.float32))
    (tmp_path / "two.keys.json").write_text('{"keys": ["a"]}')

    with pytest.raises(ValueError, match=r"one\.npy must hold one table"):
        Vectors.of(tmp_path / "one.npy")
    with pytest.raises(ValueError, match=r"text\.npy is not a table"):
        Vectors.of(tmp_path / "text.npy")
    with pytest.raises(ValueError, match=r"two.keys\.json must name 2 keys"):
        Vectors.of(tmp_path / "two.npy")
    (tmp_path / "two.keys.json").write_text("[]")
    with pytest.raises(ValueError, match=r"two.keys\.json must name 2 keys"):
        Vectors.of(tmp_path / "two.npy")


def test_a_table_of_another_program_is_read(tmp_path):
    """With lists of any length; a row without a list is refused by its key."""
    arrow = pytest.importorskip("pyarrow", reason="Parquet needs pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "x.parquet"
    rows = {"asset_id": ["re_1", "re_2"], "embedding": [[1.0, 0.0], None]}
    parquet.write_table(arrow.table(rows), path)

    with pytest.raises(ValueError, match=r"re_2 \(empty\)"):
        Vectors.of(path)
    assert Vectors.of(path, skip_invalid=True).keys == ("re_1",)
    parquet.write_table(arrow.table({"name": ["a"]}), path)
    with pytest.raises(ValueError, match="must have the columns embedding"):
        Vectors.of(path)


def test_missing_packages_are_named(tmp_path, monkeypatch):
    """With the extra that brings them."""
    import memories_async.vectors

    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(ImportError, match=r"memories_async\[arrow\]"):
        Vectors.of(tmp_path / "x.parquet")
    for name in [*sys.modules]:
        if name.startswith("memories_async.vectors._"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr(memories_async.vectors, "Vectors")
    monkeypatch.setitem(sys.modules, "numpy", None)
    with pytest.raises(ModuleNotFoundError, match=r"memories_async\[vectors\]"):
        memories_async.vectors.Vectors  # noqa: B018  # the access imports


def test_every_half_is_widened_exactly():
    """Subnormal ones and zeros of both signs among them."""
    halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    halves = halves[np.isfinite(halves)]
    floats = np.empty(halves.shape, np.float32)

    widen(halves, floats)

    assert np.array_equal(floats, halves.astype(np.float32))
    assert np.array_equal(np.signbit(floats), np.signbit(halves))


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_an_infinite_row_of_a_numpy_file_is_refused(tmp_path, dtype):
    """In the file's own type too."""
    np.save(tmp_path / "x.npy", np.array([[1, 2], [np.inf, 1], [np.nan, 1]], dtype))

    with pytest.raises(ValueError, match=r"1 \(not finite\), 2 \(not finite\)"):
        Vectors.of(tmp_path / "x.npy", dtype=dtype)
