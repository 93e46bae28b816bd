"""Listing, deleting, and finding out what became of an upload whose reply was lost."""

from __future__ import annotations

import inspect
import json
import pickle

import pytest

from memories_async import (
    BadReply,
    Conflict,
    Limit,
    Limits,
    OutcomeUnknown,
    Refused,
    UnclearUpload,
    Video,
    assets,
    videos,
    views,
)
from memories_async._flows.library import is_stored_name
from memories_async._protocol.reply import Reply
from memories_async.local import Dialect

QUICK = {"interval": 0.004, "timeout": 10}


def paths(service) -> list[str]:
    """The routes asked, in order."""
    return [seen.route for seen in service.request_log]


@pytest.mark.parametrize("dialect", [Dialect(), Dialect(text_numbers=True, names="camel")])
async def test_a_listing_goes_through_all_pages(service, library, dialect):
    """Each page is requested when it is needed, and none beyond the last."""
    for number in range(5):
        await library("videos.upload", b"film", video_name=f"{number}.mp4")
    service.dialect = dialect

    listed = await library.listed(size=2)

    assert [one.video_name for one in listed] == [f"{n}.mp4" for n in (4, 3, 2, 1, 0)]
    assert paths(service).count("videos.list") == 3


async def test_a_listing_that_is_left_requests_no_further_page(service):
    """The first page was enough."""
    async with service.client(limits=Limits(video_upload=Limit(1000))) as client:
        for _ in range(2):
            await client.videos.upload(b"film")
        async for video in client.videos.list(size=1):
            assert video.video_no
            break

    assert paths(service).count("videos.list") == 1


async def test_filters_and_namespaces_reach_the_service(library):
    """Name, number, status and unique_id."""
    first = await library("videos.add", b"a film", video_name="a", **QUICK)
    await library("videos.add", b"another", video_name="b", **QUICK)

    assert await library.listed(video_name="a.mp4") == [first]
    assert await library.listed(video_no=first.video_no) == [first]
    assert await library.listed(status="UNPARSE") == []
    assert await library.listed(unique_id="other") == []


@pytest.mark.parametrize(
    ("page", "goes_on"),
    [
        ({"videos": [], "total_count": 5, "page": 1, "page_size": 1}, False),
        ({"videos": [1], "total_count": 5, "current_page": 1, "page_size": 1}, True),
        ({"videos": [1], "total_count": 1, "current_page": 1, "page_size": 1}, False),
        ({"videos": [1]}, True),
        ({"videos": [1], "page_size": 2}, False),
        ({"records": [1], "currentPage": "1", "pageSize": "1", "totalCount": "2"}, True),
        ({}, False),
        (None, False),
    ],
)
def test_a_page_knows_whether_it_is_the_last(page, goes_on):
    """By the count, or, without one, by a page that is not full."""
    call = videos.list(size=1)
    if page:
        words = {"videos", "records"} & set(page)
        page = page | {word: [{"videoNo": f"VI{n}"} for n in page[word]] for word in words}

    following = call.decode(page).after(call)

    assert (following is not None) == goes_on
    if following is not None:
        assert following.body.plain == {"page": 2, "size": 1, "unique_id": "default"}


@pytest.mark.parametrize(
    ("call", "data"),
    [
        (videos.list(), {"videos": {"VI1": {}}}),
        (assets.upload(b"film"), {"asset_id": ""}),
        (assets.upload(b"film"), "re_1"),
    ],
)
def test_an_answer_of_another_form_is_a_bad_reply(call, data):
    """A list that is no list, an asset without its id."""
    with pytest.raises((TypeError, ValueError)):
        call.decode(data)


def test_methods_can_be_inspected_without_a_client():
    """Documentation tools and editors do so."""
    for method in (views.Videos.upload, views.Videos.add, views.Videos.list):
        assert inspect.isfunction(method)
        assert inspect.getdoc(method)


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {"videoName": "no number"},
        {"videoNo": ""},
        {"videoNo": 5},
        {"videoNo": "VI1", "size": "big"},
    ],
)
def test_an_upload_without_a_number_is_a_bad_reply(data):
    """It may be billed, so the reply is kept."""
    reply = Reply(status=200, body=json.dumps({"code": "0000", "data": data}).encode())

    with pytest.raises(BadReply) as caught:
        videos.upload(b"film").read(reply)

    assert caught.value.body == reply.body


def test_unknown_fields_are_kept():
    """They are in `extra`."""
    video = videos.read_video({"videoNo": "VI1", "videoStatus": "PARSE", "folderId": -1})

    assert video == Video(video_no="VI1", status="PARSE")
    assert video.extra == {"folder_id": -1}


async def test_delete_sends_a_hundred_ids_in_each_request(service, library):
    """Three requests for 201 videos; unknown ids are no error."""
    video = await library("videos.upload", b"film")
    await library("videos.delete", [*(f"VI{n}" for n in range(200)), video.video_no])

    assert paths(service).count("videos.delete") == 3
    assert service.uploads == ()
    assert await library("videos.metadata", video.video_no) is None
    with pytest.raises(TypeError, match="several ids"):
        await library("videos.delete", video.video_no)


