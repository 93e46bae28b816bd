"""A shared bucket as one process sees it: who waits here, what the store knows, and when to ask it."""

from __future__ import annotations

from math import inf
from typing import NamedTuple

from attrs import define, field

from memories_async.limiter._limits import PRIORITIES, Bucket, Limit, Priority
from memories_async.limiter._rule import (
    HEARTBEAT,
    MAX_LEAD,
    QUICK_RETURN,
    RETURN,
    Request,
    Response,
)
from memories_async.limiter._wait_queue import STALLED, Waiter, WaitQueue


class Reservation(NamedTuple):
    """A tick that the store granted to this process."""

    number: int
    tick: float
    """When the request may be sent."""
    fault: str | None = None

    def compute_lateness(self, limit: Limit, now: float) -> float:
        """Return for how many seconds it has been too late to send the request; at most 0 if it is not.

        Processes that do not see each other hold more slots than the *limit* has, so that all may
        send late together.
        """
        return now - self.tick - (limit.max_delay if self.fault is None else limit.slack)


@define(eq=False)
class BucketClient:
    """Times are of this process's monotonic clock. The `StoreWorker` holds the lock."""

    bucket: Bucket
    queue: WaitQueue = field(factory=WaitQueue)
    busy: int = 0
    """Slots held, that of an interactive or batch reservation included."""
    reservation: Reservation | None = None
    """A tick that no waiter has taken yet."""
    reserved_for: Priority = Priority.INTERACTIVE
    told_busy: int = 0
    """Slots that the store knows of."""
    told_wants: tuple[int, ...] = (0, 0, 0)
    """Calls that wait, as far as the store knows."""
    known: int = 0
    """The number of the latest tick that the store told of."""
    answered_at: float = 0.0
    ask_at: float = inf
    is_contended: bool = False
    pause_until: float | None = None
    """When a pause that the service asked for ends."""
    is_pause_told: bool = True
    has_news: bool = False
    unused: int = 0
    delay: float = 0.0
    """Seconds by which a renewed permit was late again, so that the next is reserved for later."""

    def take(self, waiter: Waiter, now: float) -> Reservation | None:
        """Take the reservation if it is *waiter*'s and its time has come."""
        reservation = self.reservation
        if reservation is None or now < reservation.tick or self.queue.first(now) is not waiter:
            return None
        if not self._suits(waiter):
            return None
        self.queue.serve(waiter)
        # A late request that takes the tick of another priority needs no slot.
        self.busy -= waiter.priority is Priority.LATE and self.reserved_for is not Priority.LATE
        return self.pop_reservation()

    def pop_reservation(self) -> Reservation | None:
        """Take the reservation, whoever it is for."""
        reservation, self.reservation = self.reservation, None
        return reservation

    def pause(self, seconds: float, now: float) -> None:
        """Pause, whatever is reserved already."""
        self.pause_until = max(now + seconds, self.pause_until or 0.0)
        self.has_news, self.is_pause_told = True, False
        self._give_back()

    def offer(self, now: float) -> float:
        """Wake the waiter that the reservation is for; returns when to look again."""
        if self.reservation is None:
            return inf
        first = self.queue.first(now)
        if first is None or not self._suits(first):
            self._give_back()
            return now
        if now < self.reservation.tick:
            return self.reservation.tick
        if first.woken_at is None:
            first.wake(now)
        return now if first.woken_at is None else first.woken_at + STALLED

    @property
    def return_at(self) -> float:
        """When the store must have been told of a slot that was given back since its response.

        Others may have taken the slots that were free, and wait since for one of these.
        """
        return self.answered_at + (QUICK_RETURN if self.is_contended else RETURN)

    def next_request_at(self, now: float) -> float:
        """When the store must hear of this bucket again."""
        wants = self.count_wants(now)
        is_changed = wants != self.told_wants and [*map(bool, wants)] != [
            *map(bool, self.told_wants)
        ]
        is_freed, has_waiters = self.busy < self.told_busy, any(wants)
        is_slot_wanted = is_freed and self.is_contended and has_waiters
        if is_changed or is_slot_wanted or self.unused or self.has_news:
            return now
        if not (self.busy or self.told_busy or has_waiters):
            return inf
        tell_at = self.return_at if is_freed else self.answered_at + HEARTBEAT
        return min(tell_at, self.ask_at) if has_waiters and self.reservation is None else tell_at

    def count_wants(self, now: float) -> tuple[int, ...]:
        """Count who waits here without a reservation, up to two of each priority."""
        if not self.queue.size:
            return 0, 0, 0
        counts = [self.queue.count(priority, now) for priority in PRIORITIES]
        first = None if self.reservation is None else self.queue.first(now)
        if first is not None:
            counts[first.priority] -= 1
        return tuple(counts)

    def build_request(
        self, member: str, now: float, *, lead: float, ready_in: float, asks: Priority | None = None
    ) -> Request:
        """Tell everything; *asks* is the priority of a call that asks without being in the queue."""
        if self.pause_until is not None and self.pause_until <= now:
            self.pause_until = None
        pause_until = self.pause_until
        wants = list(self.count_wants(now))
        if asks is not None:
            wants[asks] = min(2, wants[asks] + 1)
        request = Request(
            member=member,
            busy=self.busy,
            wants=tuple(wants),
            early=lead if self.reservation is None else -1.0,
            ready_in=min(MAX_LEAD, ready_in + self.delay),
            pause=None if pause_until is None or self.is_pause_told else pause_until - now,
            unused=self.unused,
            known=self.known,
        )
        self.unused, self.has_news = 0, False
        return request

    def take_back(self, request: Request) -> None:
        """Note that the store never got *request*."""
        self.unused = self.unused or request.unused
        self.has_news = self.has_news or request.pause is not None

    def receive(
        self, request: Request, response: Response, *, at: float, fault: str | None
    ) -> None:
        """Apply the response, given *at* that time; *fault* says why it is not the store's."""
        self.told_busy, self.told_wants = request.busy, request.wants
        self.answered_at, self.ask_at = at, at + response.again
        self.is_contended = response.is_contended
        if fault is None:
            self.known = response.permits
            # A store that lost its state has to be told of the pause again.
            self.is_pause_told = not (self.has_news or response.was_lost)
            self.has_news = self.has_news or response.was_lost
        if response.granted is None:
            return
        wants, took_slot = list(request.wants), response.granted is not Priority.LATE
        wants[response.granted] -= 1
        self.told_wants = tuple(wants)
        self.told_busy += took_slot
        self.busy += took_slot
        self.reserved_for = response.granted
        self.reservation = Reservation(
            number=response.number, tick=at + response.start, fault=fault
        )
        if self.has_news:
            # The service asked for a pause while the store granted this.
            self._give_back()

    def _suits(self, waiter: Waiter) -> bool:
        """Whether the reservation may be *waiter*'s: that of a late request comes without a slot."""
        return waiter.priority is Priority.LATE or self.reserved_for is not Priority.LATE

    def _give_back(self) -> None:
        if self.reservation is not None:
            self.unused, self.reservation = self.reservation.number, None
            self.busy -= self.reserved_for is not Priority.LATE
