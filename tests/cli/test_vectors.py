"""vectors: tables for people, one document for programs; what is wrong is a usage error."""

from __future__ import annotations

import json

import pytest
from vector_samples import make_films, np

from memories_async import Embedding, Ledger
from memories_async.vectors import Vectors


@pytest.fixture
def source(tmp_path):
    """Vectors of twelve films in four versions, in numpy's format."""
    made = {key: Embedding(one, model="m") for key, one in make_films(12).items()}
    Vectors.of(made).export(tmp_path / "run.npy")
    return tmp_path / "run.npy"


def write(path, text):
    """Write a table."""
    path.write_text(text)
    return path


def test_similar_lists_keys_and_cosines(cli, source):
    """In a table, and in a document."""
    ended = cli("vectors", "similar", source, "f3-c0", "-k", 3)

    assert ended.code == 0
    lines = ended.out.splitlines()
    assert lines[0].split() == ["key", "cosine"]
    assert {line.split()[0] for line in lines[1:]} == {"f3-c1", "f3-c2", "f3-c3"}
    document = cli("vectors", "similar", source, "f3-c0", "-k", 1, "--json").json
    assert document["query"] == "f3-c0"
    assert document["near"] == [{"key": "f3-c1", "cosine": document["near"][0]["cosine"]}]


@pytest.mark.parametrize("suffix", ["npy", "json"])
def test_a_vector_in_a_file_is_compared(cli, source, tmp_path, suffix):
    """As `embed --out` writes it."""
    vector = Vectors.of(source)["f5-c0"]
    path = tmp_path / f"query.{suffix}"
    if suffix == "npy":
        np.save(path, vector.astype(float))
    else:
        path.write_text(json.dumps({"embedding": vector.tolist(), "model": "m"}))

    document = cli("vectors", "similar", source, "--vector", path, "-k", 1, "--json").json
    assert document == {"query": str(path), "near": [{"key": "f5-c0", "cosine": 1.0}]}


def test_a_ledger_is_a_source(cli, service, video, tmp_path):
    """Its embeddings go by their asset id, or by the key of the batch."""
    with Ledger(tmp_path / "run.db") as ledger:  # noqa: SIM117  # reads better apart
        with service.blocking_client(ledger=ledger) as client:
            client.embeddings.video(video.asset_id)
    out = tmp_path / "out.npy"

    ended = cli("vectors", "export", tmp_path / "run.db", out, "--dtype", "float16", "--json")
    assert ended.json == {"out": str(out), "vectors": 1, "skipped": {}}
    assert Vectors.of(out, dtype="float16").keys == (video.asset_id,)
    assert "1 vector written to" in cli("vectors", "export", tmp_path / "run.db", out).out
    assert cli("vectors", "similar", tmp_path / "run.db", video.asset_id).out == ""


def test_duplicates_show_each_group(cli, source):
    """With each key's nearest in the group, and what the answer cannot tell."""
    ended = cli("vectors", "duplicates", source, "--threshold", 0.8)

    lines = [line.split() for line in ended.out.splitlines()]
    assert lines[1][:2] == ["1", "f0-c0"]
    assert lines[1][2].startswith("f0-")
    assert len(lines) == 1 + 48 + 1
    assert ended.out.endswith("12 groups of the same film or scene, at a cosine of 0.8 or more.\n")
    assert "need not show the same seconds" in ended.err
    document = cli("vectors", "duplicates", source, "--kind", "seconds", "--json").json
    assert document["kind"] == "same seconds"
    assert document["groups"][0]["pairs"][0]["cosine"] >= document["threshold"] == 0.98


def test_calibrate_shows_threshold_precision_and_recall(cli, source, tmp_path):
    """And the command that uses them; too few pairs are said to be too few."""
    copies = [f"f{n}-c0,f{n}-c{c}" for n in range(12) for c in (1, 2, 3)]
    path = write(tmp_path / "copies.csv", "first,second\n" + "\n".join(copies))

    ended = cli("vectors", "calibrate", source, path)
    assert "precision    1.000 (at least 0.9" in ended.out
    assert "measured on  36 copies of 12 videos, 1,056 others" in ended.out
    assert f"vectors duplicates {source} --threshold 0." in ended.err
    others = write(tmp_path / "others.jsonl", '{"first": "f0-c0", "second": "f1-c0"}\n')
    ended = cli("vectors", "calibrate", source, path, "--others", others)
    assert "Not to be trusted: 1 known pairs of others" in ended.out
    assert cli("vectors", "calibrate", source, path, "--json").json["recall"] == 1.0


