"""The request log shows each request without its content, and stays bounded."""

from __future__ import annotations

import hashlib
import json

from memories_async.local.engine.protocol import SearchResult
from memories_async.local.state import request_log as log_module
from memories_async.local.state.request_log import RequestLog


async def test_log_holds_sizes_and_hashes_and_no_content(service, search):
    """No prompt, no picture, no key."""
    await search(b"blue", prompt="secret café")
    await search(prompt=None)

    first, second = service.request_log
    assert (first.number, first.route, first.status, first.code) == (1, "clips.search", 200, "0000")
    assert first.uploads == (hashlib.sha256(b"blue").hexdigest(),)
    assert first.size > len(b"blue")
    assert first.ignored == ("café",)
    assert (second.code, second.arrival >= first.arrival) == ("0001", True)
    assert service.api_key not in repr(service.request_log)
    assert "secret" not in repr(service.request_log)


async def test_log_shows_a_request_that_is_under_way(service, search, engine):
    """It is added when it arrives."""
    seen = []

    def look(index, image, prompt):
        seen.extend(service.request_log)
        return SearchResult(clips=())

    engine.search = look

    await search()

    assert [(one.status, one.answered) for one in (*seen, *service.request_log)] == [
        (None, False),
        (200, True),
    ]


def test_log_drops_the_oldest_requests(monkeypatch):
    """So memory stays bounded."""
    monkeypatch.setattr(log_module, "KEPT", 2)
    request_log = RequestLog()
    for _ in range(3):
        request_log.add("clips.search", 0.0)

    assert [one.number for one in request_log.all()] == [2, 3]


def test_late_fact_of_a_dropped_request_is_ignored():
    """It reaches no newer request after a reset."""
    request_log = RequestLog()
    number = request_log.add("clips.search", 0.0)
    request_log.reset()
    request_log.add("clips.search", 1.0)

    request_log.update(number, status=200)

    assert [(one.number, one.status) for one in request_log.all()] == [(2, None)]


async def test_log_is_readable_over_http(service, search, send):
    """For a test in another process."""
    await search()

    told = json.loads((await send("/_local/requests", method="GET")).body)

    assert [(one["route"], one["status"]) for one in told] == [("clips.search", 200)]
