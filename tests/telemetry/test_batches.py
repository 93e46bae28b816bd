"""The trace of a batch, as it reads."""

from __future__ import annotations

import asyncio

import pytest
from attrs import define, field
from callers import Scripted, Unlimited, over
from samples import EMBEDDED, LIMITED, embed_call, reply
from spans import draw_tree

from memories_async import Ledger, OutcomeUnknown


@define(eq=False)
class Outages(Scripted):
    """Follows the script, and then never answers."""

    is_silent: asyncio.Event = field(factory=asyncio.Event)

    async def carry(self, request):
        request.on_sent()
        if len(self.requests) == len(self.script):
            self.is_silent.set()
            await asyncio.sleep(60)
        return await super().carry(request)


@pytest.fixture
async def trace(recorded, tmp_path):
    """One item is replayed, one refused for its rate, one loses its reply, one is cancelled."""
    script = [reply(EMBEDDED), reply(LIMITED, status=429), reply(EMBEDDED), OutcomeUnknown("lost")]
    items = {name: embed_call(name) for name in ("replayed", "limited", "lost", "cancelled")}
    transport = Outages(script)
    with Ledger(tmp_path / "run.db") as ledger:
        one = over(transport, observers=[recorded.observer()], ledger=ledger, limiter=Unlimited())
        await one.send(items["replayed"])
        recorded.spans_in_memory.clear()
        with recorded.tracer.start_as_current_span("nightly job"):
            async with one.batch(items, concurrency=1, drain=0.01) as batch:
                async for outcome in batch:
                    if outcome.key == "lost":
                        await transport.is_silent.wait()
                        break
    return recorded


async def test_a_batch_is_a_span_above_its_items(trace):
    """Its counts are its attributes."""
    batch = trace.find("batch")
    items = [span for span in trace.spans if span.name.startswith("embeddings")]
    counts = {
        name.removeprefix("memories.items."): count
        for name, count in batch.attributes.items()
        if name.startswith("memories.items.")
    }

    assert batch.parent.span_id == trace.find("nightly job").context.span_id
    assert {item.parent.span_id for item in items} == {batch.context.span_id}
    assert counts == {
        "done": 1,
        "replayed": 1,
        "refused": 0,
        "unknown": 1,
        "unsent": 0,
        "cancelled": 1,
    }
    assert batch.attributes["memories.items"] == 4


TREE = """\
nightly job  INTERNAL
  batch  INTERNAL  ERROR  items=4 items.done=1 items.replayed=1 items.refused=0 items.unknown=1 \
items.unsent=0 items.cancelled=1 error.type=CancelledError
    embeddings multimodalembedding@001  CLIENT  \
item=replayed outcome=done billed=no replayed=True attempts=0
    embeddings multimodalembedding@001  CLIENT  \
item=limited outcome=done billed=yes replayed=False attempts=2
      · wait  wait.reason=rate
      POST  CLIENT  ERROR  code=0429 error.type=429 http.response.status_code=429 billed=no
        · sent
      POST  CLIENT  http.request.resend_count=1 http.response.status_code=200 billed=yes
        · sent
    embeddings multimodalembedding@001  CLIENT  ERROR  \
item=lost outcome=unknown billed=maybe replayed=False attempts=1 error.type=OutcomeUnknown
      POST  CLIENT  ERROR  error.type=OutcomeUnknown billed=maybe
        · sent
    embeddings multimodalembedding@001  CLIENT  ERROR  \
item=cancelled outcome=cancelled billed=maybe replayed=False attempts=1 error.type=CancelledError
      POST  CLIENT  ERROR  error.type=CancelledError billed=maybe
        · sent"""


async def test_the_trace_reads_right(trace):
    """Each item says what became of it, what it cost, and how many requests it took."""
    drawn = draw_tree(trace.spans, durations=False)

    # A wait of a permit is an event only where it took a while, as on a loaded machine.
    assert "\n".join(line for line in drawn.splitlines() if "· permit" not in line) == TREE
