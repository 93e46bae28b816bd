"""Any interleaving of senders, crashes and settlements keeps the ledger's promises."""

from __future__ import annotations

from collections import Counter
from itertools import count

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from ledgers import end_process

from memories_async.ledger import Ledger
from memories_async.ledger._schema import AttemptEnd, EntryKey

KEYS = st.sampled_from([f"{number:040x}" for number in range(3)])
PROCESS = st.integers(0, 2)


class Moves(RuleBasedStateMachine):
    """Three processes on one file, and a model that counts the requests of each call."""

    @initialize()
    def open(self):
        """Begin with an empty ledger."""
        place = self.make_place()
        self.ledgers = [Ledger(place) for _ in range(3)]
        self.stores = [ledger.coordinator.store for ledger in self.ledgers]
        self.sent, self.allowed, self.paid = Counter(), Counter(), Counter()
        self.held: dict[tuple[int, str], tuple[int, str, bool]] = {}

    def teardown(self):
        """Close and remove the file."""
        for ledger in getattr(self, "ledgers", ()):
            ledger.close()

    @rule(
        process=PROCESS,
        keys=st.lists(KEYS, min_size=1, max_size=3, unique=True),
        resend=st.booleans(),
    )
    def claim(self, process, keys, resend):
        """Claim entries that the process does not hold."""
        wanted = [
            EntryKey(
                key=key, content=bytes.fromhex(key), call="c", asked="{}", account="a", unit="u"
            )
            for key in keys
            if (process, key) not in self.held
        ]
        claims = wanted and self.stores[process].write_now(
            lambda moves: moves.claim_all(wanted, fresh=False, resend=resend)
        )
        for key, (row, owner) in zip([one.key for one in wanted], claims, strict=True):
            if owner is not None:
                assert not any(other == key for _, other in self.held)
                self.allowed[key] += row.state == "unknown"
                self.held[process, key] = row.id, owner, False

    @rule(process=PROCESS, key=KEYS)
    def send(self, process, key):
        """Record the intent, and let the request leave."""
        entry, owner, is_sent = self.held.get((process, key), (None, "", False))
        if entry is None or is_sent:
            return
        if self.stores[process].write_now(lambda moves: moves.begin(entry, owner, 1.0)):
            self.sent[key] += 1
            self.held[process, key] = entry, owner, True
        else:
            del self.held[process, key]

    @rule(
        process=PROCESS, key=KEYS, state=st.sampled_from(["done", "refused", "planned", "unknown"])
    )
    def end(self, process, key, state):
        """Record how the request ended."""
        entry, owner, is_sent = self.held.get((process, key), (None, "", False))
        if not is_sent:
            return
        del self.held[process, key]
        store = self.stores[process]
        if state == "done":
            self.paid[key] += 1
            store.write_now(lambda moves: moves.finish(entry, 200, b"{}"))
        else:
            # Refused or never sent: another request is allowed.
            self.allowed[key] += state != "unknown"
            store.write_now(lambda moves: moves.stop(entry, owner, AttemptEnd(state=state)))

    @rule(process=PROCESS)
    def die(self, process):
        """End like a killed process: its lock is dropped, the rows stay."""
        end_process(self.stores[process])
        self.held = {held: entry for held, entry in self.held.items() if held[0] != process}

    @rule(key=KEYS, paid=st.booleans())
    def settle(self, key, paid):
        """Settle by hand."""
        body = b"{}" if paid else None
        before = {state for found, state in self.states() if found == key}
        try:
            self.stores[0].write_now(lambda moves: moves.settle(key, paid=paid, body=body))
        except (KeyError, ValueError):
            return
        # What a dead process was sending is unknown, though its row does not say so yet.
        self.allowed[key] += not paid and bool(before & {"unknown", "sending"})

    @rule(key=KEYS)
    def retry(self, key):
        """Accept the risk of paying twice."""
        before = {state for found, state in self.states() if found == key}
        try:
            self.stores[0].write_now(lambda moves: moves.retry(key))
        except (KeyError, ValueError):
            return
        self.allowed[key] += "unknown" in before

    def states(self) -> list[tuple[str, str]]:
        """Every entry's key and state."""
        return self.ledgers[0].database.read_now(
            lambda c: [
                (key.hex(), state) for key, state in c.execute("SELECT key, state FROM entries")
            ]
        )

    @invariant()
    def no_request_is_sent_without_permission(self):
        """One for each call, and one for each that was allowed or that cost nothing."""
        if hasattr(self, "ledgers"):
            for key, count in self.sent.items():
                assert count <= 1 + self.allowed[key]

    @invariant()
    def what_is_paid_stays_done(self):
        """There is one entry for each call, in a state that exists."""
        if hasattr(self, "ledgers"):
            states = self.states()
            assert len({key for key, _ in states}) == len(states)
            for key, state in states:
                assert state in {"planned", "sending", "done", "refused", "unknown"}
                assert not (self.paid[key] and state != "done")


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_any_interleaving_keeps_the_promises(kind, request, tmp_path):
    """A server takes longer to make tables than a disk: it gets fewer examples."""
    numbers = count()
    if kind == "postgres":
        make_place = request.getfixturevalue("postgres").url
    else:

        def make_place():
            return tmp_path / f"{next(numbers)}.db"

    machine = type("Machine", (Moves,), {"make_place": staticmethod(make_place)})
    examples = 60 if kind == "sqlite" else 12
    run_state_machine_as_test(
        machine, settings=settings(max_examples=examples, stateful_step_count=30, deadline=None)
    )
