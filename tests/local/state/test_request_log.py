"""The request_log tells what came, and forgets what it should."""

from __future__ import annotations

import hashlib
import json

from memories_async.local.engine.protocol import SearchResult
from memories_async.local.state import request_log as log_module
from memories_async.local.state.request_log import RequestLog


async def test_tells_what_came_without_telling_what_was_in_it(service, search):
    """Sizes, hashes, outcome; no prompt, no picture, no key."""
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


async def test_shows_a_request_that_is_under_way(service, search, engine):
    """A request counts from its arrival on."""
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


def test_forgets_the_oldest_of_very_many(monkeypatch):
    """Memory stays bounded over a batch without end."""
    monkeypatch.setattr(log_module, "KEPT", 2)
    request_log = RequestLog()
    for _ in range(3):
        request_log.add("clips.search", 0.0)

    assert [one.number for one in request_log.all()] == [2, 3]


def test_a_late_fact_about_a_forgotten_request_is_dropped():
    """A reset does not mix the runs."""
    request_log = RequestLog()
    number = request_log.add("clips.search", 0.0)
    request_log.reset()
    request_log.add("clips.search", 1.0)

    request_log.update(number, status=200)

    assert [(one.number, one.status) for one in request_log.all()] == [(2, None)]


async def test_goes_over_the_wire(service, search, send):
    """A test in another process reads the same."""
    await search()

    told = json.loads((await send("/_local/requests", method="GET")).body)

    assert [(one["route"], one["status"]) for one in told] == [("clips.search", 200)]
