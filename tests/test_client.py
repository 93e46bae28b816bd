"""How clients are set up: keys, hosts, ledgers and receivers; nothing is opened."""

from __future__ import annotations

import inspect
import pickle
import pydoc
import re
import sys
from contextlib import closing

import pytest
from attrs import evolve
from callers import Scripted, client, over, settings_of
from samples import ACCEPTED, FOUND, KEY, caption_call, reply, search_call

from memories_async import (
    Budget,
    Client,
    Hosts,
    InProcessLimiter,
    Limit,
    Limits,
    Policy,
    Receiver,
    blocking,
    clips,
    embeddings,
)
from memories_async._protocol.reply import Host
from memories_async.limiter import Priority

BOTH = pytest.mark.parametrize("kind", [Client, blocking.Client])


@BOTH
def test_the_key_comes_from_the_environment(kind, monkeypatch):
    """Or is given; without any there is no client."""
    with pytest.raises(ValueError, match="pass api_key= or set MEMORIES_API_KEY"):
        kind()
    monkeypatch.setenv("MEMORIES_API_KEY", "local-environment")

    assert settings_of(kind()).key.reveal() == "local-environment"
    assert settings_of(kind(api_key=KEY)).key.reveal() == KEY


@BOTH
def test_the_caption_host_may_have_a_key_of_its_own(kind, monkeypatch):
    """By argument or variable; otherwise the general one serves."""
    assert keys(kind(api_key=KEY)) == (KEY, KEY)
    assert keys(kind(api_key=KEY, caption_api_key="local-c")) == (KEY, "local-c")
    monkeypatch.setenv("MEMORIES_CAPTION_API_KEY", "local-v")
    assert keys(kind(api_key=KEY)) == (KEY, "local-v")


def keys(one):
    """The keys that go to the search and the caption host."""
    return tuple(settings_of(one).key_of(host).reveal() for host in (Host.SEARCH, Host.CAPTIONS))


async def test_a_caption_key_alone_captions_but_does_not_search():
    """And says so before a turn is taken."""
    transport = Scripted([reply(ACCEPTED)])
    one = over(transport, api_key=None, caption_api_key=KEY)

    assert await one.send(caption_call())
    with pytest.raises(ValueError, match="no API key for search: pass api_key="):
        await one.send(search_call())
    assert len(transport.requests) == 1


@BOTH
def test_hosts_come_from_the_environment(kind, monkeypatch):
    """Or are given."""
    monkeypatch.setenv("MEMORIES_V1_BASE_URL", "https://v1.example")

    assert settings_of(kind(api_key=KEY)).hosts.search == "https://v1.example"
    assert settings_of(kind(api_key=KEY, hosts=Hosts())).hosts == Hosts()


@BOTH
def test_a_ledger_that_is_none_is_refused(kind):
    """When the client is made, naming the argument."""
    with pytest.raises(TypeError, match=r"ledger must be a memories_async\.Ledger, not 'run\.db'"):
        kind(api_key=KEY, ledger="run.db")


@BOTH
def test_a_receiver_that_is_none_is_refused(kind):
    """A URL alone is not a receiver."""
    with pytest.raises(TypeError, match=r"receiver must be a memories_async\.Receiver, not 'http"):
        kind(api_key=KEY, receiver="https://me/cb")


@BOTH
def test_the_defaults_are_the_documented_ones(kind):
    """One policy, the documented limits, and one limiter for the whole process."""
    one, two = settings_of(kind(api_key=KEY)), settings_of(kind(api_key=KEY))

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

    assert settings_of(one.with_policy(attempts=1)).policy == evolve(Policy(), attempts=1)
    with pytest.raises(ValueError, match="attempts"):
        one.with_policy(attempts=0)
    with pytest.raises(TypeError):
        one.with_policy(patience=1)


