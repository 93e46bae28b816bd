"""One way to send calls for tests that hold for both clients, and a transport that follows a script."""

from __future__ import annotations

import asyncio

import pytest
from attrs import define, evolve, field
from samples import KEY

from memories_async import Client, Hosts, InProcessLimiter, Limit, Limits, Policy, blocking

HASTY = Policy(timeout=0.4, connect_timeout=2.0, backoff=0.001, max_backoff=0.002, deadline=10.0)
"""Waits of a millisecond, and a silence that tests can sit out."""
PATIENT = evolve(HASTY, timeout=30.0, connect_timeout=30.0, deadline=60.0)
"""For tests whose server always answers: a slow machine is no failure."""
UNLIMITED = Limits(
    search=Limit(100_000),
    captions=Limit(100_000),
    embeddings=Limit(100_000),
    other=Limit(100_000),
)


def settings(url: str, **changes) -> dict:
    """A client's arguments: this server, a limiter of its own, no patience."""
    standard = {"api_key": KEY, "hosts": Hosts.at(url), "policy": HASTY}
    return standard | {"limits": UNLIMITED, "limiter": InProcessLimiter()} | changes


def client(url: str, **changes) -> Client:
    """Make the asynchronous client for *url*."""
    return Client(**settings(url, **changes))


def patient_client(url: str, **changes) -> Client:
    """Make an asynchronous client that waits long for an answer."""
    return client(url, **{"policy": PATIENT, **changes})


@define(eq=False)
class Caller:
    """A client of either kind."""

    client: Client | blocking.Client

    async def send(self, call):
        if isinstance(self.client, Client):
            return await self.client.send(call)
        return await asyncio.to_thread(self.client.send, call)

    async def fails(self, call, kind):
        """Send *call*, which must end in *kind*, and return the error."""
        with pytest.raises(kind) as caught:
            await self.send(call)
        assert type(caught.value) is kind
        return caught.value

    async def aclose(self) -> None:
        if isinstance(self.client, Client):
            await self.client.aclose()
        else:
            await asyncio.to_thread(self.client.close)


class Unlimited(InProcessLimiter):
    """A limiter that notes pauses instead of keeping them."""

    def __init__(self):
        super().__init__()
        self.pauses: list[float] = []

    async def pause(self, bucket, seconds):
        self.pauses.append(seconds)

    def busy(self) -> int:
        """Slots that are taken."""
        return sum(bucket.busy for bucket in self._buckets.values())


def over(transport, **changes) -> Client:
    """Make the asynchronous client over *transport* instead of a network."""
    one = client("http://localhost:1", **changes)
    one._transport = transport
    return one


def settings_of(one: Client | blocking.Client):
    """The settings of a client of either kind."""
    return (one if isinstance(one, Client) else one._client)._settings


@define(eq=False)
class Scripted:
    """A transport that hands out replies and errors in order; the last one repeats."""

    script: list
    requests: list = field(factory=list)

    async def carry(self, request):
        self.requests.append(request)
        step = self.script[min(len(self.requests), len(self.script)) - 1]
        if isinstance(step, BaseException):
            raise step
        return step

    async def aclose(self) -> None:
        """Nothing was opened."""
