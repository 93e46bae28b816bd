"""The asynchronous client: one verb, `send`, and the endpoints as methods over it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Self, TypeVar

from memories_async import views
from memories_async._client.base import Configured
from memories_async._client.call_runner import AttemptHook, CallRunner
from memories_async._client.ports import CallbackIssuer
from memories_async._client.settings import Settings
from memories_async._http.transport import Transport
from memories_async._protocol.call import Call, fingerprint
from memories_async.budget import Budget

if TYPE_CHECKING:
    from memories_async.batch import Batch, Calls, OnUnknown
    from memories_async.ledger import Ledger
    from memories_async.ledger._claimed import Claimed

K = TypeVar("K")
T = TypeVar("T")


class Client(Configured):
    """Sends calls to memories.ai, at the account's limiter, never paying twice unless told to.

    One client serves any number of tasks, threads and event loops (a session for each loop), and
    pickles as its configuration, without the key. Use it with `async with`, or call `aclose`.
    """

    @classmethod
    def over(cls, settings: Settings, transport: Transport) -> Self:
        """Make a client of checked settings and a transport: the blocking client's, or a test's."""
        made = cls.__new__(cls)
        made._share(settings, transport)  # noqa: SLF001  # its own class
        return made

    async def send(self, call: Call[T], *, fresh: bool = False) -> T:
        """Send *call* and return its answer.

        With a ledger, an identical call that was paid is answered from it; *fresh* asks anew.
        Raises `NotSent`, `Refused` or `OutcomeUnknown`, whose `billed` says what it cost, and
        `ValueError` where the call needs a callback and the client has no receiver.
        """
        settings = self._settings
        settings.check(call)
        if settings.ledger is None:
            return await self._submit(call)
        return await settings.ledger.once(
            call, settings.account(call), self._submit, fresh=fresh, price=settings.price(call.unit)
        )

    async def settle(self, call: Call[T], *, answer: T) -> bool:
        """Tell the ledger that *call*, whose outcome was unknown, was paid and brought *answer*.

        From then on the ledger answers it. False where there is no ledger, or none of *call* in it.
        """
        ledger, settings = self._settings.ledger, self._settings
        if ledger is None:
            return False
        key = await asyncio.to_thread(fingerprint, call, settings.account(call))
        try:
            await ledger.settled(key, answer=answer)
        except KeyError:
            return False
        return True

    def _submit(
        self, call: Call[T], entry: Claimed | None = None, *others: AttemptHook
    ) -> Coroutine[Any, Any, T]:
        """Send *call*, telling its *entry* in the ledger and *others* of the attempts."""
        settings = self._settings
        watching = (budget.watch(call) for budget in settings.budgets)
        hooks = tuple(hook for hook in (entry, *watching, *others) if hook is not None)
        runner = CallRunner(settings, self._transport, hooks)
        if settings.receiver is None or not (call.needs_callback or call.welcomes_callback):
            return runner.run(call)
        return settings.receiver.submit(call, runner.run, key=None if entry is None else entry.key)

    def batch(
        self,
        calls: Calls[K, T],
        *,
        ledger: Ledger | None = None,
        concurrency: int | None = None,
        on_unknown: OnUnknown = "park",
        budget: Budget | None = None,
        drain: float = 30.0,
    ) -> Batch[K, T]:
        """Send many calls; see `Batch`.

        *calls* is a mapping, or a sync or async iterable of `(key, call)`, and may be endless.
        *ledger* is the client's own unless given. *concurrency* bounds the requests in flight.
        *on_unknown* says what becomes of calls that were sent, in this run or an earlier one, with
        an unknown outcome: `park` reports them, `resend` risks paying twice, `raise` stops at the
        first. *budget* holds in addition to the client's. *drain* is for how many seconds requests
        that are out are waited for when the batch is left early.
        """
        # Imported here: with the ledger and SQLite it is much of what this package adds to an import.
        from memories_async.batch import Batch  # noqa: PLC0415
        from memories_async.batch._batch import derive_settings  # noqa: PLC0415

        settings = derive_settings(
            self._settings, ledger=ledger, budget=budget, on_unknown=on_unknown
        )
        twin = self.over(settings, self._transport)
        return Batch(
            calls,
            twin._submit,  # noqa: SLF001  # its own twin
            settings,
            concurrency=concurrency,
            on_unknown=on_unknown,
            drain=drain,
        )

    @property
    def clips(self) -> views.Clips:
        """Search Clips by Image."""
        return views.Clips(self)

    @property
    def captions(self) -> views.Captions:
        """Video Caption."""
        return views.Captions(self)

    @property
    def embeddings(self) -> views.Embeddings:
        """Generate Video Embedding."""
        return views.Embeddings(self)

    @property
    def videos(self) -> views.Videos:
        """The v1 video library."""
        return views.Videos(self)

    @property
    def assets(self) -> views.Assets:
        """The v2 asset store."""
        return views.Assets(self)

    @property
    def receiver(self) -> CallbackIssuer | None:
        """Where captions come back to, if anywhere."""
        return self._settings.receiver

    async def aclose(self) -> None:
        """Close the connections; may be called twice."""
        await self._transport.aclose()

    async def __aenter__(self) -> Self:
        """Return the client; nothing is opened yet."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connections."""
        await self.aclose()
