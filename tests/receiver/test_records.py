"""Which callback counts is computed from all of them, so that their order does not matter."""

from __future__ import annotations

import pytest
from attrs import evolve

from memories_async.receiver import CallbackDelivery, CallbackRecord, Submission, Verdict
from memories_async.receiver._records import MAX_DELIVERIES

SUBMISSION = Submission(id=b"i" * 16, call="captions.upload", issued_at=100.0)
NEW = CallbackRecord(submission=SUBMISSION)


def make_delivery(what: str, task_id="t1", *, final=True, at=101.0) -> CallbackDelivery:
    return CallbackDelivery(
        task_id=task_id, final=final, body=f'{{"what": "{what}"}}'.encode(), at=at
    )


def add(record: CallbackRecord, *deliveries: CallbackDelivery) -> CallbackRecord:
    for one in deliveries:
        _, record = record.add(one, accept_for=1_000.0)
    return record


def judge(record: CallbackRecord, one: CallbackDelivery) -> Verdict:
    return record.add(one, accept_for=1_000.0)[0]


def test_the_first_clear_callback_counts() -> None:
    """Different ones that come later are stored as conflicts."""
    record = add(NEW, make_delivery("one"))

    assert judge(record, make_delivery("one")) is Verdict.REPEATED
    assert judge(record, make_delivery("two")) is Verdict.CONFLICTING
    assert add(record, make_delivery("two")).outcome == make_delivery("one")


def test_a_clear_callback_replaces_an_unclear_one() -> None:
    """An unreadable callback counts only until a readable one comes."""
    record = add(NEW, make_delivery("odd", final=False))
    assert record.outcome == make_delivery("odd", final=False)

    assert judge(record, make_delivery("clear")) is Verdict.STORED
    assert add(record, make_delivery("clear")).outcome == make_delivery("clear")


def test_equal_json_is_a_repetition_however_it_is_written() -> None:
    """Order and spaces do not count; JSON nested too deeply is compared as bytes."""
    one, other = make_delivery("x"), make_delivery("x")
    texts = [b'{"a": 1, "b": "\\u00fc"}', '{"b":"ü",\n"a":1}'.encode(), b'{"a": 1, "b": "u"}']
    first, second, third = (evolve(one, body=text) for text in texts)
    deep = b"[" * 100_000 + b"]" * 100_000

    assert one.repeats(other)
    assert first.repeats(second)
    assert not first.repeats(third)
    assert not first.repeats(evolve(one, body=deep))


def test_another_tasks_callback_is_rejected_once_the_task_is_known() -> None:
    """A body that names no task belongs to the task of its token."""
    bound = evolve(NEW, task_id="t1")

    assert judge(bound, make_delivery("x", "t2")) is Verdict.REJECTED
    assert judge(bound, make_delivery("x", None)) is Verdict.STORED


@pytest.mark.parametrize("order", [("t2", "t1"), ("t1", "t2")])
def test_the_submit_reply_decides_which_early_callback_counts(order) -> None:
    """In either order, the callback for the task that the reply names counts."""
    early = add(NEW, *(make_delivery(task_id, task_id) for task_id in order))

    bound = evolve(early, task_id="t1")

    assert bound.outcome == make_delivery("t1", "t1")
    assert bound.known_task_id == "t1"


def test_the_callback_names_the_task_of_a_lost_reply() -> None:
    """The id of the first callback is used."""
    assert NEW.known_task_id is None
    assert add(NEW, make_delivery("x", "t9")).known_task_id == "t9"


def test_a_token_expires() -> None:
    """After `accept_for` seconds a callback is rejected."""
    assert judge(NEW, make_delivery("x", at=1_100.0)) is Verdict.STORED
    assert judge(NEW, make_delivery("x", at=1_100.1)) is Verdict.REJECTED


