"""What a likely mistake is told: the argument, the rule and the value, or the right name."""

from __future__ import annotations

import pytest
from samples import KEY, PNG

import memories_async
from memories_async import Budget, Client, Limit, Limits, Policy, blocking

BOTH = pytest.mark.parametrize("kind", [Client, blocking.Client], ids=["async", "blocking"])


WRONG = {"text": "5", "true": True, "nan": float("nan"), "negative": -1}


@pytest.mark.parametrize("wrong", [*WRONG.values(), None], ids=[*WRONG, "none"])
@pytest.mark.parametrize(
    ("build", "argument", "rule"),
    [
        (lambda value: Policy(attempts=value), "attempts", "a whole number, 1 or more"),
        (lambda value: Policy(timeout=value), "timeout", "a number of seconds above 0"),
        (lambda value: Policy(connect_timeout=value), "connect_timeout", "a number of seconds"),
        (lambda value: Policy(backoff=value), "backoff", "a number of seconds, 0 or more"),
        (lambda value: Policy(max_backoff=value), "max_backoff", "a number of seconds"),
        (lambda value: Policy(max_retry_after=value), "max_retry_after", "a number of seconds"),
        (Limit, "rate", "a number above 0"),
        (lambda value: Limit(1, per=value), "per", "a number of seconds above 0"),
        (lambda value: Limit(1, concurrency=value), "concurrency", "a whole number, 1 or more"),
        (lambda value: Limits(search=value), "search", r"a Limit, such as Limit\(2\)"),
        (lambda value: Budget(prices={"search": value}), r"prices\['search'\]", "a number, 0"),
    ],
    ids=[
        *("attempts", "timeout", "connect_timeout", "backoff", "max_backoff", "max_retry_after"),
        *("rate", "per", "concurrency", "limit", "price"),
    ],
)
def test_a_wrong_number_is_told_its_argument_its_rule_and_its_value(build, argument, rule, wrong):
    """Python's own words for it are of the code inside: '>' is not supported between them."""
    with pytest.raises((TypeError, ValueError), match=f"^{argument} must be {rule}") as caught:
        build(wrong)

    assert str(caught.value).endswith(f"not {wrong!r}")
    is_number = wrong == -1 or isinstance(wrong, float)
    assert caught.type is (ValueError if is_number and argument != "search" else TypeError)


@pytest.mark.parametrize("wrong", WRONG.values(), ids=[*WRONG])
@pytest.mark.parametrize(
    "build",
    [
        lambda value: Policy(deadline=value),
        lambda value: Budget(points=value),
        lambda value: Budget(calls=value),
        lambda value: Client(api_key=KEY).batch([], concurrency=value),
    ],
    ids=["deadline", "points", "calls", "concurrency"],
)
def test_a_number_that_may_be_left_out_says_so(build, wrong):
    """None is the way not to limit anything."""
    with pytest.raises((TypeError, ValueError), match=r"must be a .*, or None, not "):
        build(wrong)


def test_a_part_of_a_call_is_no_number_of_calls():
    """It is a number, but not one of the rule."""
    for build in (lambda: Policy(attempts=2.5), lambda: Budget(calls=2.5)):
        with pytest.raises(ValueError, match="must be a whole number"):
            build()


def test_a_flag_that_may_pay_twice_is_true_or_false():
    """The text 'no' is true for Python."""
    with pytest.raises(TypeError, match="resend_unknown must be True or False, not 'no'"):
        Policy(resend_unknown="no")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"policy": {"timeout": 3}}, r"policy must be a Policy, such as Policy\(.*, not dict"),
        ({"limits": Limit(2)}, r"limits must be a Limits, such as Limits\(.*, not Limit"),
        ({"hosts": "http://me:word@x"}, r"hosts must be a Hosts, such as Hosts.at.*, not str"),
        ({"budget": 5}, r"budget must be a Budget, such as Budget\(.*, not int"),
        ({"limiter": "redis://x"}, "limiter must be a RateLimiter, .*, not str"),
        ({"observers": print}, "observers must be functions in a list"),
        ({"observers": ["print"]}, "observers must be functions in a list"),
        ({"api_key": 5}, "api_key must be a str, not int"),
    ],
    ids=["policy", "limits", "hosts", "budget", "limiter", "one-observer", "observer", "key"],
)
@BOTH
def test_an_option_of_another_kind_is_refused_when_the_client_is_made(kind, options, message):
    """Not at the first call, and without a value that may hold a password."""
    with pytest.raises(TypeError, match=message) as caught:
        kind(**{"api_key": KEY, **options})

    assert ":word" not in str(caught.value)


