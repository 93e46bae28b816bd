"""Any interleaving of senders, crashes and settlements keeps the ledger's promises."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from functools import partial
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from memories_async.ledger import Ledger, _reconcile, _tables
from memories_async.ledger._tables import Ask, End

KEYS = st.sampled_from([f"{number:040x}" for number in range(3)])
WHO = st.integers(0, 2)


class Machine(RuleBasedStateMachine):
    """Three processes on one file. A model counts the requests, and who is told what."""

    @initialize()
    def open(self):
        """Begin with an empty ledger."""
        self.folder = Path(tempfile.mkdtemp())
        self.ledgers = [Ledger(self.folder / "run.db") for _ in range(3)]
        self.sent, self.allowed, self.paid = Counter(), Counter(), Counter()
        self.held: dict[tuple[int, str], tuple[int, bool]] = {}

    def teardown(self):
        """Let go of the file."""
        for ledger in getattr(self, "ledgers", ()):
            ledger.close()
        shutil.rmtree(getattr(self, "folder", "nowhere"), ignore_errors=True)

    def do(self, who, work, **given):
        """Run one move as one of the processes."""
        return self.ledgers[who].database.write_now(partial(work, **given))

    def name(self, who) -> str:
        """The owner's mark of one of the processes."""
        return self.ledgers[who].desk.owner.name()

    @rule(who=WHO, key=KEYS, resend=st.booleans())
    def claim(self, who, key, resend):
        """Ask for an entry, as a sender does that holds none of it."""
        if (who, key) in self.held:
            return
        ask = Ask(key=key, call="c", asked="{}", account="a", unit="u")
        owner = self.ledgers[who].desk.owner
        found, ours = self.do(who, _tables.take, ask=ask, owner=owner, fresh=False, resend=resend)
        if ours:
            assert not any(other == key for _, other in self.held)
            self.allowed[key] += found.state == "unknown"
            self.held[who, key] = found.id, False

    @rule(who=WHO, key=KEYS)
    def send(self, who, key):
        """Write the intent, and let the request leave."""
        entry, out = self.held.get((who, key), (None, False))
        if entry is None or out:
            return
        owner = self.name(who)
        if self.do(who, _tables.begin, entry=entry, owner=owner, price=1.0):
            self.sent[key] += 1
            self.held[who, key] = entry, True
        else:
            del self.held[who, key]

    @rule(who=WHO, key=KEYS, how=st.sampled_from(["done", "refused", "planned", "unknown"]))
    def end(self, who, key, how):
        """Write down how it ended."""
        entry, out = self.held.get((who, key), (None, False))
        if not out:
            return
        del self.held[who, key]
        if how == "done":
            self.paid[key] += 1
            self.do(who, _tables.finish, entry=entry, status=200, body=b"{}")
        else:
            # Refused, or never sent: the next request is free to go.
            self.allowed[key] += how != "unknown"
            self.do(who, _tables.stop, entry=entry, owner=self.name(who), end=End(state=how))

    @rule(who=WHO)
    def die(self, who):
        """End like a killed process: the lock goes, the rows stay."""
        self.ledgers[who].desk.owner.let_go()
        self.held = {held: entry for held, entry in self.held.items() if held[0] != who}

    @rule(key=KEYS, paid=st.booleans())
    def settle(self, key, paid):
        """Tell the ledger by hand."""
        body = b"{}" if paid else None
        owner = self.ledgers[0].desk.owner
        before = {state for found, state in self.states() if found == key}
        try:
            self.do(0, _reconcile.settle, key=key, owner=owner, paid=paid, body=body)
        except (KeyError, ValueError):
            return
        # What a dead process was sending is unknown, though its row does not say so yet.
        self.allowed[key] += not paid and bool(before & {"unknown", "sending"})

    @rule(key=KEYS)
    def retry(self, key):
        """Take the risk of paying twice."""
        before = {state for found, state in self.states() if found == key}
        try:
            self.do(0, _reconcile.retry, key=key)
        except (KeyError, ValueError):
            return
        self.allowed[key] += "unknown" in before

    def states(self) -> list[tuple[str, str]]:
        """Every entry's key and state."""
        return self.ledgers[0].database.read_now(
            lambda c: c.execute("SELECT lower(hex(key)), state FROM entries").fetchall()
        )

    @invariant()
    def requests_are_as_many_as_allowed(self):
        """One for each call, and one for each that somebody allowed or that cost nothing."""
        if hasattr(self, "ledgers"):
            for key, count in self.sent.items():
                assert count <= 1 + self.allowed[key]

    @invariant()
    def what_is_done_stays_done(self):
        """And there is one entry for each call, in a state that there is."""
        if hasattr(self, "ledgers"):
            states = self.states()
            assert len({key for key, _ in states}) == len(states)
            for key, state in states:
                assert state in {"planned", "sending", "done", "refused", "unknown"}
                assert not (self.paid[key] and state != "done")


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
