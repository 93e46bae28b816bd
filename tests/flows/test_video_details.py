"""What an upload says of a video is kept, shown by name, and filtered by."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from memories_async import InvalidRequest, OutcomeUnknown, videos

TOLD = {
    "datetime_taken": "2026-07-14 11:30:00",
    "camera_model": "Canon EOS 5D",
    "latitude": 39.9042,
    "longitude": 116.4074,
}
TAKEN = datetime(2026, 7, 14, 11, 30, tzinfo=UTC)
MILLISECONDS = 1_784_028_600_000


async def test_a_video_has_what_its_upload_said_of_it(service, library, film):
    """In lists and in details, which have the size and rate of the pictures too."""
    number = (await library("videos.upload", film, tags=["beach"], **TOLD)).video_no
    await service.drain()

    (listed,) = await library.listed()
    known = await library("videos.details", number)

    assert listed.tags == known.tags == ("beach", "api")
    assert (known.datetime_taken, known.camera_model) == (MILLISECONDS, "Canon EOS 5D")
    assert (known.latitude, known.longitude) == (39.9042, 116.4074)
    assert (known.width, known.height, known.resolution_label) == (640, 360, "360P")
    assert known.fps > 0
    assert (listed.width, listed.extra) == (None, {})
    assert service.request_log[0].ignored_fields == ()
    assert await library("videos.details", "VI404") is None


@pytest.mark.parametrize(
    "filters",
    [
        {"camera_model": "Canon EOS 5D"},
        {"datetime_taken": TAKEN},
        {"datetime_taken": MILLISECONDS, "tag": "beach"},
        {"latitude": 39.9042, "longitude": 116.4074},
    ],
    ids=["camera", "time", "milliseconds and tag", "place"],
)
async def test_videos_are_listed_by_what_their_uploads_said(library, film, filters):
    """Others are not; a filter that is None filters nothing."""
    told = await library("videos.upload", film, tags=["beach"], **TOLD)
    await library("videos.upload", film, camera_model="another")

    assert [one.video_no for one in await library.listed(**filters)] == [told.video_no]
    assert len(await library.listed(**dict.fromkeys(filters))) == 2


async def test_the_service_refuses_a_filter_that_it_cannot_read(library):
    """Of those that no type forbids."""
    for wrong in ({"latitude": "north"}, {"datetime_taken": "then"}):
        with pytest.raises(InvalidRequest, match=f"{next(iter(wrong))} parameter cannot be read"):
            await library.listed(**wrong)


async def test_add_takes_the_options_of_an_upload(service, library, film):
    """And further fields; a video that is there keeps what it has."""
    told = {"tags": ["beach"], "extra": {"album": "7"}, **TOLD}
    first = await library("videos.add", film, interval=0.01, **told)
    again = await library("videos.add", film, interval=0.01, camera_model="another")

    assert service.request_log[1].ignored_fields == ("album",)
    assert (first.camera_model, first.tags) == ("Canon EOS 5D", ("beach", "api"))
    assert again == first


async def test_reconcile_takes_the_options_of_the_upload_that_was_lost(
    service, connect, ledger, film
):
    """They belong to what the ledger knows of it."""
    library = connect(ledger=ledger)
    told = {"tags": ["beach"], "extra": {"album": "7"}, **TOLD}
    service.faults.add(kind="drop", when="after", route="videos.upload")
    with pytest.raises(OutcomeUnknown):
        await library("videos.upload", film, **told)

    found = await library("videos.reconcile", film, **told)

    assert ledger.unknown() == ()
    assert (await library("videos.upload", film, **told)).video_no == found.video_no
    assert len(service.uploads) == 1


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ({"video_nos": "VI1"}, "video_nos must be several ids"),
        ({"camera": "X"}, "camera is no filter of a list: video_name"),
        ({"datetime_taken": TAKEN.replace(tzinfo=None)}, "datetime_taken must have a time zone"),
    ],
    ids=["one id", "unknown", "no time zone"],
)
def test_filters_that_cannot_be_sent_are_refused(filters, message):
    """Before anything is sent."""
    with pytest.raises((TypeError, ValueError), match=message):
        videos.list(**filters)
