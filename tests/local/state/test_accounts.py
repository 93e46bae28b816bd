"""Keys, points, prices and statements."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import ClientSession, FormData

from memories_async.local import LocalService
from memories_async.local.state.accounts import Accounts


async def test_missing_or_wrong_key_is_refused_by_each_host(search, embed, caption):
    """With HTTP 200 for searches and captions, 401 for embeddings."""
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


async def test_bearer_and_real_keys_have_their_own_refusal(service, search):
    """Without the key in it."""
    bearer = await search(headers={"Authorization": f"Bearer {service.api_key}"})
    real = await search(headers={"Authorization": "sk-mavi-0123456789"})

    assert "without 'Bearer'" in bearer.json["msg"]
    assert "looks real" in real.json["msg"]
    assert "0123456789" not in real.json["msg"]


async def test_account_counts_all_calls_and_charges_successful_ones(service, search, embed):
    """Calls, paid calls, points and statement agree."""
    await search()
    await search(prompt=None)
    await search(headers={"Authorization": "local-wrong"})
    await embed()

    account = service.account
    assert (account.calls, account.paid, account.points_spent) == (4, 2, 2)
    assert account.points == 999_998
    assert [entry.route for entry in account.statement] == ["clips.search", "embeddings.video"]
    assert account.statement[1].item == service.library[0].asset_id


async def test_account_without_points_is_refused(service, search, embed):
    """With 0402 and 402."""
    service.account.points = 1

    assert (await search()).json["code"] == "0000"
    assert (await search()).json["code"] == "0402"
    assert (await embed()).status == 402
    assert (service.account.points, service.account.paid) == (0, 1)


async def test_concurrent_calls_cannot_spend_the_same_point(service, search):
    """The price is held while the work is done."""
    service.account.points = 2

    replies = await asyncio.gather(*(search() for _ in range(5)))

    assert sorted(reply.json["code"] for reply in replies) == ["0000"] * 2 + ["0402"] * 3
    assert service.account.points == 0


async def test_disabled_account_is_refused(service, search, embed):
    """With 0403 and 403."""
    service.account.disabled = True

    assert (await search()).json["code"] == "0403"
    assert (await embed()).status == 403


async def test_prices_can_be_set_by_route(films, engine):
    """The real ones are not published for each."""
    async with LocalService([films], engine=engine, prices={"clips.search": 3}) as service:
        with service.account.hold("clips.search") as hold:
            hold.charge("VI1")

        assert service.account.points_spent == 3


async def test_caption_key_is_valid_on_the_caption_host_only(films, engine, receiver):
    """The other key is accepted on the other hosts."""
    keys = {"api_key": "local-a", "caption_api_key": "local-b"}
    async with LocalService([films], engine=engine, **keys) as service:
        assert (service.api_key, service.caption_api_key) == ("local-a", "local-b")
        told = [await _ask_both_hosts(service, key) for key in ("local-a", "local-b")]

    assert told == [("is not valid", "cannot be empty"), ("cannot be empty", "is not valid")]


async def _ask_both_hosts(service, key):
    """The last words of the caption host and the search host about *key* and an empty request."""
    headers, told = {"Authorization": key}, []
    async with ClientSession(service.url, headers=headers) as http:
        for path in ("/v1/understand/upload", "/serve/api/v1/search_clips_by_image"):
            form = FormData(default_to_multipart=True)
            form.add_field("nothing", "")
            body = {"data": form} if "search" in path else {"json": {}}
            async with http.post(path, **body) as reply:
                told.append(" ".join((await reply.json())["msg"].strip("!.").split()[-3:]))
    return tuple(told)


async def test_accounts_have_points_and_statements_of_their_own(service, search):
    """An empty balance does not affect the other account."""
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
def test_key_that_looks_real_or_cannot_be_sent_is_refused(key, sentence):
    """A real key must never reach the embedded service."""
    with pytest.raises(ValueError, match=sentence) as caught:
        Accounts().open(key=key, caption_key=None, points=1, prices={})

    assert key.strip("sk-") == "" or key not in str(caught.value)


def test_two_accounts_cannot_share_a_key():
    """It would be unclear which one pays."""
    accounts = Accounts()
    accounts.open(key="local-a", caption_key=None, points=1, prices={})

    with pytest.raises(ValueError, match="another account"):
        accounts.open(key="local-b", caption_key="local-a", points=1, prices={})


def test_repr_shows_no_key(films, engine):
    """Neither of a service nor of an account."""
    service = LocalService([films], engine=engine, api_key="local-secret")

    assert "secret" not in repr(service) + repr(service.account)
    assert service.api_key == "local-secret"
