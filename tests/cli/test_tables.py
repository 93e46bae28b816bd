"""Tables of items: a damaged one is refused as a whole, before anything is charged."""

from __future__ import annotations

import re

import pytest

from memories_async.cli._tables import Columns, read_table

COLUMNS = Columns(required=(("asset_id",), ("prompt",)), optional=("model",))


@pytest.fixture
def read(tmp_path):
    """Read a table from text or bytes; *given* names columns that options fill in."""

    def read(content, *given, name="t.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return [dict(row) for row in read_table(path, COLUMNS, given)]

    return read


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_every_usual_delimiter_is_recognised(read, delimiter, start, end):
    """Spreadsheets write semicolons, tabs and a byte order mark, by their language."""
    lines = [("asset_id", "prompt"), ("re_1", '"a, b; c"'), ("re_2", "d")]

    rows = read(start + "".join(delimiter.join(line) + end for line in lines))

    assert rows == [
        {"asset_id": "re_1", "prompt": "a, b; c"},
        {"asset_id": "re_2", "prompt": "d"},
    ]


def test_a_spreadsheets_note_of_its_delimiter_is_skipped(read):
    """The line `sep=;` is no header."""
    assert read("sep=;\nasset_id;prompt\nre_1;a\n") == [{"asset_id": "re_1", "prompt": "a"}]


def test_a_prompt_may_have_several_lines(read):
    """Inside its quotes."""
    assert read('asset_id,prompt\nre_1,"a\nb"\n')[0]["prompt"] == "a\nb"


def test_other_columns_are_kept_and_empty_cells_left_out(read):
    """A table may have columns of the user's own; spreadsheets add empty ones."""
    rows = read("asset_id,prompt,model,notes,\nre_1,a,,mine,\n\n")

    assert rows == [{"asset_id": "re_1", "prompt": "a", "notes": "mine"}]


def test_an_option_replaces_a_missing_column(read):
    """Then the header need not have it."""
    assert read("asset_id\nre_1\n", "prompt") == [{"asset_id": "re_1"}]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('asset_id,prompt\nre_1,"a\nre_2,b\nre_3,c\n', "is a quote not closed?"),
        ('asset_id,prompt\nre_1,"a\nre_2,b"c\nre_3,c\n', "line 3: "),
        ("asset_id,prompt,prompt\nre_1,a,b\n", "two columns named 'prompt'"),
        ("asset_id,promt\nre_1,a\n", "no column 'prompt': the columns are asset_id, promt"),
        ("asset_id,promt\nre_1,a\n", "rename 'promt'"),
        ("Asset ID,prompt\nre_1,a\n", "rename 'Asset ID'"),
        ("asset_id,prompt,modle\nre_1,a,b\n", "did you mean 'model'?"),
        ("re_1\nre_2\n", "no column 'asset_id': the columns are re_1"),
        ("", "the columns are empty"),
        ("asset_id,prompt\nre_1\n", "line 2: there are 1 cells, and the header has 2"),
        ("asset_id,prompt\nre_1,a,b\n", "line 2: there are 3 cells, and the header has 2"),
        ("asset_id,prompt,\nre_1,a,b\n", "line 2: 'b' stands in a column without a name"),
        ("asset_id,prompt\nre_1\x00,a\n", "line 2: asset_id has the control character '\\x00'"),
        ('asset_id,prompt\n"re_1\nre_2",a\n', "asset_id has the control character '\\n'"),
        ("asset_id,prompt\nre_1,a\x1b[2J\n", "prompt has the control character"),
        (b"asset_id,prompt\nre_1,\xe4\n", "it is not UTF-8"),
        ("asset_id,prompt\n".encode("utf-16"), "it is not UTF-8"),
    ],
)
def test_a_damaged_table_is_refused(read, content, message):
    """The message names the line, or the columns found and the nearest name."""
    with pytest.raises(ValueError, match=re.escape(message)):
        read(content)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"asset_id": "re_1", "asset_id": "re_2"}', "two values named 'asset_id'"),
        ('{"asset_id": "re_1", "promt": "a"}', "did you mean 'prompt'?"),
        ('{"asset_id": "re_1\\u0000", "prompt": "a"}', "control character"),
        ('{"asset_id": "re_\\ud800", "prompt": "a"}', "control character"),
        ("[1]", "every line must be a JSON object"),
        ("{", "Expecting property name"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_a_damaged_line_of_json_is_refused(read, line, message):
    """With its number."""
    with pytest.raises(ValueError, match=rf"line 2: .*{re.escape(message)}"):
        read(f'{{"asset_id": "re_0", "prompt": "a"}}\n{line}\n', name="t.jsonl")
