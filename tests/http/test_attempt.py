"""The progress of one attempt, and what a connection keeps of it."""

from __future__ import annotations

import gc
import weakref

import pytest
from servers import answer, serving

from memories_async._http.attempt import Attempt
from memories_async._http.direct import build_transport
from memories_async._protocol.keys import Key


def build_attempt(**changes):
    """An attempt that is not begun."""
    key = Key("local-attempt", variable="X")
    url, limits = "http://127.0.0.1:1/", {"connect_timeout": 1, "timeout": 1, "deadline": None}
    return Attempt(**{"url": url, "body": None, "key": key, **limits, **changes})


async def test_an_attempt_is_sent_from_its_first_byte_on():
    """Whoever asked to be told is told, once."""
    told = []
    attempt = build_attempt(on_sent=lambda: told.append(1))

    with attempt.start_limit():
        assert not attempt.has_sent
        attempt.note_sent()

    assert attempt.has_sent
    assert told == [1]


async def test_a_mistake_of_a_progress_callback_ends_no_upload(caplog):
    """It is logged; the upload may be billed."""
    attempt = build_attempt(progress=lambda sent, size: 1 / 0)

    with attempt.start_limit():
        attempt.note_chunk(5)

    assert "a progress callback raised" in caplog.text


@pytest.mark.parametrize("kind", ["direct", "reference"])
async def test_a_connection_keeps_no_reference_to_the_attempt_that_opened_it(kind):
    """The connection is kept for later requests; the body and the key are not."""
    transport = build_transport(user_agent="mine", ssl=None, kind=kind)
    async with serving(answer({})) as server:
        attempt = build_attempt(url=server.url)
        await transport.carry(attempt)

        reference = weakref.ref(attempt)
        del attempt
        gc.collect()
        assert reference() is None
        await transport.aclose()
