"""What the page "Why" says of this client exists under the name that it gives."""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from pathlib import Path

import pytest

import memories_async
from memories_async import Client, Policy, videos
from memories_async._client.configuration import VARIABLES

PAGE = Path(__file__).parents[2] / "docs" / "why.md"
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.read_text().partition("| feature |")[2].splitlines()[2:]
]
NAMES = sorted({name for row in ROWS for name in re.findall(r"`([^`]+)`", row[-1])})
OPTIONS = {
    *inspect.signature(Client).parameters,
    *inspect.signature(Policy).parameters,
    *inspect.signature(videos.upload).parameters,
}
SYSTEM = {"HTTPS_PROXY", "NO_PROXY"}
ERROR = {"billed", "headers", "body"}
TESTED_ELSEWHERE = {"memories-async completion", "with", "async with"}


@pytest.mark.parametrize("name", [name for name in NAMES if name not in TESTED_ELSEWHERE])
def test_a_name_in_our_column_exists(name):
    """As a public name, an option, a variable, or an attribute of an error."""
    if name in OPTIONS | SYSTEM | {one.name for one in VARIABLES}:
        return
    if name in ERROR:
        assert hasattr(memories_async.OutcomeUnknown("lost"), name)
        return
    found = memories_async
    path = name.removeprefix("memories_async.").split(".")
    for part in path:
        found = getattr(found, part, None) or import_module(f"{found.__name__}.{part}")
    assert found


def test_every_row_has_a_cell_for_each_package():
    """And every no of ours beside another's yes says why."""
    assert {len(row) for row in ROWS} == {5}
    assert all(row[-1] not in {"no", "**no**"} for row in ROWS)