async def test_delete_ignores_videos_that_were_deleted_before(service, library):
    """The code 0409 for several videos does not name one, so each is deleted by itself."""
    made = [await library("videos.upload", b"film") for _ in range(2)]
    service.faults.add(kind="code", code="0409", route="videos.delete")
    await library("videos.delete", [one.video_no for one in made])
    assert service.uploads == ()
    assert paths(service).count("videos.delete") == 3

    service.faults.add(kind="code", code="0409", route="videos.delete")
    await library("videos.delete", ["VI1"])
    assert paths(service).count("videos.delete") == 4


async def test_a_second_delete_of_an_asset_is_refused(service, library, film):
    """The two stores of the service differ in this."""
    asset = await library("assets.add", film, **QUICK)
    assert await library("assets.metadata", asset.asset_id) == asset
    await library("assets.delete", asset.asset_id)

    with pytest.raises(Exception, match="Asset not found"):
        await library("assets.delete", asset.asset_id)
    service.faults.add(kind="code", code="0409", route="assets")
    with pytest.raises(Conflict):
        await library("assets.delete", asset.asset_id)


@pytest.mark.parametrize(
    ("data", "known"),
    [
        (None, False),
        ({}, False),
        ({"total": 0, "resource": []}, False),
        ({"total": 1, "resource": [{"asset_id": "re_1"}]}, True),
        ([{"assetId": "re_1"}], True),
        ({"asset_id": "re_1", "upload_status": "WAITING"}, True),
    ],
)
def test_every_form_of_asset_metadata_is_read(data, known):
    """A list of one, the asset itself, or nothing yet."""
    found = assets.metadata("re_1").decode(data)

    assert (found is not None) == known
    assert not known or (found.asset_id, found.ready, found.failed) == ("re_1", False, False)


@pytest.mark.parametrize("when", ["before", "after"])
async def test_find_finds_a_lost_upload_that_arrived(service, library, film, when):
    """By name and size; None says that it is not listed."""
    service.faults.add(kind="drop", when=when, route="videos.upload")
    with pytest.raises(OutcomeUnknown):
        await library("videos.upload", film)

    found = await library("videos.find", film)

    assert (found is not None) == (when == "after")
    assert found is None or found.video_no == service.uploads[0].id


async def test_find_finds_a_name_without_extension(service, library, film):
    """The filter by name finds nothing, so the whole library is searched."""
    await library("videos.upload", film)
    service.dialect = Dialect(stem_names=True)

    assert (await library("videos.find", film)).video_name == film.stem
    assert (await library("videos.reconcile", film)).video_no == service.uploads[0].id


async def test_find_ignores_another_video_of_the_same_name(library, film, tmp_path):
    """Its size differs; every page is searched."""
    for size in (5, film.stat().st_size, 7):
        await library("videos.upload", b"x" * size, video_name="holiday")

    found = await library("videos.find", film)

    assert found.size == film.stat().st_size
    film.write_bytes(b"x" * 99)
    assert await library("videos.find", film) is None


@pytest.mark.parametrize(
    "stored", ["1be6a69f3c6e49bf986235d68807ab1f", "holiday%2Emp4", "1744905509814_holiday.mp4"]
)
async def test_find_finds_a_name_that_the_service_chose(service, library, film, stored):
    """The size is exactly the file's; None would let it be paid again."""
    await library("videos.upload", film)
    service.uploads[0].name = stored

    assert (await library("videos.find", film)).video_name == stored


async def test_find_says_that_it_is_unclear(service, library, film):
    """Of several videos of the same size under such names, none is taken; nothing is recorded."""
    numbers = [(await library("videos.upload", film)).video_no for _ in range(2)]

    for method in ("videos.find", "videos.reconcile"):
        with pytest.raises(UnclearUpload, match="2 videos have its size") as unclear:
            await library(method, film)
        assert sorted(unclear.value.candidates) == sorted(numbers)
    assert pickle.loads(pickle.dumps(unclear.value)).candidates == unclear.value.candidates
    service.uploads[0].name = "another film.mp4"
    assert (await library("videos.find", film)).video_no == service.uploads[1].id


@pytest.mark.parametrize(
    ("stored", "is_same"),
    [
        ("my film.mp4", True),
        ("my%20film", True),
        ("1744905509814_my film.mp4", True),
        ("my film_1744905509814.mp4", True),
        ("1be6a69f3c6e49bf986235d68807ab1f", True),
        ("1be6a69f-3c6e-49bf-9862-35d68807ab1f.mp4", True),
        ("my film two.mp4", False),
        ("other.mp4", False),
        ("my film2.mp4", False),
        ("my film_12.mp4", False),
        ("2024-11-28-12-30-45.mp4", False),
        ("20241128123045678.mp4", False),
        ("", False),
    ],
)
def test_names_under_which_a_file_is_stored(stored, is_same):
    """As recordings and samples of the service have them.

    Recorders write files of one size, and number them or name them by the time.
    """
    assert is_stored_name(stored, "my film.mp4") is is_same


async def test_delete_reports_a_busy_service(service, library):
    """0409 means "done before", unless the message says that the service is busy."""
    service.faults.add(kind="code", code="0409", message="Service is busy, try later", times=None)

    with pytest.raises(Refused) as caught:
        await library("videos.delete", ["VI1", "VI2"])

    assert type(caught.value) is Refused
    assert caught.value.transient
