"""What `with_options` and `with_policy` change of a client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

from attrs import evolve

from memories_async._client.advice import OPTION_CHANGES, POLICY_OPTIONS, refuse_option
from memories_async._client.configuration import EnvironmentSettings
from memories_async._client.settings import Settings
from memories_async.budget import Budget
from memories_async.limiter import Limits
from memories_async.policy import PolicyChanges

if TYPE_CHECKING:
    from memories_async.ledger import Ledger


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
            refuse_option("with_options", name, known, OPTION_CHANGES)
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


def change_policy(settings: Settings, changes: PolicyChanges) -> Settings:
    """Return *settings* with another policy."""
    known, given = list(PolicyChanges.__annotations__), dict[str, Any](changes)
    for name in given:
        if name not in known:
            refuse_option("with_policy", name, known, POLICY_OPTIONS)
    return evolve(settings, policy=evolve(settings.policy, **given))
