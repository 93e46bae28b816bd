"""The path of one call through the package: few frames, few files, and no name twice."""

from __future__ import annotations

import sys
import traceback
from collections import Counter
from pathlib import Path

import callers
import pytest
from samples import EMBEDDED, FOUND, embed_call, search_call
from servers import answer, hang_up, serving

import memories_async
from memories_async import Ledger
from memories_async.errors import OutcomeUnknown

PACKAGE = Path(memories_async.__file__).parent


def is_ours(path: str) -> bool:
    """Whether a file belongs to the package."""
    return Path(path).is_relative_to(PACKAGE)


async def record_path(client, call) -> list[tuple[str, str]]:
    """Send *call* and return the file and name of every function of ours that it enters."""
    entered: list[tuple[str, str]] = []

    def note(frame, event, _):
        if event == "call" and is_ours(frame.f_code.co_filename):
            entered.append((frame.f_code.co_filename, frame.f_code.co_qualname))

    sys.setprofile(note)
    try:
        await client.send(call)
    finally:
        sys.setprofile(None)
    return entered


@pytest.mark.parametrize(("has_ledger", "most"), [(False, 5), (True, 8)])
async def test_a_traceback_shows_few_frames_of_ours(has_ledger, most, tmp_path):
    """From the user's line to the wire; with a ledger there are a few more."""
    with Ledger(tmp_path / "run.db") as ledger:
        settings = {"ledger": ledger} if has_ledger else {}
        async with serving(hang_up) as server, callers.client(server.url, **settings) as client:
            with pytest.raises(OutcomeUnknown) as caught:
                await client.clips.search(b"BM x", prompt="p", video_no="VI1")

    frames = [one for one in traceback.extract_tb(caught.tb) if is_ours(one.filename)]
    names = [frame.name for frame in frames]
    assert len(frames) <= most, names
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("call", "reply", "most"), [(embed_call(), EMBEDDED, 14), (search_call(), FOUND, 17)]
)
async def test_a_call_passes_through_few_files(call, reply, most):
    """Whoever follows a call opens at most 14 files of the package; a file to send adds three."""
    async with serving(answer(reply)) as server, callers.client(server.url) as client:
        await client.send(call)
        entered = await record_path(client, call)

    files = {Path(file).relative_to(PACKAGE).as_posix() for file, _ in entered}
    assert len(files) <= most, sorted(files)


async def test_no_two_functions_on_the_path_of_a_call_have_one_name():
    """A reader who looks for a step finds one function. aiohttp's names are its own."""
    async with serving(answer(FOUND)) as server, callers.client(server.url) as client:
        await client.send(search_call())
        entered = await record_path(client, search_call(prompt="another"))

    steps = {name for _, name in entered if not name.endswith(("__", ">"))}
    names = Counter(name.rpartition(".")[2] for name in steps)
    assert not {name: count for name, count in names.items() if count > 1}, sorted(steps)
