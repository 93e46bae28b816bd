"""Exports of a ledger: other programs read them, memory stays constant, no formula is run."""

from __future__ import annotations

import csv
import json
import stat
import sys
import tracemalloc

import callers
import pytest
from samples import EMBEDDED, FOUND, embed_call, search_call
from servers import answer, hang_up, serving

from memories_async import Budget
from memories_async.errors import OutcomeUnknown
from memories_async.ledger._schema import SCHEMA


@pytest.fixture
async def filled(ledger):
    """A ledger with two embeddings of a batch, a search, and a call whose reply was lost."""
    calls = {"=cmd()": embed_call("re_1"), "b": embed_call("re_2")}
    prices = Budget(prices={"embedding": 2})
    async with serving(answer(EMBEDDED)) as server, callers.patient_client(server.url) as client:  # noqa: SIM117  # reads better apart
        async with client.batch(calls, ledger=ledger, budget=prices, concurrency=1) as batch:
            assert len([one async for one in batch]) == 2
    async with serving(answer(FOUND), hang_up) as server:  # noqa: SIM117  # reads better apart
        async with callers.patient_client(server.url, ledger=ledger) as client:
            await client.send(search_call())
            with pytest.raises(OutcomeUnknown):
                await client.send(embed_call("re_3"))
    return ledger


async def test_json_lines_hold_documents_and_iso_times(filled, tmp_path):
    """Answers and arguments are JSON documents, times are ISO 8601."""
    assert filled.export(tmp_path / "out.jsonl") == 4

    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["state"] for row in rows] == ["done", "done", "done", "unknown"]
    assert rows[0]["answer"] == {"embedding": [0.5, -0.25, 1]}
    assert rows[0]["asked"]["asset_id"] == "re_1"
    assert (rows[0]["cost"], rows[2]["cost"], rows[3]["answer"]) == (2.0, None, None)
    assert rows[0]["sent_at"].endswith("+00:00")


async def test_csv_quotes_what_a_spreadsheet_would_run(filled, tmp_path):
    """A key that looks like a formula gets a leading quote; everything else is unchanged."""
    assert filled.export(tmp_path / "out.csv", state="done") == 3

    with (tmp_path / "out.csv").open(newline="") as file:
        rows = [*csv.DictReader(file)]
    assert [row["item"] for row in rows] == ["'=cmd()", "b", ""]
    assert json.loads(rows[2]["answer"])[0]["score"] == 0.8631


async def test_pandas_polars_and_duckdb_read_the_parquet(filled, tmp_path):
    """Embeddings are lists of a fixed size."""
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    duckdb, parquet = pytest.importorskip("duckdb"), pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "out.parquet"
    assert filled.export(path) == 4

    assert parquet.read_schema(path).field("embedding").type.list_size == 3
    assert [*pandas.read_parquet(path)["embedding"][0]] == [0.5, -0.25, 1.0]
    frame = polars.read_parquet(path)
    assert frame["embedding"].dtype == polars.Array(polars.Float64, 3)
    assert frame["embedding"].null_count() == 2
    query = f"SELECT call, count(*) FROM '{path}' WHERE state = 'done' GROUP BY ALL ORDER BY ALL"
    assert duckdb.sql(query).fetchall() == [("clips.search", 1), ("embeddings.video", 2)]


async def test_vectors_of_another_length_are_left_out(filled, tmp_path):
    """The column has one length; embeddings of another length are null."""
    parquet = pytest.importorskip("pyarrow.parquet")
    longer = {**EMBEDDED, "data": {"embedding": [1.0, 2.0, 3.0, 4.0]}}
    async with serving(answer(longer)) as server:  # noqa: SIM117  # reads better apart
        async with callers.patient_client(server.url, ledger=filled) as client:
            await client.send(embed_call("re_4"))
    filled.export(tmp_path / "out.parquet", state="done")

    column = parquet.read_table(tmp_path / "out.parquet")["embedding"].to_pylist()
    assert [vector is None for vector in column] == [False, False, True, True]


def test_an_empty_ledger_is_an_empty_table(ledger, tmp_path):
    """With all columns but `embedding`."""
    parquet = pytest.importorskip("pyarrow.parquet")
    for name in ("out.csv", "out.jsonl", "out.parquet"):
        assert ledger.export(tmp_path / name) == 0

    assert parquet.read_table(tmp_path / "out.parquet").column_names[0] == "key"
    assert (tmp_path / "out.csv").read_text().startswith("key,item,call")


async def test_an_export_is_private_and_a_failed_one_leaves_no_file(filled, tmp_path, monkeypatch):
    """A failure in the middle leaves no partial file and the earlier export unchanged."""
    path = tmp_path / "out.jsonl"
    filled.export(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_bytes()

    def fail(_):
        raise OSError("no space")

    monkeypatch.setattr("memories_async.ledger._export.wire_json.dumps", fail)
    with pytest.raises(OSError, match="no space"):
        filled.export(path)

    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.glob(".out*")] == []


@pytest.mark.parametrize("name", ["out.xlsx", "out"])
def test_other_formats_are_refused(ledger, tmp_path, name):
    """The error names the formats there are."""
    with pytest.raises(ValueError, match=r"\.parquet"):
        ledger.export(tmp_path / name)


def test_parquet_without_pyarrow_names_the_extra(ledger, tmp_path, monkeypatch):
    """The error says what to install."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match="arrow"):
        ledger.export(tmp_path / "out.parquet")


def test_memory_does_not_grow_with_the_entries(file_ledger, tmp_path):
    """Ten times the entries take the same peak."""
    peaks = []
    for count in (2_000, 20_000):
        file_ledger.database.write_now(lambda connection, n=count: _insert(connection, n))
        tracemalloc.start()
        file_ledger.export(tmp_path / "out.jsonl")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()

    assert SCHEMA.name == "ledger"
    assert peaks[1] < 1.5 * peaks[0]


def _insert(connection, count):
    connection.executemany(
        "INSERT INTO entries (key, call, asked, account, unit, state, planned_at)"
        " VALUES (?, 'clips.search', '{}', 'a', 'search', 'planned', 1.0)",
        ((number.to_bytes(20, "big"),) for number in range(count)),
    )