@BOTH
def test_options_change_by_name(kind):
    """What is not given stays, and the connections are shared."""
    one = kind(api_key=KEY, caption_api_key="local-captions", account="team")
    twin = one.with_options(limits=Limits(search=Limit(5)), budget=Budget(calls=9))

    ours, theirs = settings_of(one), settings_of(twin)
    assert (theirs.key, theirs.caption_key, theirs.account_name) == (*both_keys(ours), "team")
    assert (theirs.limits.search, theirs.limiter) == (Limit(5), ours.limiter)
    assert (len(theirs.budgets), ours.budgets) == (1, ())
    assert settings_of(twin.with_options(budget=None)).budgets == ()
    assert transport_of(twin) is transport_of(one)


@BOTH
def test_another_key_is_another_account(kind):
    """A ledger would otherwise answer with what another account paid for."""
    one = kind(api_key=KEY, caption_api_key="local-captions", account="team")
    other = settings_of(one.with_options(api_key="local-other"))

    assert [key.reveal() for key in both_keys(other)] == ["local-other"] * 2
    assert other.account_name is None
    assert settings_of(one.with_options(api_key="local-other", account="b")).account_name == "b"


@BOTH
@pytest.mark.parametrize("key", ["", None])
def test_a_key_that_is_missing_does_not_fall_back_to_another(kind, key, monkeypatch):
    """Whoever changes the key must not pay by the old one, nor by the environment's."""
    monkeypatch.setenv("MEMORIES_API_KEY", "local-environment")
    with pytest.raises(ValueError, match="api_key is empty"):
        kind().with_options(api_key=key)


@BOTH
def test_an_option_that_connections_depend_on_cannot_change(kind):
    """The error names those that can."""
    with pytest.raises(TypeError, match=r"no option 'hosts'; there are api_key, .*budget"):
        kind(api_key=KEY).with_options(hosts=Hosts())


@BOTH
def test_an_option_of_the_policy_is_looked_for_in_the_wrong_method(kind):
    """The error names the method that takes it."""
    with pytest.raises(TypeError, match=r"with_options has no option 'timeout': use with_policy"):
        kind(api_key=KEY).with_options(timeout=3)


def both_keys(settings):
    """The key, and the one for captions."""
    return settings.key, settings.caption_key


def transport_of(one):
    """What a client of either kind sends by."""
    return getattr(one, "_client", one)._transport


@BOTH
def test_a_client_shows_where_it_sends(kind):
    """And nothing else."""
    assert "https://api.memories.ai" in repr(kind(api_key=KEY))
    assert repr(kind(api_key=KEY)).startswith(f"{kind.__module__}.Client(Hosts(")


async def test_a_caption_without_a_callback_needs_a_receiver():
    """Nothing is sent to be lost."""
    transport = Scripted([reply(ACCEPTED)])

    with pytest.raises(
        ValueError, match=r"captions\.upload needs callback=.* captions\.upload_sync needs"
    ):
        await over(transport).send(caption_call(callback=None))
    assert not transport.requests


class Issuer(Receiver):
    """A receiver that fills in the callback, and keeps nothing."""

    async def submit(self, call, send, *, key=None):
        return await send(call.with_callback("https://me/cb"))


ISSUER = Issuer("https://me/cb")


async def test_a_receiver_fills_the_callback_in():
    """Only where the caller gave none."""
    transport = Scripted([reply(ACCEPTED)])
    one = over(transport, receiver=ISSUER)
    await one.send(caption_call(callback=None))
    await one.send(caption_call(callback="https://own/cb"))
    await over(Scripted([reply(FOUND)]), receiver=ISSUER).send(search_call())

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


@BOTH
def test_methods_show_parameters_and_the_type_of_the_answer(kind):
    """Editors and `help` show no `Call`, and no client among the parameters."""
    one = kind(api_key=KEY)
    shown = inspect.signature(one.clips.search)

    assert shown.parameters == inspect.signature(clips.search).parameters
    assert shown.return_annotation == "tuple[Clip, ...]"
    assert inspect.signature(one.embeddings.video).return_annotation == "Embedding"
    assert inspect.signature(one.videos.metadata).return_annotation == "Video | None"
    assert inspect.signature(one.assets.add).return_annotation == "Asset"
    assert next(iter(inspect.signature(one.assets.add).parameters)) == "file"
    assert one.videos.list.__name__ == "list"


