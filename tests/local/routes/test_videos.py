"""The library is listed, described and deleted from, in every dialect that it has spoken."""

from __future__ import annotations

import pytest
from uploading import FILM, V1

from memories_async.local import Dialect


async def test_lists_in_pages_the_newest_first(service, upload, listed):
    """Uploads before the library, and filters by name, number and status."""
    numbers = [(await upload(name=f"{n}.mp4")).json["data"]["videoNo"] for n in range(3)]
    page = await listed(page=2, size=2)

    assert [one["video_no"] for one in page["videos"]][:1] == numbers[:1]
    assert (page["current_page"], page["page_size"], page["total_count"]) == (2, 2, 5)
    assert (await listed(video_name="1.mp4"))["videos"][0]["video_no"] == numbers[1]
    assert (await listed(video_no=numbers[2]))["total_count"] == 1
    assert (await listed(video_nos=numbers[:2]))["total_count"] == 2
    await service.drain()
    assert (await listed(status="UNPARSE"))["total_count"] == 0
    assert (await listed(status="PARSE"))["total_count"] == 5


@pytest.mark.parametrize(
    "fields", [{"page": 0}, {"size": 201}, {"size": "20"}, {"page": True}, {"video_name": 5}]
)
async def test_refuses_a_page_that_is_none(send, fields):
    """The page's own limits."""
    assert (await send(f"{V1}/list_videos", document=fields)).json["code"] == "0003"


async def test_deletes_uploads_and_hides_the_library(service, upload, listed, send):
    """The file of an upload goes, one of the library stays on disk; unknown ones are no error."""
    number = (await upload()).json["data"]["videoNo"]
    path, street = service.uploads[0].video.path, service.library[0]
    reply = await send(
        f"{V1}/delete_videos", document=[number, street.video_no, "VI404", street.asset_id]
    )
    await service.drain()

    assert (reply.json["code"], reply.json["data"]) == ("0000", None)
    assert (path.exists(), street.path.exists()) == (False, True)
    assert (await listed())["total_count"] == 1
    service.reset()
    assert (await listed())["total_count"] == 2


@pytest.mark.parametrize("document", [{}, {"video_nos": ["VI1"]}, [1], [], ["VI1"] * 101, "VI1"])
async def test_deletes_a_bare_array_of_a_hundred_at_most(send, document):
    """An object is what everybody sends first."""
    reply = await send(f"{V1}/delete_videos", document=document)

    assert reply.json["code"] == "0003"


async def test_speaks_the_eras_of_the_library(service, upload, listed):
    """Text numbers, the text "null", either casing, and a short answer to uploads."""
    service.dialect = Dialect(names="camel", text_numbers=True, null_words=True, short_uploads=True)
    answer = (await upload()).json["data"]
    page = await listed(size=1)

    assert set(answer) == {"videoNo", "videoName"}
    assert (page["totalCount"], page["pageSize"]) == ("3", "1")
    shown = page["videos"][0]
    assert (shown["videoNo"], shown["cause"]) == (answer["videoNo"], "null")
    assert shown["size"] == str(len(FILM))
    service.dialect = Dialect(names="snake")
    assert "video_no" in (await upload()).json["data"]


async def test_a_fault_answers_null_or_a_bad_moment(service, described, send):
    """What is said of a fresh upload, and of a network that is not well."""
    number = service.library[0].video_no
    service.faults.add(kind="null", route="videos.metadata")
    service.faults.add(kind="code", code="0001", message="network abnormal", route="videos")

    assert await described(number) is None
    reply = await send(f"{V1}/get_metadata?video_no={number}", method="GET")
    assert (reply.json["code"], reply.json["msg"]) == ("0001", "network abnormal")
    assert (await described(number))["video_no"] == number


@pytest.mark.parametrize("wrong", [{"names": "kebab"}, {"failed_word": "BAD"}, {"unparsed": "?"}])
def test_an_era_that_never_was_is_refused(wrong):
    """A misspelt one would change nothing."""
    with pytest.raises(ValueError, match="is none of"):
        Dialect(**wrong)
