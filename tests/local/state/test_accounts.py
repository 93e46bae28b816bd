"""Who may call, what it costs, and what the statement says."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import ClientSession, FormData

from memories_async.local import LocalService
from memories_async.local.state.accounts import Accounts


async def test_a_missing_or_wrong_key_is_refused_in_each_hosts_own_way(search, embed, caption):
    """Search and captions answer HTTP 200, embeddings a 401."""
    for key, sentence in [("", "is missing"), ("local-wrong", "is not valid")]:
        headers = {"Authorization": key}
        first, second, third = (
            await search(headers=headers),
            await embed(headers=headers),
            await caption(headers=headers),
        )

        assert (first.status, first.json["code"]) == (200, "0401")
        assert (second.status, second.json["code"]) == (401, 401)
        assert (third.status, third.json["code"]) == (200, -1)
        assert all(sentence in reply.json["msg"] for reply in (first, second, third))


async def test_tells_what_is_wrong_with_a_bearer_or_a_real_key(service, search):
    """The two commonest mistakes have their own sentence, and no key in it."""
    bearer = await search(headers={"Authorization": f"Bearer {service.api_key}"})
    real = await search(headers={"Authorization": "sk-mavi-0123456789"})

    assert "without 'Bearer'" in bearer.json["msg"]
    assert "looks real" in real.json["msg"]
    assert "0123456789" not in real.json["msg"]


async def test_counts_every_call_and_only_paid_ones_cost(service, search, embed):
    """The referee: calls seen, calls paid, points, and the statement."""
    await search()
    await search(prompt=None)
    await search(headers={"Authorization": "local-wrong"})
    await embed()

    account = service.account
    assert (account.calls, account.paid, account.points_spent) == (4, 2, 2)
    assert account.points == 999_998
    assert [entry.route for entry in account.statement] == ["clips.search", "embeddings.video"]
    assert account.statement[1].item == service.library[0].asset_id


async def test_refuses_at_zero_points(service, search, embed):
    """An empty account is 0402 and 402."""
    service.account.points = 1

    assert (await search()).json["code"] == "0000"
    assert (await search()).json["code"] == "0402"
    assert (await embed()).status == 402
    assert (service.account.points, service.account.paid) == (0, 1)


async def test_calls_at_once_cannot_spend_the_same_point(service, search):
    """The price is held while the work is done."""
    service.account.points = 2

    replies = await asyncio.gather(*(search() for _ in range(5)))

    assert sorted(reply.json["code"] for reply in replies) == ["0000"] * 2 + ["0402"] * 3
    assert service.account.points == 0


async def test_a_disabled_account_is_refused(service, search, embed):
    """0403 and 403."""
    service.account.disabled = True

    assert (await search()).json["code"] == "0403"
    assert (await embed()).status == 403


async def test_prices_are_the_callers_to_set(films, engine):
    """The real prices are not published for every route."""
    async with LocalService([films], engine=engine, prices={"clips.search": 3}) as service:
        with service.account.hold("clips.search") as hold:
            hold.charge("VI1")

        assert service.account.points_spent == 3


async def test_captions_may_have_a_key_of_their_own(films, engine, receiver):
    """The caption host hands out dedicated keys; each key opens its own hosts only."""
    keys = {"api_key": "local-a", "caption_api_key": "local-b"}
    async with LocalService([films], engine=engine, **keys) as service:
        assert (service.api_key, service.caption_api_key) == ("local-a", "local-b")
        told = [await _ask(service, key) for key in ("local-a", "local-b")]

    assert told == [("is not valid", "cannot be empty"), ("cannot be empty", "is not valid")]


async def _ask(service, key):
    """What the caption and the search host say to *key* and an empty request."""
    headers, told = {"Authorization": key}, []
    async with ClientSession(service.url, headers=headers) as http:
        for path in ("/v1/understand/upload", "/serve/api/v1/search_clips_by_image"):
            form = FormData(default_to_multipart=True)
            form.add_field("nothing", "")
            body = {"data": form} if "search" in path else {"json": {}}
            async with http.post(path, **body) as reply:
                told.append(" ".join((await reply.json())["msg"].strip("!.").split()[-3:]))
    return tuple(told)


async def test_accounts_stand_side_by_side(service, search):
    """Each customer has points and a statement of their own."""
    other = service.open_account(api_key="local-other", points=1)

    codes = [
        (await search(headers={"Authorization": "local-other"})).json["code"] for _ in range(2)
    ]

    assert codes == ["0000", "0402"]
    assert (other.paid, service.account.paid) == (1, 0)


@pytest.mark.parametrize(
    ("key", "sentence"),
    [
        ("sk-mavi-1", "looks real"),
        ("SK-1", "looks real"),
        ("", "visible ASCII"),
        ("local a", "visible ASCII"),
        ("local-\n", "visible ASCII"),
        ("local-é", "visible ASCII"),
    ],
)
def test_refuses_keys_that_look_real_or_cannot_be_sent(key, sentence):
    """A real key must never reach a test double."""
    with pytest.raises(ValueError, match=sentence) as caught:
        Accounts().open(key=key, caption_key=None, points=1, prices={})

    assert key.strip("sk-") == "" or key not in str(caught.value)


def test_refuses_two_accounts_with_one_key():
    """Else nobody knows who pays."""
    accounts = Accounts()
    accounts.open(key="local-a", caption_key=None, points=1, prices={})

    with pytest.raises(ValueError, match="another account"):
        accounts.open(key="local-b", caption_key="local-a", points=1, prices={})


def test_no_key_shows(films, engine):
    """Neither a service nor an account prints its keys."""
    service = LocalService([films], engine=engine, api_key="local-secret")

    assert "secret" not in repr(service) + repr(service.account)
    assert service.api_key == "local-secret"
