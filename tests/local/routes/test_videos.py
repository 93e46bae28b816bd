"""The routes that list, describe and delete videos, in every documented dialect."""

from __future__ import annotations

import pytest
from uploading import FILM, V1

from memories_async.local import Dialect


async def test_list_has_pages_and_filters_with_the_newest_first(service, upload, list_videos):
    """Uploads come before the library."""
    numbers = [(await upload(name=f"{n}.mp4")).json["data"]["videoNo"] for n in range(3)]
    page = await list_videos(page=2, size=2)

    assert [one["video_no"] for one in page["videos"]][:1] == numbers[:1]
    assert (page["current_page"], page["page_size"], page["total_count"]) == (2, 2, 5)
    assert (await list_videos(video_name="1.mp4"))["videos"][0]["video_no"] == numbers[1]
    assert (await list_videos(video_no=numbers[2]))["total_count"] == 1
    assert (await list_videos(video_nos=numbers[:2]))["total_count"] == 2
    await service.drain()
    assert (await list_videos(status="UNPARSE"))["total_count"] == 0
    assert (await list_videos(status="PARSE"))["total_count"] == 5


@pytest.mark.parametrize(
    "fields", [{"page": 0}, {"size": 201}, {"size": "20"}, {"page": True}, {"video_name": 5}]
)
async def test_page_outside_the_limits_is_refused(send, fields):
    """Also one of the wrong type."""
    assert (await send(f"{V1}/list_videos", document=fields)).json["code"] == "0003"


async def test_page_without_a_size_has_two_hundred_videos(list_videos):
    """As in recorded answers."""
    assert (await list_videos())["page_size"] == 200


async def test_duration_is_in_whole_seconds(service, upload, fetch_metadata):
    """A number, or text where the dialect says so."""
    number = (await upload(b"30.7:x")).json["data"]["videoNo"]
    await service.drain()

    assert (await fetch_metadata(number))["duration"] == 31
    service.dialect = Dialect(text_numbers=True)
    assert (await fetch_metadata(number))["duration"] == "31"


async def test_deletion_removes_uploads_and_hides_the_library(service, upload, list_videos, send):
    """Files of the library stay on disk; unknown numbers are ignored."""
    number = (await upload()).json["data"]["videoNo"]
    path, street = service.uploads[0].video.path, service.library[0]
    reply = await send(
        f"{V1}/delete_videos", document=[number, street.video_no, "VI404", street.asset_id]
    )
    await service.drain()

    assert (reply.json["code"], reply.json["data"]) == ("0000", None)
    assert (path.exists(), street.path.exists()) == (False, True)
    assert (await list_videos())["total_count"] == 1
    service.reset()
    assert (await list_videos())["total_count"] == 2


@pytest.mark.parametrize("document", [{}, {"video_nos": ["VI1"]}, [1], [], ["VI1"] * 101, "VI1"])
async def test_deletion_takes_an_array_of_at_most_a_hundred_numbers(send, document):
    """Not an object."""
    reply = await send(f"{V1}/delete_videos", document=document)

    assert reply.json["code"] == "0003"


async def test_dialect_decides_on_the_fields_of_the_library(service, upload, list_videos):
    """Numbers as text, the text "null", both spellings of names, and short answers to uploads."""
    service.dialect = Dialect(names="camel", text_numbers=True, null_words=True, short_uploads=True)
    answer = (await upload()).json["data"]
    page = await list_videos(size=1)

    assert set(answer) == {"videoNo", "videoName"}
    assert (page["totalCount"], page["pageSize"], page["currentPage"]) == ("3", 1, 1)
    shown = page["videos"][0]
    assert (shown["videoNo"], shown["cause"]) == (answer["videoNo"], "null")
    assert shown["size"] == str(len(FILM))
    service.dialect = Dialect(names="snake")
    assert "video_no" in (await upload()).json["data"]


async def test_fault_answers_null_or_a_network_error_for_metadata(service, fetch_metadata, send):
    """As the real service does for a new upload."""
    number = service.library[0].video_no
    service.faults.add(kind="null", route="videos.metadata")
    service.faults.add(kind="code", code="0001", message="network abnormal", route="videos")

    assert await fetch_metadata(number) is None
    reply = await send(f"{V1}/get_metadata?video_no={number}", method="GET")
    assert (reply.json["code"], reply.json["msg"]) == ("0001", "network abnormal")
    assert (await fetch_metadata(number))["video_no"] == number


@pytest.mark.parametrize("wrong", [{"names": "kebab"}, {"failed_word": "BAD"}, {"unparsed": "?"}])
def test_unknown_dialect_is_refused(wrong):
    """A misspelt one would change nothing."""
    with pytest.raises(ValueError, match="is none of"):
        Dialect(**wrong)


async def test_names_have_no_extension_as_recorded(service, upload, list_videos, fetch_metadata):
    """Where the dialect says so; a filter by name takes both forms."""
    service.dialect = Dialect(stem_names=True)
    answer = (await upload(name="a.b.mp4")).json["data"]

    assert answer["videoName"] == "a.b"
    assert (await fetch_metadata(answer["videoNo"]))["video_name"] == "a.b"
    for name in ("a.b", "a.b.mp4"):
        assert (await list_videos(video_name=name))["total_count"] == 1
    service.dialect = Dialect()
    assert (await fetch_metadata(answer["videoNo"]))["video_name"] == "a.b.mp4"


async def test_folders_hold_what_was_uploaded_into_them(upload, list_videos, send):
    """An upload without a folder, and the library, are in the default one."""
    number = (await upload(folder_id="7")).json["data"]["videoNo"]
    await upload()

    assert [one["video_no"] for one in (await list_videos(folder_id=7))["videos"]] == [number]
    assert (await list_videos(folder_id=-1))["total_count"] == 3
    assert (await list_videos(folder_id=8))["total_count"] == 0
    assert (await list_videos())["total_count"] == 4
    wrong = "The folder_id parameter must be a number."
    assert (await upload(folder_id="x")).json["msg"] == wrong
    reply = await send(f"{V1}/list_videos", document={"folder_id": True})
    assert (reply.json["code"], reply.json["msg"]) == ("0003", wrong)
