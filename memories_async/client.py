"""The asynchronous client: `send` for every call, and the endpoints as methods."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack

from memories_async._client.advice import (
    ATTRIBUTES,
    BATCH_OPTIONS,
    CLIENT_OPTIONS,
    explain_attributes,
    explain_options,
    refuse_context,
)
from memories_async._client.call_reporter import draw_id
from memories_async._client.configuration import EnvironmentSettings
from memories_async._client.loop_thread import LoopThread
from memories_async._client.options import OptionChanges, change_options, change_policy
from memories_async._client.polling import wait_for_upload
from memories_async._client.sender import BrokenTransport, Sender, build_transport
from memories_async._client.settings import (
    CA,
    Hosts,
    Settings,
    check_hosts,
    collect_observers,
)
from memories_async._http.transport import Transport
from memories_async.budget import Budget
from memories_async.events import Observer, show_log
from memories_async.limiter import Limits, RateLimiter, find_default
from memories_async.policy import Policy, PolicyChanges
from memories_async.views import Awaited, Endpoints

if TYPE_CHECKING:
    from memories_async.batch import Batch, Calls, OnUnknown
    from memories_async.ledger import Ledger
    from memories_async.receiver import Receiver

K = TypeVar("K")
T = TypeVar("T")


class Client(Sender, Endpoints[Awaited]):
    """Sends calls to memories.ai within the account's rate, and pays for none twice unless told to.

    One client serves any number of tasks, threads and event loops (one session for each loop), and
    pickles as its configuration, without the key. Use it with `async with`, or call `aclose`.

    An option that is not given is read from the environment; a wrong variable is named.

    * *api_key*: `MEMORIES_API_KEY`. *caption_api_key*, for the caption host:
      `MEMORIES_CAPTION_API_KEY`, else *api_key*.
    * *account*, the account's name for ledger and limiter, which a change of the key leaves as it
      is: `MEMORIES_ACCOUNT`, else a hash of key and host.
    * *hosts*: `MEMORIES_V1_BASE_URL`, `MEMORIES_CAPTION_BASE_URL`, `MEMORIES_V2_BASE_URL`.
    * *policy*: `MEMORIES_ATTEMPTS`, `MEMORIES_DEADLINE`, `MEMORIES_TIMEOUT`,
      `MEMORIES_CONNECT_TIMEOUT`.
    * *limits*, the rate of each family of endpoints: `MEMORIES_SEARCH_RATE` and so on. *limiter*,
      which shares the rate with other processes: `MEMORIES_LIMITER`.
    * *proxy*: `MEMORIES_PROXY`, else `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`, which never apply
      to this machine. *ssl*, certificates to trust in addition: `MEMORIES_CA_FILE`.
    * *ledger*, a `Ledger` that records each call and answers the same call again without paying.
    * *receiver*, a `Receiver` that gets captions by callback.
    * *budget*, a `Budget` that refuses calls above an amount.
    * *observers*, functions that are called with each event of `memories_async.events`.
    """

    @explain_options("Client", CLIENT_OPTIONS)
    def __init__(
        self,
        *,
        api_key: str | None = None,
        caption_api_key: str | None = None,
        account: str | None = None,
        hosts: Hosts | None = None,
        policy: Policy | None = None,
        limits: Limits | None = None,
        limiter: RateLimiter | None = None,
        ledger: Ledger | None = None,
        receiver: Receiver | None = None,
        budget: Budget | None = None,
        proxy: str | None = None,
        ssl: CA | None = None,
        observers: Iterable[Observer] = (),
    ) -> None:
        """Check the options; nothing is opened before the first call.

        Raises `ValueError` where there is no key, and for an option or variable that is wrong.
        """
        environment = EnvironmentSettings.read()
        key, caption_key = environment.find_keys(api_key, caption_api_key)
        if hosts is not None:
            check_hosts(hosts)
        hosts = hosts or environment.build(Hosts, "hosts")
        settings = Settings(
            key=key,
            caption_key=caption_key,
            account_name=environment.get("account") if account is None else account,
            hosts=hosts,
            policy=policy or environment.build(Policy, "policy"),
            limits=limits or environment.build(Limits, "limits"),
            limiter=limiter or environment.get("limiter") or find_default(),
            ledger=ledger,
            receiver=receiver,
            budgets=() if budget is None else (budget,),
            proxies=environment.find_proxies(proxy, hosts),
            ssl=environment.get("ssl") if ssl is None else ssl,
            observers=collect_observers(observers),
        )
        if (level := environment.get("log")) is not None:
            show_log(level)
        super().__init__(settings, build_transport(settings))

    def with_policy(self, **changes: Unpack[PolicyChanges]) -> Self:
        """Return a client with another policy that shares this one's sessions, limiter and ledger."""
        twin = type(self).__new__(type(self))
        vars(twin).update(vars(self))
        twin._settings = change_policy(self._settings, changes)  # noqa: SLF001  # its own class
        return twin

    def with_options(self, **changes: Unpack[OptionChanges]) -> Self:
        """Return a client with other options that shares this one's connections and limiter.

        It takes *api_key*, *caption_api_key*, *account*, *limits*, *ledger* and *budget*; what is not
        given stays as it is. With an *api_key*, both hosts get that key, and the account is another
        one: a name does not go over to it, so that no ledger answers for the wrong account.
        Closing one of the clients closes the connections of both. Raises `ValueError` for a wrong
        option, and for another ledger where the receiver already works with one.
        """
        twin = type(self).__new__(type(self))
        vars(twin).update(vars(self))
        Sender.__init__(twin, change_options(self._settings, changes), self._transport)
        return twin

    @explain_options("client.batch", BATCH_OPTIONS)
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

        *calls* is a mapping, or a sync or async iterable of `(key, call)`, and may be endless; a
        flow, such as `embeddings.video_file(path)`, stands for a call. *ledger* is the client's own
        unless given. *concurrency* bounds the requests in flight, of uploads and of other calls each.
        *on_unknown* says what becomes of calls that were sent, in this run or an earlier one, with
        an unknown outcome: `park` reports them, `resend` risks paying twice, `raise` stops at the
        first. *budget* holds in addition to the client's. *drain* is for how many seconds requests
        that are out are waited for when the batch is left early; `math.inf` waits until each has ended.
        """
        # Imported here: the batch loads SQLite, which a client without a ledger does without.
        from memories_async.batch import Batch  # noqa: PLC0415
        from memories_async.batch._batch import derive_settings  # noqa: PLC0415

        settings = derive_settings(
            self._settings, ledger=ledger, budget=budget, on_unknown=on_unknown
        )
        sender = Sender(settings, self._transport)
        return Batch(
            calls,
            sender._open,  # noqa: SLF001  # its base
            partial(wait_for_upload, sender),
            settings,
            batch_id=draw_id(),
            concurrency=concurrency,
            on_unknown=on_unknown,
            drain=drain,
        )

    async def aclose(self) -> None:
        """Close the connections; may be called twice.

        A call after it opens new ones. Clients of `with_policy` and `with_options` share them.
        """
        await self._transport.aclose()

    async def __aenter__(self) -> Self:
        """Return the client; nothing is opened yet."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connections."""
        await self.aclose()

    if not TYPE_CHECKING:  # type checkers know what there is
        __getattr__ = explain_attributes("Client", ATTRIBUTES)
        __enter__ = refuse_context("use `async with`, or `with memories_async.blocking.Client()`")

        def __exit__(self, *_: object) -> None:
            """Do nothing: `__enter__` has refused."""

    def _bind(self) -> tuple[Sender, LoopThread | None]:
        return self, None

    def __getstate__(self) -> dict[str, Any]:
        return {"settings": self._settings}

    def __setstate__(self, state: dict[str, Any]) -> None:
        settings: Settings = state["settings"]
        try:
            transport: Transport = build_transport(settings)
        except (OSError, ValueError) as error:
            transport = BrokenTransport(error)
        Sender.__init__(self, settings, transport)

    def __repr__(self) -> str:
        return f"{type(self).__module__}.{type(self).__name__}({self._settings.hosts})"
