"""Each move of an entry by itself, on one ledger that two processes share."""

from __future__ import annotations

import time

import pytest
from ledgers import end_process, owner_name

from memories_async._protocol.call import derive_fingerprint
from memories_async.ledger import Ledger
from memories_async.ledger._schema import AttemptEnd, EntryKey
from memories_async.ledger._store import DIED


@pytest.fixture
def stores(place):
    """The stores of two processes."""
    ledgers = [Ledger(place) for _ in range(2)]
    yield [one.coordinator.store for one in ledgers]
    for one in ledgers:
        one.close()


def make_key(content=b"c" * 20, account="a") -> EntryKey:
    return EntryKey(
        key=derive_fingerprint(content, account),
        content=content,
        call="clips.search",
        asked="{}",
        account=account,
        unit="search",
    )


KEY, OTHER = make_key(), make_key(b"d" * 20)


def claim(store, key=KEY, *, fresh=False, resend=False):
    """The entry, and the owner's name."""
    (claimed,) = store.write_now(lambda moves: moves.claim_all([key], fresh=fresh, resend=resend))
    return claimed


def move(store, name, *args, **options):
    """Run one move in a transaction of its own."""
    return store.write_now(lambda moves: getattr(moves, name)(*args, **options))


def send(store, key=KEY, **options):
    """Claim an entry and record the intent to send; its id and owner."""
    row, owner = claim(store, key, **options)
    assert owner is not None
    assert move(store, "begin", row.id, owner, 2.0)
    return row.id, owner


def lose(store, key=KEY):
    """Make an entry unknown."""
    entry, owner = send(store, key)
    move(store, "stop", entry, owner, AttemptEnd(state="unknown"))
    return entry


def test_entries_are_claimed_together_as_each_would_be_alone(stores):
    """A paid one is found by its key where it has no content, another account's by its content."""
    store, theirs, new = stores[0], make_key(b"e" * 20, "b"), make_key(b"f" * 20)
    for key in (KEY, theirs):
        entry, _ = send(store, key)
        assert move(store, "finish", entry, 200, b"{}")
    forget_content = "UPDATE entries SET content = NULL WHERE account = 'a'"
    store.write_now(lambda moves: moves.connection.execute(forget_content))

    claims = move(
        store, "claim_all", [KEY, make_key(b"e" * 20), new, OTHER, new], fresh=False, resend=False
    )
    states = [(row.state, row.account, owner is not None) for row, owner in claims]

    assert states[:2] == [("done", "a", False), ("done", "b", False)]
    assert [(state, is_ours) for state, _, is_ours in states[2:]] == [("planned", True)] * 3
    assert claims[2][0].id == claims[4][0].id != claims[3][0].id


def columns(store, names, table="entries"):
    """Columns of all rows."""
    statement = f"SELECT {names} FROM {table} ORDER BY 1"
    return store.database.read_now(lambda db: db.execute(statement).fetchall())


def test_one_process_claims_an_entry_and_the_other_is_told(stores):
    """The row has what identifies the call, and its owner."""
    one, two = stores
    row, owner = claim(one)

    assert (row.state, owner) == ("planned", owner_name(one))
    assert claim(two) == (move(two, "find", KEY.key), None)
    assert columns(one, "key, content, call, asked, account, unit, owner") == [
        (bytes.fromhex(KEY.key), KEY.content, "clips.search", "{}", "a", "search", owner)
    ]
    assert abs(columns(one, "planned_at")[0][0] - time.time()) < 60


def test_a_process_claims_again_what_a_task_of_its_own_left(stores):
    """Planned it may be sent; it is unknown where it was being sent."""
    one, _ = stores
    row, owner = claim(one)

    again, name = claim(one)
    assert (again.id, again.state, name) == (row.id, "planned", owner)
    assert move(one, "begin", row.id, owner, None)
    again, name = claim(one)
    assert (again.state, again.message, name) == ("unknown", DIED, None)


def test_what_a_dead_process_was_sending_is_unknown(stores):
    """Only `resend` claims it."""
    one, two = stores
    entry, _ = send(one)
    end_process(one)

    row, owner = claim(two)
    assert (row.id, row.state, row.message, owner) == (entry, "unknown", DIED, None)
    assert columns(two, "owner") == [(None,)]
    row, owner = claim(two, resend=True)
    assert (row.id, row.state, owner) == (entry, "unknown", owner_name(two))
    assert columns(two, "owner") == [(owner,)]


def test_an_intent_is_recorded_once_and_by_the_owner(stores):
    """Not for another process, nor while the entry is being sent, nor once it is done."""
    one, two = stores
    row, owner = claim(one)

    assert not move(one, "begin", row.id, owner_name(two), None)
    assert move(one, "begin", row.id, owner, 2.0)
    assert not move(one, "begin", row.id, owner, 2.0)
    assert columns(one, "state, attempts, doubts, price") == [("sending", 1, 0, 2.0)]
    assert move(one, "finish", row.id, 200, b"{}")
    assert not move(one, "begin", row.id, owner, 2.0)


