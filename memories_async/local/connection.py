"""What a client is given to reach a service: its hosts, its keys, and no limits where it has none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from memories_async import Limits
    from memories_async.local.service import LocalService

__all__ = ["connection"]


def connection(service: LocalService) -> dict[str, Any]:
    """Give the settings of a client of *service*, asynchronous or blocking."""
    settings: dict[str, Any] = {
        "api_key": service.api_key,
        "caption_api_key": service.caption_api_key,
        "hosts": service.hosts,
    }
    return settings if service.limits else settings | {"limits": _no_limits()}


def _no_limits() -> Limits:
    """Let a client of a service without limits wait for no turn that anybody would notice."""
    from memories_async import Limit, Limits  # noqa: PLC0415  # the client is not needed to serve

    names = [family.name for family in attrs.fields(Limits)]
    return Limits(**dict.fromkeys(names, Limit(1_000_000)))
