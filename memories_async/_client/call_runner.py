"""One call on its way: permits, attempts and waits, until there is an answer or a reason to give up."""

from __future__ import annotations

import asyncio
import random
from functools import partial
from typing import Generic, TypeVar

from attrs import define, field

from memories_async._client.ports import AttemptHook
from memories_async._client.settings import Settings
from memories_async._http.attempt import Attempt
from memories_async._http.deadline import Deadline
from memories_async._http.transport import Transport
from memories_async._protocol.call import Call
from memories_async._protocol.reply import Reply
from memories_async.errors import MemoriesError, NotSent, RateLimited, add_context
from memories_async.events import (
    Answered,
    Degraded,
    Event,
    Failed,
    Sending,
    Waiting,
    is_followed,
    tell,
)
from memories_async.limiter._in_process import Bucket, Permit
from memories_async.limiter._limits import Priority

T = TypeVar("T")


@define(eq=False)
class CallRunner(Generic[T]):
    """The state of one call while it is being delivered."""

    call: Call[T]
    settings: Settings
    transport: Transport
    bucket: Bucket
    deadline: float | None
    """The loop's time by which everything must be over."""
    hook: AttemptHook | None = None
    begun: int = field(default=0, init=False)
    """Requests so far."""
    limited: int = field(default=0, init=False)
    """How many of them were refused for their rate; they cost no attempt."""
    doubt: MemoriesError | None = field(default=None, init=False)
    """The last attempt's error that may have been charged, if there was one."""
    before: MemoriesError | None = field(default=None, init=False)
    """Why the attempt before this one failed, if there was one."""

    async def run(self) -> T:
        """Return the answer, or raise the error that says most about what the call cost."""
        while True:
            try:
                return await self._attempt()
            except MemoriesError as error:
                wait = self._wait_after(
                    add_context(error, call=self.call.name, attempts=self.begun)
                )
                slow_down = isinstance(error, RateLimited)
                if slow_down:
                    await self._hold_back(error, wait)
                verdict = self._weighed(error)
                if self.hook is not None:
                    await self.hook.failed(error, final=wait is None)
                if wait is None:
                    raise verdict from None
                self.before = error
            if not slow_down:
                await asyncio.sleep(wait)

    async def _attempt(self) -> T:
        clock, followed = asyncio.get_running_loop().time, is_followed(self.settings.observers)
        came = clock()
        permit = await self._permit()
        try:
            self.begun += 1
            went = clock()
            if followed:
                self._tell(Sending(call=self.call.name, attempt=self.begun, waited=went - came))
            if permit.fault is not None:
                self._tell(Degraded(call=self.call.name, attempt=self.begun, reason=permit.fault))
            if self.hook is not None:
                await self.hook.sending()
            reply = await self.transport.carry(self._request(permit))
            answer = self.call.read(reply)
            if self.hook is not None:
                await self.hook.answered(reply)
        finally:
            await permit.__aexit__(None, None, None)
        if followed:
            self._tell(self._answered(reply, seconds=clock() - went))
        return answer

    def _answered(self, reply: Reply, *, seconds: float) -> Answered:
        name, attempt = self.call.name, self.begun
        return Answered(call=name, attempt=attempt, status=reply.status, seconds=seconds)

    async def _permit(self) -> Permit:
        permit = self.settings.limiter.permit(self.bucket)
        if self.settings.priority is Priority.BATCH:
            return await self._after_all_others(permit)
        try:
            with Deadline(self.deadline):
                await permit.__aenter__()
        except TimeoutError:
            pass
        else:
            return permit
        passed = f"the deadline of {self.settings.policy.deadline} s passed in line for a permit"
        if self.before is not None:
            count = f"{self.begun} failed attempt{'s' * (self.begun > 1)}"
            raise NotSent(f"{passed}, after {count}: {self.before.message}")
        raise NotSent(
            f"{passed}; raise Policy(deadline=...), or use client.batch, which builds no such line"
        )

    async def _after_all_others(self, permit: Permit) -> Permit:
        """Wait for a permit without a deadline, and have the wait cost none of it."""
        clock = asyncio.get_running_loop().time
        came = clock()
        await permit.__aenter__()
        if self.deadline is not None:
            self.deadline += clock() - came
        return permit

    def _request(self, permit: Permit) -> Attempt:
        settings, policy = self.settings, self.settings.policy
        return Attempt(
            method=self.call.method,
            url=settings.hosts.of(self.call.host) + self.call.target,
            body=self.call.body,
            progress=self.call.progress,
            save_to=self.call.save_to,
            key=settings.key_of(self.call.host),
            connect_timeout=policy.connect_timeout,
            timeout=policy.timeout,
            deadline=self.deadline,
            on_sent=permit.left if self.hook is None else partial(_tell_left, permit, self.hook),
        )

    def _wait_after(self, error: MemoriesError) -> float | None:
        """Ask the policy, and the deadline, whether to go on."""
        self._tell(Failed(call=self.call.name, attempt=self.begun, error=error))
        self.limited += isinstance(error, RateLimited)
        count = self.limited if isinstance(error, RateLimited) else self.begun - self.limited
        wait = self.settings.policy.wait_after(
            error,
            self.call,
            count,
            jitter=random.random(),  # noqa: S311  # spreads waits, guards nothing
        )
        if wait is None or self._is_late(wait):
            return None
        self._tell(Waiting(call=self.call.name, attempt=self.begun, seconds=wait))
        return wait

    def _is_late(self, wait: float) -> bool:
        now = asyncio.get_running_loop().time()
        return self.deadline is not None and now + wait >= self.deadline

    async def _hold_back(self, error: MemoriesError, wait: float | None) -> None:
        """Pause the whole bucket, also where this call gives up: the refusal is the account's."""
        policy = self.settings.policy
        if wait is None:
            asked = policy.backoff if error.retry_after is None else error.retry_after
            wait = min(asked, policy.max_retry_after)
        await self.settings.limiter.pause(self.bucket, wait)

    def _weighed(self, error: MemoriesError) -> MemoriesError:
        """Let an earlier attempt that may have been charged outweigh a last one that was not."""
        if error.billed != "no":
            self.doubt = error
        if self.doubt is None or self.doubt is error:
            return error
        self.doubt.add_note(f"a later attempt: {error}")
        return add_context(self.doubt, call=self.call.name, attempts=self.begun)

    def _tell(self, event: Event) -> None:
        tell(self.settings.observers, event)


def _tell_left(permit: Permit, hook: AttemptHook) -> None:
    permit.left()
    hook.left()