def test_sending_an_unknown_entry_again_counts_a_doubt(stores):
    """Its first attempt may have been paid."""
    one, _ = stores
    lose(one)
    send(one, resend=True)

    assert columns(one, "state, attempts, doubts") == [("sending", 2, 1)]


def test_an_entry_keeps_its_first_reply(stores):
    """It is done and never sent again, whatever comes after."""
    one, two = stores
    entry, owner = send(one)

    assert move(one, "finish", entry, 200, b"first") is True
    assert move(two, "finish", entry, 201, b"second") is False
    move(one, "stop", entry, owner, AttemptEnd(state="refused", body=b"third"))
    row, name = claim(two, resend=True)
    assert (row.state, row.status, row.body, row.owner, name) == ("done", 200, b"first", None, None)


def test_fresh_gets_an_entry_of_its_own(stores):
    """The one that is done stays."""
    one, _ = stores
    entry, _ = send(one)
    move(one, "finish", entry, 200, b"{}")

    row, owner = claim(one, fresh=True)
    assert (row.id != entry, row.state, owner is None) == (True, "planned", False)
    assert columns(one, "id, state") == [(entry, "done"), (row.id, "planned")]


@pytest.mark.parametrize("final", [True, False])
def test_the_end_of_an_attempt_is_recorded(stores, final):
    """The owner keeps the entry until the last attempt has ended; a body is kept."""
    one, _ = stores
    entry, owner = send(one)
    end = AttemptEnd(state="refused", final=final, status=400, message="no", body=b"why")
    move(one, "stop", entry, owner, end)

    row = move(one, "find", KEY.key)
    assert (row.state, row.status, row.message, row.body) == ("refused", 400, "no", b"why")
    assert (row.owner, row.attempts) == (None if final else owner, 1)


def test_an_attempt_that_never_left_is_not_counted(stores):
    """The doubt about the attempt before it is restored; no body is kept."""
    one, _ = stores
    lose(one)
    entry, owner = send(one, resend=True)
    end = AttemptEnd(state="unknown", is_withdrawn=True, restores_doubt=True)
    move(one, "stop", entry, owner, end)

    assert columns(one, "state, attempts, doubts") == [("unknown", 1, 0)]
    assert columns(one, "id", "replies") == []


def test_a_process_withdraws_its_own_claims_only(stores):
    """Of the keys that it names."""
    one, two = stores
    claim(one)
    claim(one, OTHER)
    move(two, "withdraw", [KEY.key, OTHER.key])
    assert [name for (name,) in columns(one, "owner")] == [owner_name(one)] * 2

    move(one, "withdraw", [KEY.key])
    assert columns(one, "id, owner") == [(1, None), (2, owner_name(one))]


def test_one_entry_of_an_owner_is_released_by_its_number(stores):
    """Without one, all of them."""
    one, _ = stores
    first, owner = send(one)
    send(one, OTHER)
    move(one, "release", owner, entry=first, message="gone")
    assert columns(one, "state, message, owner IS NULL") == [
        ("sending", None, 0),
        ("unknown", "gone", 1),
    ]

    move(one, "release", owner)
    assert columns(one, "message, state, owner") == [
        ("gone", "unknown", None),
        (DIED, "unknown", None),
    ]


def test_the_entries_of_dead_processes_are_released_and_no_others(stores):
    """Together with their lock files."""
    one, two = stores
    send(one)
    claim(two, OTHER)
    end_process(one)
    move(two, "release_dead")

    assert columns(two, "state, owner") == [("planned", owner_name(two)), ("unknown", None)]


def test_a_call_that_is_live_under_another_account_is_not_claimed(stores):
    """The entry of the other account is returned; `fresh` claims one of its own."""
    one, two = stores
    entry, _ = send(one)

    for _ in range(2):
        row, owner = claim(two, make_key(account="b"))
        assert (row.id, row.account, owner) == (entry, "a", None)
        end_process(one)  # a dead process may have been paid, too
    assert row.state == "unknown"
    assert claim(two, make_key(account="b"), fresh=True)[1] is not None


def test_a_claim_of_a_dead_process_under_another_account_binds_nobody(stores):
    """It had not begun to send."""
    one, two = stores
    claim(one)
    end_process(one)

    assert claim(two, make_key(account="b"))[1] == owner_name(two)
    assert columns(two, "account, owner") == [("a", None), ("b", owner_name(two))]