@BOTH
def test_options_are_given_by_name(kind):
    """A key by position is the first thing that many try."""
    with pytest.raises(TypeError, match=r"Client takes by name: api_key=\.\.\., "):
        kind(KEY)


@pytest.mark.parametrize(
    ("option", "advice"),
    [
        ("timeout", r"use client\.with_policy\(timeout=\.\.\.\)"),
        ("max_retries", r"use client\.with_policy\(attempts=\.\.\.\)"),
        ("extra_headers", "the service reads no further header"),
        ("api_key", r"use client\.with_options\(api_key=\.\.\.\)"),
        ("fresh", r"use client\.send\(call, fresh=True\)"),
        ("extra_body", r"use extra=\.\.\."),
        ("quux", "there are image, prompt, video_no"),
    ],
    ids=["timeout", "retries", "headers", "key", "fresh", "body", "other"],
)
@BOTH
def test_a_method_says_where_an_option_is_given(kind, option, advice):
    """A call has no time limit of its own, and no headers."""
    given = {"prompt": "a dog", "video_no": "VI1", option: 3}
    with pytest.raises(TypeError, match=f"clips.search has no option '{option}'.*{advice}"):
        kind(api_key=KEY).clips.search(PNG, **given)


@BOTH
def test_every_kind_of_method_says_where_an_option_is_given(kind):
    """Those of several calls, a listing with its filters, and a batch."""
    client = kind(api_key=KEY)
    for call, name in (
        (lambda: client.videos.delete(["VI1"], timeout=3), "videos.delete"),
        (lambda: client.videos.list(timeout=3), "videos.list"),
        (lambda: client.batch([], timeout=3), "client.batch"),
    ):
        with pytest.raises(TypeError, match=f"{name} has no option 'timeout': use .*with_policy"):
            call()
    with pytest.raises(TypeError, match=r"use concurrency=\.\.\."):
        client.batch([], max_workers=3)
    with pytest.raises(TypeError, match=r"with_policy has no option 'retries': use attempts="):
        client.with_policy(retries=3)


@BOTH
def test_arguments_by_position_are_told_their_names(kind):
    """And an error about a value stays what it is."""
    client = kind(api_key=KEY)
    with pytest.raises(TypeError, match=r"clips.search takes by name: prompt=\.\.\., video_no="):
        client.clips.search(PNG, "a dog", "VI1")
    with pytest.raises(TypeError, match="prompt must be a str, not int"):
        client.clips.search(PNG, prompt=5, video_no="VI1")
    with pytest.raises(TypeError, match="missing 1 required"):
        client.clips.search(PNG, prompt="a dog")


@BOTH
def test_an_attribute_of_the_other_client_is_named(kind):
    """So is a method that is in a group."""
    client, is_async = kind(api_key=KEY), kind is Client
    wrong, right = ("close", r"await client\.aclose") if is_async else ("aclose", r"client\.close")
    for name, advice in ((wrong, right), ("search", r"client\.clips\.search")):
        with pytest.raises(AttributeError, match=f"no attribute '{name}': use {advice}"):
            getattr(client, name)
    with pytest.raises(AttributeError, match=r"no attribute 'quux'$"):
        client.quux  # noqa: B018

    assert not hasattr(client, wrong)


async def test_the_wrong_with_names_the_right_one():
    """`with` belongs to the blocking client, `async with` to the other."""
    with pytest.raises(TypeError, match="use `async with`"), Client(api_key=KEY):
        pass
    with pytest.raises(TypeError, match="use `with`"):
        async with blocking.Client(api_key=KEY):
            pass


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("AsyncClient", "Client is the asynchronous client, blocking.Client the one without await"),
        ("SyncClient", "use memories_async.blocking.Client"),
        ("RateLimitError", "use RateLimited"),
        ("Vectors", "import it from memories_async.vectors"),
    ],
    ids=["asynchronous", "blocking", "error", "capability"],
)
def test_a_name_of_another_library_is_told_ours(name, advice):
    """Also in `from memories_async import`, which keeps the text of no `AttributeError`."""
    with pytest.raises(ImportError, match=f"no '{name}': {advice}"):
        exec(f"from memories_async import {name}", {})
    with pytest.raises(ImportError, match=advice):
        getattr(memories_async, name)


def test_a_name_that_nobody_has_is_an_attribute_error():
    """So `hasattr` works, and Python suggests the nearest name."""
    assert not hasattr(memories_async, "quux")
