"""The options of a client: what a wrong one is told, and what `with_options` changes."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from functools import wraps
from inspect import signature
from typing import TYPE_CHECKING, Any, ParamSpec, TypedDict

from attrs import evolve, fields

from memories_async._client.configuration import EnvironmentSettings
from memories_async._client.settings import Settings
from memories_async.budget import Budget
from memories_async.limiter import Limits
from memories_async.policy import Policy

if TYPE_CHECKING:
    from memories_async.ledger import Ledger

P = ParamSpec("P")

_NO_HEADERS = "the service reads no further header"
_NO_HTTP_CLIENT = "the client has its own, which knows what was sent; see proxy=, ssl=, observers="
_HINTS = {
    **{field.name: f"policy=Policy({field.name}=...)" for field in fields(Policy)},
    **dict.fromkeys(("max_retries", "retries"), "policy=Policy(attempts=...)"),
    **dict.fromkeys(("base_url", "url", "host"), "hosts=Hosts.at(url)"),
    **dict.fromkeys(("key", "token", "api_token"), "api_key=..."),
    **dict.fromkeys(("rate_limit", "rate", "max_concurrency"), "limits=Limits(search=Limit(...))"),
    **dict.fromkeys(("proxies", "http_proxy", "https_proxy"), "proxy=..."),
    **dict.fromkeys(("verify", "ca_file", "cafile"), "ssl= the path of your CA's file"),
    **dict.fromkeys(("webhook", "webhook_secret", "callback_url"), "receiver=Receiver(url)"),
    "idempotency_key": "ledger=Ledger(path)",
}
_REASONS = {
    **dict.fromkeys(("headers", "default_headers", "extra_headers"), _NO_HEADERS),
    **dict.fromkeys(("http_client", "session", "connector", "transport"), _NO_HTTP_CLIENT),
}
"""Why there is no such option, where none takes its place."""


def explain_options(init: Callable[P, None]) -> Callable[P, None]:
    """Have a client's `__init__` name the right option where a wrong one is passed."""
    known = [name for name in signature(init).parameters if name != "self"]

    @wraps(init)
    def checked(*args: P.args, **options: P.kwargs) -> None:
        for name in options:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                hint = _HINTS.get(name) or "".join(f"{one}=..." for one in near)
                advice = f": use {hint}" if hint else f"; there are {', '.join(known)}"
                if name in _REASONS:
                    advice = f": {_REASONS[name]}"
                raise TypeError(f"Client has no option {name!r}{advice}")
        init(*args, **options)

    return checked


class OptionChanges(TypedDict, total=False):
    """What `with_options` may change; see `Client`."""

    api_key: str
    caption_api_key: str
    account: str | None
    limits: Limits
    ledger: Ledger | None
    budget: Budget | None


def change_options(settings: Settings, changes: OptionChanges) -> Settings:
    """Return *settings* with the options in *changes*, checked as those of a new client are."""
    known, given = list(OptionChanges.__annotations__), dict[str, Any](changes)
    for name in given:
        if name not in known:
            is_policy = name in {field.name for field in fields(Policy)}
            advice = ": use with_policy" if is_policy else f"; there are {', '.join(known)}"
            raise TypeError(f"with_options has no option {name!r}{advice}")
    changed: dict[str, Any] = {n: given[n] for n in ("limits", "ledger") if n in given}
    if "budget" in given:
        changed["budgets"] = () if given["budget"] is None else (given["budget"],)
    for name in ("api_key", "caption_api_key"):
        if name in given:
            # Not the environment's: a caller who passes None must not pay by another key.
            key = EnvironmentSettings({}).find_key(given[name] or "", name)
            changed |= {"key": key, "account_name": None} if name == "api_key" else {}
            changed["caption_key"] = key
    if "account" in given:
        changed["account_name"] = given["account"]
    return evolve(settings, **changed)