def test_an_unknown_entry_is_settled(stores):
    """As paid with or without its reply, or as not paid."""
    one, _ = stores
    keys = [make_key(bytes([n]) * 20) for n in range(3)]
    for key in keys:
        lose(one, key)
    for key, paid, body in zip(keys, (True, True, False), (b"{}", None, None), strict=True):
        move(one, "settle", key.key, paid=paid, body=body)

    assert columns(one, "id, state, doubts, owner, message") == [
        (1, "done", 0, None, None),
        (2, "done", 0, None, "settled as paid"),
        (3, "planned", 0, None, None),
    ]
    assert columns(one, "id, body", "replies") == [(1, b"{}")]
    assert columns(one, "ended_at IS NULL") == [(0,)] * 3
    move(one, "settle", keys[0].key, paid=False, body=None)
    assert columns(one, "state")[:1] == [("done",)]
    with pytest.raises(KeyError):
        move(one, "settle", OTHER.key, paid=True, body=None)


def test_an_entry_that_is_being_sent_is_settled_only_by_a_reply(stores):
    """Its outcome is about to be known, unless its process is dead."""
    one, two = stores
    entry, _ = send(one)

    for paid in (True, False):
        with pytest.raises(ValueError, match="is being sent right now; its outcome is about"):
            move(two, "settle", KEY.key, paid=paid, body=None)
    end_process(one)
    move(two, "settle", KEY.key, paid=False, body=None)
    assert columns(two, "id, state, owner") == [(entry, "planned", None)]


def test_settling_an_unknown_entry_as_unpaid_leaves_its_owner(stores):
    """A process has claimed it to send it again."""
    one, _ = stores
    lose(one)
    _, owner = claim(one, resend=True)
    move(one, "settle", KEY.key, paid=False, body=None)

    assert columns(one, "state, owner") == [("planned", owner)]


def test_settling_a_refused_entry_as_unpaid_clears_its_doubts(stores):
    """It stays refused."""
    one, _ = stores
    lose(one)
    entry, owner = send(one, resend=True)
    move(one, "stop", entry, owner, AttemptEnd(state="refused", message="no"))
    move(one, "settle", KEY.key, paid=False, body=None)

    assert columns(one, "state, doubts, message") == [("refused", 0, "no")]


def test_only_an_unknown_entry_is_sent_again_by_hand(stores):
    """It is planned, and counts as perhaps paid; a refused one may be sent as it is."""
    one, _ = stores
    lose(one)
    move(one, "retry", KEY.key)
    move(one, "retry", KEY.key)
    assert columns(one, "state, doubts") == [("planned", 1)]

    entry, _ = send(one)
    with pytest.raises(ValueError, match="being sent right now"):
        move(one, "retry", KEY.key)
    move(one, "finish", entry, 200, b"{}")
    with pytest.raises(ValueError, match=f"{KEY.key} is done"):
        move(one, "retry", KEY.key)


def test_an_account_is_renamed_with_the_keys_of_its_entries(stores):
    """They are found by the new key and by the former one; entries of other accounts stay."""
    one, _ = stores
    lose(one)
    lose(one, OTHER)
    lose(one, make_key(b"e" * 20, account="c"))
    one.write_now(
        lambda moves: moves.connection.execute("UPDATE entries SET content = NULL WHERE id = 2")
    )

    assert move(one, "rename_account", "a", "b") == 2
    renamed = make_key(account="b")
    assert sorted((account, key.hex()) for account, key in columns(one, "account, key")) == sorted(
        [
            ("b", OTHER.key),
            ("b", renamed.key),
            ("c", make_key(b"e" * 20, account="c").key),
        ]
    )
    assert move(one, "find", renamed.key).id == 1
    for key in (KEY.key, renamed.key):
        assert move(one, "find_current_key", key) == bytes.fromhex(renamed.key)
    assert move(one, "find", OTHER.key).account == "b"
    assert move(one, "rename_account", "b", "d") == 2
    assert move(one, "find_current_key", KEY.key).hex() == make_key(account="d").key


def test_an_account_with_a_call_at_work_is_not_renamed(stores):
    """A dead process is not at work."""
    one, two = stores
    claim(one)
    with pytest.raises(ValueError, match="a call of the account 'a' is being sent right now"):
        move(two, "rename_account", "a", "b")
    end_process(one)

    assert move(two, "rename_account", "a", "b") == 1


def test_only_what_ended_before_and_is_certain_is_forgotten(stores):
    """What is unknown, at work or perhaps paid stays."""
    one, two = stores
    keys = [make_key(bytes([n]) * 20) for n in range(5)]
    entry, _ = send(one, keys[0])
    move(one, "finish", entry, 200, b"{}")
    lose(one, keys[1])
    lose(one, keys[2])
    move(one, "retry", keys[2].key)
    claim(one, keys[3])
    claim(two, keys[4])
    end_process(two)

    assert move(one, "forget", time.time() - 60) == 0
    assert move(one, "forget", time.time() + 60) == 2
    assert columns(one, "id") == [(2,), (3,), (4,)]
    assert columns(one, "id", "replies") == []
