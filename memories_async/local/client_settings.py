"""What leads a client to a service: keys, hosts and rates, as arguments or as variables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import fields, frozen

from memories_async._protocol.keys import CAPTION_KEY_VARIABLE, KEY_VARIABLE
from memories_async.local.state.rate_limits import DOCUMENTED, Rate

__all__ = ["ClientSettings"]

_UNLIMITED = 1_000_000
"""Calls a second that a client of a service without limits allows itself."""


@frozen(kw_only=True)
class ClientSettings:
    """What a client of one service needs to know."""

    url: str
    api_key: str
    caption_api_key: str
    limits: Mapping[str, Rate]
    """The service's rate limits by endpoint family; none where it has none."""

    def build_arguments(self) -> dict[str, Any]:
        """Build the arguments of `Client`."""
        from memories_async import Hosts, Limit, Limits  # noqa: PLC0415  # serving needs no client

        arguments: dict[str, Any] = {
            "api_key": self.api_key,
            "caption_api_key": self.caption_api_key,
            "hosts": Hosts.at(self.url),
        }
        if not self.limits:
            names = [family.name for family in fields(Limits)]
            arguments["limits"] = Limits(**dict.fromkeys(names, Limit(_UNLIMITED)))
        return arguments

    def build_environment(self) -> dict[str, str]:
        """Build the variables that `Client()` reads."""
        from memories_async._client.configuration import find_variables  # noqa: PLC0415  # as above

        rates = {
            variable: self._describe_rate(family)
            for family, variable in find_variables("limits").items()
        }
        return {
            KEY_VARIABLE: self.api_key,
            CAPTION_KEY_VARIABLE: self.caption_api_key,
            **dict.fromkeys(find_variables("hosts").values(), self.url),
            **{variable: rate for variable, rate in rates.items() if rate is not None},
        }

    def _describe_rate(self, family: str) -> str | None:
        """Write a client's limit for *family*, or None where the documented one holds."""
        if not self.limits:
            return f"{_UNLIMITED}"
        rate, documented = self.limits.get(family), DOCUMENTED.get(family)
        if rate is None or documented is None:
            return None
        is_raised = rate.count / rate.per > documented.count / documented.per
        return f"{rate.count}/{rate.per:g}" if is_raised else None
