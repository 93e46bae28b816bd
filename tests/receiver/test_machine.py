"""Every interleaving of submit reply, callbacks, waits and restarts gives the same result.

Two receivers on one file stand for two processes. The model knows only what was acknowledged: every
waiter gets the first clear callback for the task, and nothing that was acknowledged is lost.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import hypothesis.strategies as st
from attrs import define, field
from callbacks import SUBMISSION, deliver, failure, success
from hypothesis import settings
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    rule,
)

from memories_async import (
    BadReply,
    CallbackTimeout,
    CaptionFailed,
    CaptionTask,
    OutcomeUnknown,
    Receiver,
)

URL = "https://public.example/memories"
LATIN = '{"code": 0, "task_id": "ID", "data": {"text": "caf\u00e9", "score": NaN}}'
OTHER_TASK = "somebody-elses"
BODIES = ("one", "two", "failed", "odd", "unreadable", "latin", "no task", "other task")


@define(eq=False)
class ModelSubmission:
    """What the model knows of one submission."""

    task_id: str
    reply: asyncio.Future = field(factory=asyncio.Future)
    sent: asyncio.Event = field(factory=asyncio.Event)
    url: str = ""
    running: asyncio.Task | None = None
    bound: bool = False
    error: OutcomeUnknown | None = None
    acknowledged: list[tuple[str, str]] = field(factory=list)
    """The name of each body, and what a waiter gets from it."""
    waits: list[asyncio.Task] = field(factory=list)

    def expected(self) -> str | None:
        """Return what a waiter gets, or None while there is nothing."""
        ours = [
            means for name, means in self.acknowledged if not (self.bound and name == "other task")
        ]
        clear = [means for means in ours if means != "odd"]
        return next(iter(clear + ours), None)


class Orders(RuleBasedStateMachine):
    """Runs the operations in any order and compares."""

    @initialize()
    def start(self) -> None:
        self.loop = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "callbacks.db"
        self.receivers = [Receiver(URL, store=self.path) for _ in range(2)]
        self.submissions: list[ModelSubmission] = []

    def run(self, work):
        return self.loop.run(work)

    in_flight = Bundle("in_flight")
    known = Bundle("known")

    @rule(target=in_flight)
    def submit(self):
        """Start a submission whose reply has not arrived."""

        async def begin():
            one = ModelSubmission(f"task-{len(self.submissions)}")

            async def send(call):
                one.url = call.body.document["callback"]
                one.sent.set()
                return await one.reply

            one.running = asyncio.create_task(self.receivers[0].submit(SUBMISSION, send))
            await asyncio.wait_for(one.sent.wait(), 5)
            self.submissions.append(one)
            return one

        return self.run(begin())

    @rule(one=consumes(in_flight), arrives=st.booleans(), target=known)
    def reply(self, one, arrives):
        """The submit reply arrives or is lost, unless its process has ended."""

        async def finish():
            if arrives:
                one.reply.set_result(CaptionTask(one.task_id))
                await one.running
                one.bound = True
            else:
                one.reply.set_exception(OutcomeUnknown("lost"))
                (one.error,) = await asyncio.gather(one.running, return_exceptions=True)
            one.running = None

        if one.running is not None:
            self.run(finish())
        return one

    @rule(one=in_flight | known, name=st.sampled_from(BODIES), process=st.integers(0, 1))
    def callback(self, one, name, process) -> None:
        """Either process receives a callback: early, late, repeated, conflicting or another task's."""
        body, means = _body(name, one.task_id)
        status = self.run(deliver(self.receivers[process], one.url, body))

        if name == "other task" and one.bound:
            assert status == 404
        else:
            assert status == 200
            one.acknowledged.append((name, means))

    @rule(one=known, process=st.integers(0, 1))
    def wait(self, one, process) -> None:
        """Either process starts to wait."""

        async def begin():
            what = one.error or CaptionTask(one.task_id)
            one.waits.append(asyncio.create_task(self.receivers[process].wait(what, timeout=9)))
            await asyncio.sleep(0)

        if one.bound or one.error is not None:
            self.run(begin())

    @rule()
    def restart(self) -> None:
        """Both processes end with all they had in memory, and start again."""

        async def cancel_all():
            tasks = [task for one in self.submissions for task in [*one.waits, one.running] if task]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        self.run(cancel_all())
        for one in self.submissions:
            one.waits, one.running = [], None
        for receiver in self.receivers:
            receiver.close()
        self.receivers = [Receiver(URL, store=self.path) for _ in range(2)]

    @invariant()
    def every_waiter_gets_the_callback_that_counts(self) -> None:
        """It wakes the waiters, and a new wait returns it at once."""
        for one in getattr(self, "submissions", ()):
            expected = one.expected()
            if one.bound or one.error is not None:
                task = one.error or CaptionTask(one.task_id)
                assert self.run(_wait_result(self.receivers[1].wait(task, timeout=0))) == expected
            if expected is not None and expected != "odd":
                results = self.run(_wait_results(one.waits))
                assert set(results) <= {expected, "odd"}, "woken with what counted then"
                one.waits = []

    def teardown(self) -> None:
        if hasattr(self, "receivers"):
            self.restart()
            for receiver in self.receivers:
                receiver.close()
            self.loop.close()
            self.folder.cleanup()


def _body(name: str, task_id: str) -> tuple[dict | bytes, str]:
    return {
        "one": (success("one", task_id), "one"),
        "two": (success("two", task_id), "two"),
        "failed": (failure(task_id), "failed"),
        "odd": ({"status": 7, "task_id": task_id}, "odd"),
        "unreadable": (b"Bad \xe9 Gateway", "odd"),
        "latin": (LATIN.replace("ID", task_id).encode("latin-1"), "caf\u00e9"),
        "no task": (success("no task", None), "no task"),
        "other task": (success("other", OTHER_TASK), "other"),
    }[name]


async def _wait_result(wait) -> str | None:
    try:
        return (await wait).text
    except CaptionFailed:
        return "failed"
    except BadReply:
        return "odd"
    except CallbackTimeout:
        return None


async def _wait_results(waits) -> list[str | None]:
    async with asyncio.timeout(5):
        return await asyncio.gather(*map(_wait_result, waits))


TestOrders = Orders.TestCase
TestOrders.settings = settings(stateful_step_count=25)
