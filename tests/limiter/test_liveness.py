"""No shared bucket stands still while a call waits, the rate allows it and a slot is free."""

from __future__ import annotations

import heapq
from itertools import count

import pytest
from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st
from limiters import bucket

from memories_async import Limit
from memories_async.limiter import Priority
from memories_async.limiter._bucket_client import BucketClient
from memories_async.limiter._rule import RETURN, BucketState, step
from memories_async.limiter._wait_queue import Waiter

HELD_UP = 0.03
"""Seconds after its tick when a late call asks for another one."""


class Loop:
    """An event loop that is always ready: `Members` runs what is woken at the same time."""

    def is_running(self):
        return True

    def create_future(self):
        return None

    def call_soon_threadsafe(self, call):
        pass


@define(eq=False)
class Call(Waiter):
    """A call that waits, and works for some seconds once it has its permit."""

    seconds: float = field(kw_only=True)
    lates: int = field(kw_only=True)
    """How often it is held up after its tick, so that it needs another one."""


@define(eq=False)
class Members:
    """Processes with one bucket in a store, on a stepped clock. No thread and no loop is late."""

    limit: Limit
    number: int
    now: float = 100.0
    state: BucketState = field(factory=BucketState)
    clients: list = field(init=False)
    permits: list = field(factory=list)
    working: int = 0
    still_since: float | None = None
    longest: float = 0.0
    """The longest time without a permit while there could be one."""
    _events: list = field(factory=list)
    _ids: object = field(factory=count)

    def __attrs_post_init__(self):
        where = bucket(self.limit.rate, concurrency=self.limit.concurrency)
        self.clients = [BucketClient(where) for _ in range(self.number)]

    def call(self, at, member, priority, seconds, lates=0):
        """Let a call of *seconds* come to a member."""
        call = Call(Loop(), priority, seconds=seconds, lates=lates)
        self._plan(at, self._begin, self.clients[member], call)

    def cancel(self, at, member):
        """Let the call that came last to a member give up, if it still waits."""
        self._plan(at, self._cancel, self.clients[member])

    def run(self):
        """Step from event to event until no call waits or works."""
        while self._events or any(client.queue.size for client in self.clients):
            due = [self._look(client) for client in self.clients]
            self.now = max(self.now, min([*due, *(event[0] for event in self._events[:1])]))
            if self.still_since is not None:
                self.longest = max(self.longest, self.now - self.still_since)
            while self._events and self._events[0][0] <= self.now:
                _, _, do, args = heapq.heappop(self._events)
                do(*args)
            for client in self.clients:
                self._serve(client)
            self.still_since = (self.still_since or self.now) if self._can_begin() else None

    def _can_begin(self):
        has_slot = self.working < self.limit.concurrency
        queues = [client.queue for client in self.clients]
        return any(q.size if has_slot else q.count(Priority.LATE, self.now) for q in queues)

    def _look(self, client):
        return min(client.offer(self.now), client.next_request_at(self.now))

    def _plan(self, at, do, *args):
        heapq.heappush(self._events, (at, next(self._ids), do, args))

    def _begin(self, client, call):
        if not client.queue.size and client.reservation is None:
            self._exchange(client, asks=call.priority)
            reservation = client.pop_reservation()
            if reservation is not None:
                self._work(client, call, reservation)
                return
        client.queue.join(call)

    def _renew(self, client, call, number):
        client.unused = max(client.unused, number)
        late = Call(Loop(), Priority.LATE, seconds=call.seconds, lates=call.lates - 1)
        self._begin(client, late)

    def _cancel(self, client):
        for queue in client.queue._queues:
            if queue:
                call = next(reversed(queue))
                client.queue.leave(call)
                if call.priority is Priority.LATE:
                    self._finish(client)
                return

    def _serve(self, client):
        """Do what the worker of the process and its waiters do now."""
        while client.offer(self.now) <= self.now or client.next_request_at(self.now) <= self.now:
            if client.next_request_at(self.now) <= self.now:
                self._exchange(client)
            client.offer(self.now)
            self._wake(client)
        self._wake(client)

    def _wake(self, client):
        first = client.queue.first(self.now)
        if first is None or first.woken_at is None:
            return
        first.woken_at = None
        reservation = client.take(first, self.now)
        if reservation is not None:
            self._work(client, first, reservation)

    def _exchange(self, client, asks=None):
        name = f"m{self.clients.index(client)}"
        request = client.build_request(name, self.now, lead=0.0, ready_in=0.0, asks=asks)
        self.state, response = step(self.state, request, self.limit, self.now)
        client.receive(request, response, at=self.now, fault=None)

    def _work(self, client, call, reservation):
        self.permits.append(self.now)
        self.working += call.priority is not Priority.LATE
        self.still_since = None
        if call.lates:
            self._plan(self.now + HELD_UP, self._renew, client, call, reservation.number)
        else:
            self._plan(self.now + call.seconds, self._finish, client)

    def _finish(self, client):
        client.busy -= 1
        self.working -= 1


CALLS = st.lists(
    st.tuples(
        st.floats(0, 2),
        st.integers(0, 3),
        st.sampled_from([Priority.INTERACTIVE, Priority.BATCH]),
        st.floats(0.001, 2),
        st.integers(0, 2),
    ),
    min_size=2,
    max_size=25,
)
CANCELS = st.lists(st.tuples(st.floats(0, 3), st.integers(0, 3)), max_size=6)


@given(CALLS, CANCELS, st.sampled_from([2.0, 10.0, 50.0]), st.integers(1, 6))
def test_a_bucket_never_stands_still(calls, cancels, rate, concurrency):
    """At most two gaps, and the time in which a process that is idle gives its slots back."""
    members = Members(Limit(rate, concurrency=concurrency), 4)
    for at, *call in calls:
        members.call(100 + at, *call)
    for at, member in cancels:
        members.cancel(100 + at, member)
    members.run()

    assert members.longest <= 2 * members.limit.gap + RETURN + 1e-6
    assert all(client.busy == 0 for client in members.clients)


@pytest.mark.parametrize("concurrency", [1, 2, 4])
def test_a_slot_that_is_given_back_is_used_at_once(concurrency):
    """The first calls took their slots while nobody else used the bucket."""
    members = Members(Limit(50, concurrency=concurrency), 2)
    for n in range(concurrency):
        members.call(100 + n / 40, 0, Priority.INTERACTIVE, 0.2)
    members.call(100.15, 1, Priority.INTERACTIVE, 0.1)
    members.run()

    assert members.permits[-1] - 100.2 <= 0.1


def test_a_slot_of_an_idle_process_is_used_soon():
    """It was taken while most slots were free; others took these since."""
    members = Members(Limit(50, concurrency=4), 3)
    members.call(100, 0, Priority.INTERACTIVE, 0.3)
    for n in range(3):
        members.call(100.1 + n / 40, 1, Priority.INTERACTIVE, 3)
    members.call(100.25, 2, Priority.INTERACTIVE, 0.1)
    members.run()

    assert members.permits[-1] - 100.3 <= 0.1