def test_classify_shows_labels_and_accuracy(cli, source, tmp_path):
    """Of what has no label; the accuracy is of what has one."""
    rows = [f"f{n}-c{c},{'in' if n % 2 else 'out'}" for n in range(12) for c in (0, 1, 2)]
    path = write(tmp_path / "labels.csv", "key,label\n" + "\n".join(rows))

    ended = cli("vectors", "classify", source, path, "-k", 2)
    lines = [line.split() for line in ended.out.splitlines()]
    assert [line[:2] for line in lines[1:3]] == [["f0-c3", "out"], ["f1-c3", "in"]]
    assert ended.out.endswith("Accuracy on 36 labelled: 100.0% of the sure ones; 0.0% unsure.\n")
    assert cli("vectors", "classify", source, path, "--json").json["labelled"] == {
        "out": 18,
        "in": 18,
    }


def test_vectors_left_out_are_named(cli, tmp_path):
    """With their number, on stderr."""
    table = np.zeros((9, 4), np.float32)
    table[:2] = 1
    np.save(tmp_path / "x.npy", table)

    assert "7 of the vectors cannot be compared: 2 (zero)" in (
        cli("vectors", "similar", tmp_path / "x.npy", "0").err
    )
    ended = cli("vectors", "similar", tmp_path / "x.npy", "0", "--skip-invalid")
    assert "7 vectors left out: 2 (zero), 3 (zero), 4 (zero), 5 (zero), 6 (zero), ..." in ended.err
    assert ended.out.splitlines()[1].split() == ["1", "1.0000"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("similar", "run.npy", "f99"), "no vector has the key 'f99'; keys are such as 'f0-c0', "),
        (("similar", "run.npy", "f99"), "; --key-by item goes by the keys of a batch"),
        (("similar", "run.npy"), "give either KEY or --vector"),
        (("similar", "run.npy", "f0-c0", "--vector", "bad.json"), "give either KEY or --vector"),
        (("similar", "run.npy", "--vector", "bad.json"), "bad.json must have an embedding"),
        (("similar", "run.npy", "f0-c0", "-k", "0"), "k must be 1 or more, not 0"),
        (("duplicates", "run.npy", "--threshold", "2"), "threshold must be from -1 to 1"),
        (("calibrate", "run.npy", "labels.csv"), "there is no column 'first'"),
        (("calibrate", "run.npy", "gaps.csv"), "gaps.csv, row 1: second is empty"),
        (("classify", "run.npy", "labels.csv"), "two different labels"),
        (("export", "run.npy", "x.csv"), "must be called .parquet, .npy, .faiss, not 'x.csv'"),
        (("export", "bad.npy", "x.npy"), "is not a table of numbers"),
    ],
    ids=[
        *(
            "key",
            "item",
            "neither",
            "both",
            "vector",
            "k",
            "threshold",
            "columns",
            "gaps",
            "labels",
        ),
        *("suffix", "source"),
    ],
)
def test_what_is_wrong_is_a_usage_error(cli, source, monkeypatch, words, message):
    """It names the argument and the rule."""
    tmp_path = source.parent
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "bad.json", "{}")
    write(tmp_path / "bad.npy", "no numbers")
    write(tmp_path / "labels.csv", "key,label\nf0-c0,in\n")
    write(tmp_path / "gaps.csv", "first,second\nf0-c0,\n")

    ended = cli("vectors", *words)

    assert ended.code == 2
    assert message in ended.err


def test_the_help_has_the_default_thresholds(cli):
    """They are what the library uses where none is given."""
    from memories_async.vectors._duplicates import THRESHOLDS

    film, seconds = THRESHOLDS.values()

    assert f"[default: {film}; for seconds, {seconds}]" in " ".join(
        cli("vectors", "duplicates", "--help").out.split()
    )


def test_a_missing_package_is_a_usage_error(cli, source, monkeypatch):
    """The error says what to install."""
    import sys

    monkeypatch.setitem(sys.modules, "faiss", None)
    ended = cli("vectors", "export", source, source.with_suffix(".faiss"))

    assert ended.code == 2
    assert "pip install faiss-cpu" in ended.err
