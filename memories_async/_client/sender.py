"""Sends calls, over the wire or from the ledger. Both clients are built on it."""

from __future__ import annotations

import asyncio
import ssl as tls
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define

from memories_async._client.call_runner import CallRunner
from memories_async._client.configuration import EnvironmentSettings
from memories_async._client.polling import run_flow
from memories_async._client.settings import CA, Settings
from memories_async._http import direct
from memories_async._http.attempt import Attempt
from memories_async._http.transport import Transport
from memories_async._protocol.call import Call, fingerprint
from memories_async._protocol.flow import Flow
from memories_async._protocol.reply import Reply
from memories_async._version import __version__
from memories_async.calls import Exchange, keep_reply
from memories_async.errors import Billed, NotSent

if TYPE_CHECKING:
    from memories_async.receiver import Receiver

T = TypeVar("T")


class Sender:
    """Sends calls with checked settings over a transport."""

    def __init__(self, settings: Settings, transport: Transport) -> None:
        """Connect the settings' receiver with their observers and ledger; open nothing."""
        self._settings = settings
        self._transport = transport
        if settings.receiver is not None:
            settings.receiver.attach_observers(settings.observers)
        if settings.receiver is not None and settings.ledger is not None:
            settings.receiver.attach_ledger(settings.ledger)

    async def send(self, call: Call[T] | Flow[T], *, fresh: bool = False) -> T:
        """Send *call* and return its answer; of a `Flow`, the upload first.

        With a ledger, an identical call that was paid is answered from it; *fresh* sends it anew.
        Raises `NotSent`, `Refused` or `OutcomeUnknown`, whose `billed` says what the call cost, and
        `ValueError` where the call needs a callback and the client has no receiver.
        """
        if isinstance(call, Flow):
            return await run_flow(self, call, fresh=fresh)
        settings = self._settings
        _check_call(call)
        settings.check(call)
        with self._open(call) as runner:
            if settings.ledger is None:
                return await runner.submit(call)
            account, price = settings.account(call), settings.price(call.unit)
            return await settings.ledger.once(
                call, account, runner.submit, fresh=fresh, price=price
            )

    async def exchange(self, call: Call[T], *, fresh: bool = False) -> Exchange[T]:
        """Send *call*, and return its answer with the service's reply: status, headers, raw body.

        It costs what `send` costs, is answered from the ledger as there, and raises the same errors.
        """
        _check_call(call)
        settings, replied = self._settings, keep_reply(call)
        settings.check(call)
        with self._open(replied) as runner:
            if settings.ledger is None:
                answer, reply = await runner.submit(replied)
            else:
                account, price = settings.account(call), settings.price(call.unit)
                answer, reply = await settings.ledger.once(
                    replied, account, runner.submit, fresh=fresh, price=price
                )
        billed: Billed = "yes" if runner.attempts and not call.is_free else "no"
        return Exchange(answer=answer, reply=reply, attempts=runner.attempts, billed=billed)

    async def is_paid(self, call: Call[Any]) -> bool:
        """Whether the ledger has an answer to *call*, so that sending it costs nothing.

        Without a ledger it is False. The call's files are read.
        """
        _check_call(call)
        ledger, settings = self._settings.ledger, self._settings
        if ledger is None:
            return False
        key = await asyncio.to_thread(fingerprint, call, settings.account(call))
        return await ledger.has_reply(key)

    async def settle(self, call: Call[T], *, answer: T) -> bool:
        """Record in the ledger that *call*, whose outcome was unknown, was paid and answered.

        From then on the ledger answers it with *answer*. Returns False where the client has no
        ledger, or the ledger no such call.
        """
        _check_call(call)
        ledger, settings = self._settings.ledger, self._settings
        if ledger is None:
            return False
        key = await asyncio.to_thread(fingerprint, call, settings.account(call))
        try:
            await ledger.settled(key, answer=answer)
        except KeyError:
            return False
        return True

    def _open(
        self, call: Call[Any], item: object = None, batch_id: str | None = None
    ) -> CallRunner:
        return CallRunner(self._settings, self._transport, call, item, batch_id)

    @property
    def receiver(self) -> Receiver | None:
        """The receiver that the client was given: it brings the captions."""
        return self._settings.receiver


def _check_call(given: object) -> None:
    if not isinstance(given, Call):
        kind = type(given).__name__
        advice = ": client.send and client.batch take a flow" if isinstance(given, Flow) else ""
        raise TypeError(f"a call is expected, such as clips.search(...), not {kind}{advice}")


@define(eq=False)
class BrokenTransport:
    """Stands in for a transport that cannot be built where a client was unpickled.

    An error in the middle of unpickling takes a pool's worker down, and the pool waits for it.
    """

    error: Exception

    async def carry(self, attempt: Attempt) -> Reply:  # noqa: ARG002  # a transport's signature
        """Raise `NotSent`, which says why."""
        raise NotSent(f"the client cannot send in this process: {self.error}")

    async def aclose(self) -> None:
        """Do nothing: nothing was opened."""


def build_transport(settings: Settings) -> Transport:
    """Build the transport that *settings* describe; nothing is opened."""
    return direct.build_transport(
        user_agent=f"memories_async/{__version__}",
        ssl=_trust(settings.ssl),
        kind=EnvironmentSettings.read().get("transport"),
    )


def _trust(ca: CA | None) -> tls.SSLContext | None:
    if ca is None:
        return None
    if not isinstance(ca, tls.SSLContext):
        context = tls.create_default_context()
        context.load_verify_locations(cafile=ca)
        return context
    if ca.verify_mode is not tls.CERT_REQUIRED or not ca.check_hostname:
        raise ValueError("ssl must verify certificates and host names: give it your CA's file")
    return ca