@pytest.mark.parametrize(
    ("kind", "returned"), [(Client, "AsyncIterator[Video]"), (blocking.Client, "Iterator[Video]")]
)
def test_a_listing_shows_that_it_is_an_iterator(kind, returned):
    """The page that one request brings is not what the user sees."""
    listing = kind(api_key=KEY).videos.list

    assert inspect.signature(listing).return_annotation == returned
    assert listing.__doc__.startswith("Iterate over the videos")


@pytest.mark.parametrize(
    ("method", "argument"), [("embeddings.video", "re_657"), ("assets.add", "film.mp4")]
)
async def test_a_call_that_nobody_awaits_is_named(method, argument):
    """Python's warning shows the call of the user, not a function of the library."""
    group, _, function = method.partition(".")
    with closing(getattr(getattr(Client(api_key=KEY), group), function)(argument)) as call:
        assert call.__qualname__ == method


@pytest.mark.skipif(sys.version_info < (3, 12), reason="Python 3.11 has no mark for it")
def test_awaited_methods_are_seen_as_coroutine_functions():
    """By `help`, mocks and frameworks; blocking methods are not, and neither are listings."""
    awaited, waited = Client(api_key=KEY), blocking.Client(api_key=KEY)

    assert inspect.iscoroutinefunction(awaited.clips.search)
    assert inspect.iscoroutinefunction(awaited.videos.add)
    assert not inspect.iscoroutinefunction(awaited.videos.list)
    assert not inspect.iscoroutinefunction(waited.clips.search)
    assert not inspect.iscoroutinefunction(waited.videos.add)


@BOTH
def test_help_shows_a_method_as_a_user_reads_it(kind):
    """A line with the answer's type, and the endpoint's own docstring."""
    shown = " ".join(pydoc.plain(pydoc.render_doc(kind(api_key=KEY).embeddings.video)).split())

    assert "Call[" not in shown
    assert re.search(r"video\( ?asset_id: '?str'?, .*\) -> '?Embedding'?", shown)
    assert inspect.getdoc(embeddings.video) in inspect.getdoc(kind(api_key=KEY).embeddings.video)


def test_both_clients_take_the_same_options():
    """The blocking client passes them on to the asynchronous one."""
    assert inspect.signature(blocking.Client) == inspect.signature(Client)
    with pytest.raises(TypeError, match="patience"):
        blocking.Client(api_key=KEY, patience=1)


def test_a_bucket_is_named_once():
    """Calls of one family look the same bucket up; other settings have buckets of their own."""
    settings = Client(api_key=KEY)._settings
    bucket = settings.bucket(Host.SEARCH, "search")

    assert settings.bucket(Host.SEARCH, "search") is bucket
    assert evolve(settings, priority=Priority.BATCH).bucket(Host.SEARCH, "search") is not bucket
    assert pickle.loads(pickle.dumps(settings)).bucket(Host.SEARCH, "search") == bucket


@pytest.mark.parametrize("method", ["send", "exchange", "is_paid"])
@pytest.mark.parametrize(
    "given", [None, "clips.search", embeddings.image], ids=["None", "str", "function"]
)
async def test_what_is_no_call_is_refused(method, given):
    """Also by a client without a ledger."""
    with pytest.raises(TypeError, match=r"a call is expected, such as .*, not "):
        await getattr(over(Scripted([])), method)(given)


async def test_a_flow_is_sent_and_not_exchanged():
    """It has two replies."""
    flow = embeddings.video_file(b"film", timeout=1)
    with pytest.raises(TypeError, match=r"not Flow: client.send and client.batch take a flow"):
        await over(Scripted([])).exchange(flow)