def test_callbacks_cannot_fill_the_disk() -> None:
    """A few are stored; the next is refused only while none of them is clear."""
    full = add(NEW, *(make_delivery(str(n), final=n > 90) for n in range(MAX_DELIVERIES + 3)))
    decided = add(NEW, *(make_delivery(str(n)) for n in range(MAX_DELIVERIES + 3)))

    assert len(full.deliveries) == len(decided.deliveries) == MAX_DELIVERIES == 8
    assert (full.final_callbacks, decided.final_callbacks) == (0, MAX_DELIVERIES + 3)
    assert judge(full, make_delivery("more")) is Verdict.TOO_MANY
    assert judge(decided, make_delivery("more")) is Verdict.CONFLICTING


def test_repetitions_are_counted_as_final_callbacks() -> None:
    """A waiter for news must learn that the service said the same again; nothing is stored twice."""
    record = add(NEW, *(make_delivery("x") for _ in range(3)), make_delivery("y", final=False))

    assert record.final_callbacks == 3
    assert len(record.deliveries) == 2
    assert add(NEW, make_delivery("x", at=2_000.0)).final_callbacks == 0


def test_the_content_type_decides_what_is_equal() -> None:
    """Bodies are compared as they are read, each in its own charset."""
    text = '{"what": "\u00e9"}'
    latin = CallbackDelivery.read(
        text.encode("latin-1"), content_type="a/b; charset=latin-1", at=1.0
    )
    utf8 = CallbackDelivery.read(text.encode(), content_type="", at=1.0)

    assert latin.repeats(utf8)
    assert CallbackDelivery.read(b"{", content_type="", at=1.0).repeats(utf8) is False


def test_only_a_submission_with_entry_task_and_callback_needs_reconciling() -> None:
    """A record is kept only until the ledger has it."""
    keyed = CallbackRecord(submission=evolve(SUBMISSION, key="k"))

    assert add(keyed, make_delivery("x")).needs_reconciling
    assert not keyed.needs_reconciling
    assert not add(NEW, make_delivery("x")).needs_reconciling
    assert not add(keyed, make_delivery("x", None)).needs_reconciling
    assert not add(evolve(keyed, is_reconciled=True), make_delivery("x")).needs_reconciling


def test_a_record_is_found_by_its_submission_and_by_its_task() -> None:
    """The task is known from the submit reply, or else from the callback that counts."""
    submission = b"i" * 16

    assert NEW.keys == (submission,)
    assert evolve(NEW, task_id="t1").keys == (submission, "t1")
    assert add(NEW, make_delivery("x", "t9")).keys == (submission, "t9")
    assert evolve(add(NEW, make_delivery("x", "t9")), task_id="t1").known_task_id == "t1"


def test_a_record_is_decided_by_a_clear_callback_alone() -> None:
    """An unclear one, or one for another task, leaves it open."""
    assert not NEW.is_decided
    assert not add(NEW, make_delivery("x", final=False)).is_decided
    assert not evolve(add(NEW, make_delivery("x", "t2")), task_id="t1").is_decided
    assert add(NEW, make_delivery("x")).is_decided


def test_a_body_that_cannot_be_read_names_no_task_and_repeats_only_itself() -> None:
    """Two different ones are two callbacks."""
    one, other = (CallbackDelivery.read(body, content_type="", at=1.0) for body in (b"{", b"["))

    assert (one.task_id, one.final, one.content_type) == (None, False, "")
    assert one.repeats(one)
    assert not one.repeats(other)
    assert "<1 bytes>" in repr(one)


def test_a_repetition_changes_nothing_but_the_count() -> None:
    """An unclear one is not counted either."""
    unclear = add(NEW, make_delivery("x", final=False))
    clear = add(NEW, make_delivery("x"))

    assert add(unclear, make_delivery("x", final=False)) == unclear
    assert add(clear, make_delivery("x")) == evolve(clear, final_repetitions=1)
    assert add(clear, make_delivery("x", "t1", at=9_999.0)) == clear


def test_eight_callbacks_are_stored() -> None:
    """The ninth is not."""
    full = add(NEW, *(make_delivery(str(n), final=False) for n in range(9)))

    assert [one.body for one in full.deliveries] == [make_delivery(str(n)).body for n in range(8)]
    assert judge(add(NEW, *full.deliveries[:7]), make_delivery("more")) is Verdict.STORED
