"""A ledger file of version 1: everything that was paid is found, whatever the files are called now.

`version_1.sql` was written by the code of version 1.
"""

from __future__ import annotations

import io
import sqlite3
from contextlib import closing
from pathlib import Path

import callers
import pytest
from samples import KEY

from memories_async import Ledger, Person, assets, captions, clips, embeddings, videos
from memories_async.errors import OutcomeUnknown, PaidElsewhere

JPEG, MOVIE = b"\xff\xd8\xffa picture of the tests", b"a film of the tests"
ARGUMENTS = {
    "user_prompt": "what happens?",
    "system_prompt": "be brief",
    "callback": "https://example.com/cb",
}
SERVER = "http://127.0.0.1:9"
"""The server of the old entries. Nothing listens there: an answer comes from the ledger."""


@pytest.fixture
def ledger(tmp_path):
    """A ledger on a copy of the old file."""
    with closing(sqlite3.connect(tmp_path / "run.db")) as file:
        file.executescript(Path(__file__).with_name("version_1.sql").read_text())
    with Ledger(tmp_path / "run.db") as made:
        yield made


def search(image, prompt="a red shirt"):
    return clips.search(image, prompt=prompt, video_no="VI1")


async def test_every_paid_call_is_answered_from_the_old_file(ledger):
    """Of every endpoint, and with files that are called otherwise now."""
    persons = [Person("\u00c4lice", image=JPEG)]
    calls = [
        search(JPEG),
        captions.upload_file(MOVIE, persons=persons, **ARGUMENTS),
        captions.upload("https://example.com/v.mp4", **ARGUMENTS),
        embeddings.video("re_1"),
        videos.upload(io.BytesIO(MOVIE), tags=["a"]),
        videos.upload_url("https://example.com/v.mp4"),
        assets.upload(MOVIE),
    ]
    async with callers.client(SERVER, ledger=ledger, api_key=KEY) as client:
        answers = [await client.send(call) for call in calls]

    assert [answer.task_id for answer in answers[1:3]] == ["task-2", "task-3"]
    assert answers[6].asset_id == "re_7"


async def test_an_old_unknown_call_is_not_sent(ledger):
    """Its picture was called .png then, and is bytes now; its old key settles it."""
    (entry,) = ledger.unknown()
    async with callers.client(SERVER, ledger=ledger, api_key=KEY) as client:
        with pytest.raises(OutcomeUnknown):
            await client.send(search(JPEG, "lost"))

    old_key = "6da2ba88a4a7c8cf16944633c8d6d8a792c9ba96"
    assert entry.key != old_key
    ledger.settle(old_key, paid=True, answer=[])
    assert ledger.find(old_key)[0].state == "done"


async def test_an_old_entry_is_known_under_another_account(ledger):
    """The old file has what is needed to say so."""
    async with callers.client(SERVER, ledger=ledger, account="team") as client:
        with pytest.raises(PaidElsewhere):
            await client.send(search(JPEG))


def test_the_upgrade_keeps_a_copy(ledger):
    """With the old schema, beside the file."""
    assert ledger.summary().total == 8

    with closing(sqlite3.connect(f"{ledger.path}.ledger-1.bak")) as copy:
        assert copy.execute("SELECT count(*) FROM entries").fetchone() == (8,)
