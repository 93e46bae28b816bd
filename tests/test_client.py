"""How clients are set up: keys, hosts, ledgers and receivers; nothing is opened."""

from __future__ import annotations

import inspect
import pickle

import pytest
from attrs import evolve
from callers import Scripted, client, over
from samples import ACCEPTED, FOUND, KEY, caption_call, reply, search_call

from memories_async import Client, Hosts, InProcessLimiter, Limits, Policy, blocking, clips
from memories_async._protocol.reply import Host
from memories_async.limiter._limits import Priority

BOTH = pytest.mark.parametrize("kind", [Client, blocking.Client])


@BOTH
def test_the_key_comes_from_the_environment(kind, monkeypatch):
    """Or is given; without any there is no client."""
    with pytest.raises(ValueError, match="pass api_key= or set MEMORIES_API_KEY"):
        kind()
    monkeypatch.setenv("MEMORIES_API_KEY", "local-environment")

    assert kind()._settings.key.reveal() == "local-environment"
    assert kind(api_key=KEY)._settings.key.reveal() == KEY


@BOTH
def test_the_caption_host_may_have_a_key_of_its_own(kind, monkeypatch):
    """By argument or variable; otherwise the general one serves."""
    assert keys(kind(api_key=KEY)) == (KEY, KEY)
    assert keys(kind(api_key=KEY, caption_api_key="local-c")) == (KEY, "local-c")
    monkeypatch.setenv("MEMORIES_CAPTION_API_KEY", "local-v")
    assert keys(kind(api_key=KEY)) == (KEY, "local-v")


def keys(one):
    """The keys that go to the search and the caption host."""
    return tuple(one._settings.key_of(host).reveal() for host in (Host.SEARCH, Host.CAPTIONS))


async def test_a_caption_key_alone_captions_but_does_not_search():
    """And says so before a turn is taken."""
    transport = Scripted([reply(ACCEPTED)])
    one = Client.over(Client(caption_api_key=KEY)._settings, transport)

    assert await one.send(caption_call())
    with pytest.raises(ValueError, match="no API key for search: pass api_key="):
        await one.send(search_call())
    assert len(transport.requests) == 1


@BOTH
def test_hosts_come_from_the_environment(kind, monkeypatch):
    """Or are given."""
    monkeypatch.setenv("MEMORIES_V1_BASE_URL", "https://v1.example")

    assert kind(api_key=KEY)._settings.hosts.search == "https://v1.example"
    assert kind(api_key=KEY, hosts=Hosts())._settings.hosts == Hosts()


@BOTH
def test_a_ledger_that_is_none_is_refused(kind):
    """When the client is made, naming the argument."""
    with pytest.raises(TypeError, match=r"ledger must be a memories_async\.Ledger, not 'run\.db'"):
        kind(api_key=KEY, ledger="run.db")


@BOTH
def test_the_defaults_are_the_documented_ones(kind):
    """One policy, the documented limits, and one limiter for the whole process."""
    one, two = kind(api_key=KEY)._settings, kind(api_key=KEY)._settings

    assert (one.policy, one.limits, one.limiter) == (Policy(), Limits(), two.limiter)


def test_both_clients_take_the_same_arguments():
    """All of them by name."""
    awaited, waited = inspect.signature(Client), inspect.signature(blocking.Client)

    assert awaited == waited
    assert {p.kind for p in awaited.parameters.values()} == {inspect.Parameter.KEYWORD_ONLY}


def test_an_account_is_a_key_on_a_host():
    """The same key on another server is another account, and the bucket tells no key."""
    one, two = (
        client(url)._settings.bucket(Host.SEARCH, "search")
        for url in ("http://localhost:1", "http://localhost:2")
    )

    assert one.account != two.account
    assert KEY not in repr(one)


@BOTH
def test_policies_change_by_name(kind):
    """And are checked."""
    one = kind(api_key=KEY)

    assert one.with_policy(attempts=1)._settings.policy == evolve(Policy(), attempts=1)
    with pytest.raises(ValueError, match="attempts"):
        one.with_policy(attempts=0)
    with pytest.raises(TypeError):
        one.with_policy(patience=1)


@BOTH
def test_a_client_shows_where_it_sends(kind):
    """And nothing else."""
    assert "https://api.memories.ai" in repr(kind(api_key=KEY))


async def test_a_caption_without_a_callback_needs_a_receiver():
    """Nothing is sent to be lost."""
    transport = Scripted([reply(ACCEPTED)])

    with pytest.raises(ValueError, match=r"captions\.upload needs callback="):
        await over(transport).send(caption_call(callback=None))
    assert not transport.requests


class Issuer:
    """A receiver: fills in the callback, then sends."""

    async def submit(self, call, send, *, key):
        return await send(call.with_callback("https://me/cb"))

    def beside(self, _):
        """Share the ledger's file."""


async def test_a_receiver_fills_the_callback_in():
    """Only where the caller gave none."""
    transport = Scripted([reply(ACCEPTED)])
    one = over(transport, receiver=Issuer())
    await one.send(caption_call(callback=None))
    await one.send(caption_call(callback="https://own/cb"))
    await over(Scripted([reply(FOUND)]), receiver=Issuer()).send(search_call())

    sent = [request.body.document["callback"] for request in transport.requests]
    assert sent == ["https://me/cb", "https://own/cb"]


async def test_the_views_send_what_the_modules_describe():
    """`client.clips.search(x)` is `client.send(clips.search(x))`."""
    transport = Scripted([reply(FOUND)])
    one = over(transport, limiter=InProcessLimiter())
    await one.clips.search(b"BM x", prompt="p", video_no="VI1")

    parts = transport.requests[0].body.parts
    assert [part.content for part in parts[1:]] == ["VI1", "p", "default"]
    assert one.clips.search.__doc__.startswith("Find the clips")
    with pytest.raises(ValueError, match="prompt must not be empty"):
        one.clips.search(b"BM x", prompt="", video_no="VI1")


def test_methods_show_what_their_calls_take():
    """Editors and `help` see the parameters of the value or the flow, and no client among them."""
    for one in (Client(api_key=KEY), blocking.Client(api_key=KEY)):
        assert inspect.signature(one.clips.search) == inspect.signature(clips.search)
        assert next(iter(inspect.signature(one.assets.add).parameters)) == "file"
        assert one.videos.list.__name__ == "list"


def test_a_bucket_is_named_once():
    """Calls of one family look the same bucket up; other settings have buckets of their own."""
    settings = Client(api_key=KEY)._settings
    bucket = settings.bucket(Host.SEARCH, "search")

    assert settings.bucket(Host.SEARCH, "search") is bucket
    assert evolve(settings, priority=Priority.BATCH).bucket(Host.SEARCH, "search") is not bucket
    assert pickle.loads(pickle.dumps(settings)).bucket(Host.SEARCH, "search") == bucket
