"""What a wrong option, argument or attribute is told: the right one, also where another SDK's name is used."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Mapping
from functools import wraps
from inspect import Parameter, signature
from typing import Any, NoReturn, ParamSpec, TypeVar

from attrs import fields

from memories_async.policy import Policy

P = ParamSpec("P")
T = TypeVar("T")

_BY_POSITION = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
_BY_NAME = (Parameter.KEYWORD_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
_NO_HEADERS = "the service reads no further header"
_NO_HTTP_CLIENT = "the client has its own, which knows what was sent; see proxy=, ssl=, observers="
_REASONS = {
    **dict.fromkeys(("headers", "default_headers", "extra_headers"), _NO_HEADERS),
    **dict.fromkeys(("http_client", "session", "connector", "transport"), _NO_HTTP_CLIENT),
}
"""Why there is no such option, where none takes its place."""
_POLICY = {
    **{field.name: field.name for field in fields(Policy)},
    **dict.fromkeys(("max_retries", "retries", "num_retries", "max_attempts"), "attempts"),
    **dict.fromkeys(("request_timeout", "read_timeout", "timeout_seconds"), "timeout"),
    **dict.fromkeys(("total_timeout", "total"), "deadline"),
}
"""The field of `Policy` that other libraries call otherwise."""
CLIENT_OPTIONS = {
    **{name: f"policy=Policy({field}=...)" for name, field in _POLICY.items()},
    **dict.fromkeys(("base_url", "url", "host"), "hosts=Hosts.at(url)"),
    **dict.fromkeys(("key", "token", "api_token"), "api_key=..."),
    **dict.fromkeys(("rate_limit", "rate", "max_concurrency"), "limits=Limits(search=Limit(...))"),
    **dict.fromkeys(("proxies", "http_proxy", "https_proxy"), "proxy=..."),
    **dict.fromkeys(("verify", "ca_file", "cafile"), "ssl= the path of your CA's file"),
    **dict.fromkeys(("webhook", "webhook_secret", "callback_url"), "receiver=Receiver(url)"),
    "idempotency_key": "ledger=Ledger(path)",
}
POLICY_OPTIONS = {name: f"{field}=..." for name, field in _POLICY.items() if name != field}
OPTION_CHANGES = {name: f"with_policy({field}=...)" for name, field in _POLICY.items()}
BATCH_OPTIONS = {
    **{name: f"client.with_policy({field}=...).batch(...)" for name, field in _POLICY.items()},
    **dict.fromkeys(("max_concurrency", "max_workers", "workers"), "concurrency=..."),
}
CALL_OPTIONS = {
    **{name: f"client.with_policy({field}=...)" for name, field in _POLICY.items()},
    **{name: f"client.with_options({name}=...)" for name in ("api_key", "account", "ledger")},
    "fresh": "client.send(call, fresh=True)",
    "idempotency_key": "Client(ledger=Ledger(path))",
}
"""What takes the place of an option that a call does not have."""
ATTRIBUTES = {
    "close": "await client.aclose()",
    "aclose": "client.close()",
    **dict.fromkeys(("search", "search_clips"), "client.clips.search"),
    **dict.fromkeys(("embed", "embedding"), "client.embeddings.video"),
    "caption": "client.captions.caption",
    "upload": "client.videos.upload, or client.assets.upload for embeddings",
    "add": "client.videos.add, or client.assets.add for embeddings",
}
"""What takes the place of an attribute that a client does not have."""


def refuse_option(
    owner: str, name: str, known: Collection[str], advice: Mapping[str, str]
) -> NoReturn:
    """Raise `TypeError`: *owner* has the options *known*, and not *name*."""
    near = difflib.get_close_matches(name, known, n=1)
    if name in _REASONS:
        hint = f": {_REASONS[name]}"
    elif name in advice:
        hint = f": use {advice[name]}"
    elif near:
        hint = f": use {near[0]}=..."
    else:
        hint = f"; there are {', '.join(known)}"
    raise TypeError(f"{owner} has no option {name!r}{hint}") from None


def explain_options(
    owner: str, advice: Mapping[str, str]
) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Have a function name the right option where a wrong one is passed."""

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        @wraps(function)
        def explained(*args: P.args, **options: P.kwargs) -> T:
            try:
                return function(*args, **options)
            except TypeError:
                explain_arguments(owner, function, args, options, advice)
                raise

        return explained

    return decorate


def explain_arguments(
    owner: str,
    function: Callable[..., Any],
    args: tuple[Any, ...],
    options: Mapping[str, Any],
    advice: Mapping[str, str],
) -> None:
    """Raise a clear `TypeError` if *function*, which has failed, does not take these arguments."""
    parameters = [*signature(function).parameters.values()]
    first = [one.name for one in parameters if one.kind in _BY_POSITION]
    known = [one.name for one in parameters if one.kind in _BY_NAME and one.name != "self"]
    takes_more = any(one.kind is Parameter.VAR_KEYWORD for one in parameters)
    for option in options:
        if option not in known and (not takes_more or option in advice or option in _REASONS):
            refuse_option(owner, option, known, advice)
    if len(args) > len(first):
        named = ", ".join(f"{name}=..." for name in known if name not in first)
        raise TypeError(f"{owner} takes by name: {named}") from None


def explain_attributes(owner: str, advice: Mapping[str, str]) -> Callable[[Any, str], NoReturn]:
    """Make a `__getattr__` that names what takes the place of an attribute."""

    def explain(_: object, name: str) -> NoReturn:
        hint = f": use {advice[name]}" if name in advice else ""
        raise AttributeError(f"{owner!r} object has no attribute {name!r}{hint}")

    return explain


def refuse_context(message: str) -> Callable[[object], NoReturn]:
    """Make the method with which the wrong `with` begins."""

    def refuse(_: object) -> NoReturn:
        raise TypeError(message)

    return refuse
