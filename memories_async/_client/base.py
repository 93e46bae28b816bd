"""What both clients share: the constructor, settings, copies with another policy, pickling."""

from __future__ import annotations

import ssl as tls
from collections.abc import Iterable
from copy import copy
from typing import TYPE_CHECKING, Any, Self, Unpack

from attrs import evolve

from memories_async._client.hosts import Hosts
from memories_async._client.ports import CallbackIssuer
from memories_async._client.settings import CA, Settings
from memories_async._http.transport import AiohttpTransport, Transport
from memories_async._protocol.keys import CAPTION_KEY_VARIABLE, KEY_VARIABLE, find_key
from memories_async._version import __version__
from memories_async.budget import Budget
from memories_async.events import Observer, log
from memories_async.limiter._choice import limiter_from_environment
from memories_async.limiter._in_process import Limits, RateLimiter
from memories_async.policy import Policy, PolicyChanges

if TYPE_CHECKING:
    from memories_async.ledger import Ledger


class Configured:
    """The part of a client that is the same whether its calls are awaited or waited for."""

    _settings: Settings
    _transport: Transport

    def __init__(
        self,
        *,
        api_key: str | None = None,
        caption_api_key: str | None = None,
        hosts: Hosts | None = None,
        policy: Policy | None = None,
        limits: Limits | None = None,
        limiter: RateLimiter | None = None,
        ledger: Ledger | None = None,
        receiver: CallbackIssuer | None = None,
        budget: Budget | None = None,
        proxy: str | None = None,
        ssl: CA | None = None,
        observers: Iterable[Observer] = (),
    ) -> None:
        """Set the client up; nothing is opened before the first call.

        *api_key* defaults to `MEMORIES_API_KEY`; *caption_api_key*, for the caption host, to
        `MEMORIES_CAPTION_API_KEY` and then to *api_key*. *hosts* default to the service's own or
        to the `MEMORIES_*_BASE_URL` variables, *limiter* to what `MEMORIES_LIMITER` says. *ssl* adds
        trust, it cannot take verification away.
        Raises `ValueError` where there is no key at all.
        """
        key = find_key(api_key, KEY_VARIABLE)
        caption_key = find_key(caption_api_key, CAPTION_KEY_VARIABLE) or key
        if caption_key is None:
            raise ValueError(f"no API key: pass api_key= or set {KEY_VARIABLE}")
        settings = Settings(
            key=key,
            caption_key=caption_key,
            hosts=hosts or Hosts.from_environment(),
            policy=policy or Policy(),
            limits=limits or Limits(),
            limiter=limiter or limiter_from_environment(),
            ledger=ledger,
            receiver=receiver,
            budgets=() if budget is None else (budget,),
            proxy=proxy,
            ssl=ssl,
            observers=(log, *observers),
        )
        self._share(settings, _transport(settings))

    def with_policy(self, **changes: Unpack[PolicyChanges]) -> Self:
        """Return a client with another policy that shares this one's sessions, limiter and ledger."""
        twin = copy(self)
        twin._share(  # noqa: SLF001  # its own twin
            evolve(self._settings, policy=evolve(self._settings.policy, **changes)),
            self._transport,
        )
        return twin

    def _share(self, settings: Settings, transport: Transport) -> None:
        self._settings = settings
        self._transport = transport
        if settings.receiver is not None and settings.ledger is not None:
            settings.receiver.beside(settings.ledger)

    def __copy__(self) -> Self:
        twin = type(self).__new__(type(self))
        vars(twin).update(vars(self))
        return twin

    def __getstate__(self) -> dict[str, Any]:
        return {"settings": self._settings}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._share(state["settings"], _transport(state["settings"]))

    def __repr__(self) -> str:
        return f"{type(self).__module__}.{type(self).__name__}({self._settings.hosts})"


def _transport(settings: Settings) -> AiohttpTransport:
    return AiohttpTransport(
        user_agent=f"memories_async/{__version__}",
        proxy=settings.proxy,
        ssl=_trust(settings.ssl),
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
