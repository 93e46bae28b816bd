"""What counts: worked out from all deliveries, so that their order does not matter."""

from __future__ import annotations

import pytest
from attrs import evolve

from memories_async.receiver import CallbackDelivery, CallbackRecord, Submission, Verdict
from memories_async.receiver._records import MAX_DELIVERIES

TICKET = Submission(id=b"i" * 16, call="captions.upload", issued_at=100.0)
FRESH = CallbackRecord(submission=TICKET)


def arrival(what: str, task_id="t1", *, final=True, at=101.0) -> CallbackDelivery:
    return CallbackDelivery(
        task_id=task_id, final=final, body=f'{{"what": "{what}"}}'.encode(), at=at
    )


def after(record: CallbackRecord, *arrivals: CallbackDelivery) -> CallbackRecord:
    for one in arrivals:
        if record.is_kept(record.judge(one, accept_for=1_000.0)):
            record = record.with_delivery(one)
    return record


def verdict(record: CallbackRecord, one: CallbackDelivery) -> Verdict:
    return record.judge(one, accept_for=1_000.0)


def test_the_first_clear_delivery_counts() -> None:
    """Later, different ones are kept as conflicts."""
    record = after(FRESH, arrival("one"))

    assert verdict(record, arrival("one")) is Verdict.REPEATED
    assert verdict(record, arrival("two")) is Verdict.CONFLICTING
    assert after(record, arrival("two")).outcome == arrival("one")


def test_a_clear_delivery_replaces_an_unclear_one() -> None:
    """What could not be read stands only until something readable comes."""
    record = after(FRESH, arrival("odd", final=False))
    assert record.outcome == arrival("odd", final=False)

    assert verdict(record, arrival("clear")) is Verdict.STORED
    assert after(record, arrival("clear")).outcome == arrival("clear")


def test_equal_meaning_is_equal_however_it_is_written() -> None:
    """Order and spaces make no conflict; what is too deep to compare does."""
    one, other = arrival("x"), arrival("x")
    texts = [b'{"a": 1, "b": "\\u00fc"}', '{"b":"ü",\n"a":1}'.encode(), b'{"a": 1, "b": "u"}']
    first, second, third = (evolve(one, body=text) for text in texts)
    deep = b"[" * 100_000 + b"]" * 100_000

    assert one.repeats(other)
    assert first.repeats(second)
    assert not first.repeats(third)
    assert not first.repeats(evolve(one, body=deep))


def test_another_tasks_delivery_is_refused_once_the_task_is_known() -> None:
    """A token is bound to its task; a body without a task belongs to the token's."""
    bound = evolve(FRESH, task_id="t1")

    assert verdict(bound, arrival("x", "t2")) is Verdict.REJECTED
    assert verdict(bound, arrival("x", None)) is Verdict.STORED


@pytest.mark.parametrize("order", [("t2", "t1"), ("t1", "t2")])
def test_the_submit_reply_decides_which_early_delivery_counts(order) -> None:
    """Whoever guessed first, the delivery for the task that the reply names wins."""
    early = after(FRESH, *(arrival(task_id, task_id) for task_id in order))

    bound = evolve(early, task_id="t1")

    assert bound.outcome == arrival("t1", "t1")
    assert bound.known_task_id == "t1"


def test_a_lost_reply_leaves_the_task_to_the_callback() -> None:
    """The first delivery names the task of a submission whose reply never came."""
    assert FRESH.known_task_id is None
    assert after(FRESH, arrival("x", "t9")).known_task_id == "t9"


def test_a_token_ends() -> None:
    """After its time nothing is taken any more."""
    assert verdict(FRESH, arrival("x", at=1_100.0)) is Verdict.STORED
    assert verdict(FRESH, arrival("x", at=1_100.1)) is Verdict.REJECTED


def test_deliveries_cannot_fill_the_disk() -> None:
    """Few are kept; the sender hears "later" only while none of them counts."""
    full = after(FRESH, *(arrival(str(n), final=n > 90) for n in range(MAX_DELIVERIES + 3)))
    decided = after(FRESH, *(arrival(str(n)) for n in range(MAX_DELIVERIES + 3)))

    assert len(full.deliveries) == len(decided.deliveries) == MAX_DELIVERIES
    assert verdict(full, arrival("more")) is Verdict.TOO_MANY
    assert verdict(decided, arrival("more")) is Verdict.CONFLICTING


def test_only_what_a_ledger_waits_for_is_owed() -> None:
    """A ledger is told of entries that have an outcome, a task, and were not told yet."""
    keyed = CallbackRecord(submission=evolve(TICKET, key="k"))

    assert after(keyed, arrival("x")).needs_reconciling
    assert not keyed.needs_reconciling
    assert not after(FRESH, arrival("x")).needs_reconciling
    assert not after(keyed, arrival("x", None)).needs_reconciling
    assert not after(evolve(keyed, is_reconciled=True), arrival("x")).needs_reconciling
