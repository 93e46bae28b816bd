"""Waiting for an upload: what ends it, what does not, and how it is resumed."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from callers import HASTY

from memories_async import AuthenticationFailed, BadReply, ProcessingFailed, WaitTimeout
from memories_async._client import polling
from memories_async.local import Dialect

QUICK = {"interval": 0.004, "timeout": 10}


def looks(service, route="videos.metadata") -> int:
    """How often the service was asked."""
    return sum(seen.route == route for seen in service.request_log)


@pytest.mark.parametrize(
    "dialect",
    [
        Dialect(),
        Dialect(names="camel"),
        Dialect(names="snake", short_uploads=True),
        Dialect(text_numbers=True, null_words=True),
        Dialect(text_numbers=True, null_words=True, names="camel", flags=False),
    ],
    ids=["documented", "camel", "snake", "text", "all"],
)
async def test_add_reads_a_video_in_every_dialect(service, library, film, dialect):
    """Casing, numbers as text and the text "null" do not change the answer."""
    service.dialect = dialect

    video = await library("videos.add", film, **QUICK)

    assert (video.ready, video.failed, video.cause, video.duration) == (True, False, None, 60.0)
    assert (video.size, video.video_name) == (film.stat().st_size, "holiday.mp4")
    assert video.create_time == service.uploads[0].created


async def test_add_reads_an_asset(service, library, film):
    """Its numbers are text in the reply."""
    asset = await library("assets.add", film, **QUICK)

    assert (asset.ready, asset.upload_status, asset.extension) == (True, "SUCCESS", "mp4")
    assert (asset.file_size, asset.original_filename) == (film.stat().st_size, "holiday.mp4")
    assert asset.asset_id == service.uploads[0].id
    assert await library("assets.wait", asset.asset_id) == asset


@pytest.mark.parametrize("word", ["FAILED", "FAIL", "PARSE_ERROR", "ERROR"])
async def test_every_status_of_failure_ends_the_wait_at_once(service, library, film, word):
    """The error holds the service's reason."""
    service.dialect = Dialect(failed_word=word)
    service.faults.add(callback="failure")

    with pytest.raises(ProcessingFailed, match="could not be processed: A failure, asked for"):
        await library("videos.add", film, **QUICK)


async def test_a_failure_without_a_reason_says_so(service, library, film):
    """Assets have no reason."""
    service.faults.add(callback="failure")

    with pytest.raises(ProcessingFailed, match="no reason given"):
        await library("assets.add", film, **QUICK)


@pytest.mark.parametrize("kind", ["videos", "assets"])
async def test_the_wait_goes_on_while_the_service_does_not_know_the_upload(
    service, library, film, kind
):
    """A fresh upload is null for a while."""
    service.faults.add(kind="null", route=f"{kind}.metadata", times=5)

    assert (await library(f"{kind}.add", film, **QUICK)).ready
    assert looks(service, f"{kind}.metadata") >= 6


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"kind": "code", "code": "0401"}, AuthenticationFailed),
        ({"kind": "garble"}, BadReply),
    ],
)
async def test_a_lasting_error_ends_the_wait_at_once(service, library, film, fault, error):
    """One request is sent."""
    video = await library("videos.upload", film)
    service.faults.add(route="videos.metadata", **fault)

    with pytest.raises(error):
        await library("videos.wait", video.video_no, **QUICK)

    assert looks(service) == 1


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "status": 503},
        {"kind": "drop"},
        {"kind": "truncate"},
        {"kind": "code", "code": "0429"},
        {"kind": "code", "code": "0001", "message": "network abnormal"},
        {"kind": "code", "code": "0409", "message": "Service is busy, try later"},
    ],
    ids=lambda fault: fault.get("code", fault["kind"]),
)
async def test_the_wait_goes_on_after_a_passing_error(service, connect, film, fault):
    """Also where the policy of the call gave up."""
    library = connect(policy=HASTY.__class__(attempts=1, timeout=0.4, backoff=0.001))
    service.faults.add(route="videos.metadata", times=3, **fault)

    assert (await library("videos.add", film, **QUICK)).ready
    assert looks(service) >= 4


async def test_the_wait_ends_at_its_timeout_and_says_how_to_resume(service, library):
    """The id is all that another process needs."""
    with pytest.raises(WaitTimeout, match=r"VI404 is not ready after 0\.3 s; wait for it again"):
        await library("videos.wait", "VI404", timeout=0.3, interval=0.02)

    assert looks(service) > 1


async def test_a_request_that_hangs_ends_at_the_timeout_of_the_wait(service, library):
    """The last error is the cause."""
    service.faults.add(kind="delay", seconds=0.3, times=None)

    with pytest.raises(WaitTimeout) as caught:
        await library("videos.wait", "VI1", timeout=0.02, interval=0.01)

    assert isinstance(caught.value.__cause__, TimeoutError)


@pytest.mark.parametrize("wrong", [{"timeout": 0}, {"interval": -1.0}, {"timeout": float("nan")}])
async def test_a_timeout_or_interval_of_zero_is_refused(service, library, wrong):
    """Before anything is billed."""
    with pytest.raises(ValueError, match="must be a number of seconds above 0"):
        await library("videos.wait", "VI1", **wrong)
    with pytest.raises(ValueError, match="must be a number of seconds above 0"):
        await library("videos.add", b"film", **wrong)

    assert service.account.calls == 0


async def test_the_interval_grows_and_a_last_request_precedes_the_end(monkeypatch):
    """It grows from 5 to 30 s; the remaining time is used for one more request."""
    clock, sleeps = [0.0], []
    loop = asyncio.get_running_loop()

    async def sleep(seconds):
        sleeps.append(round(seconds, 2))
        clock[0] += seconds

    class Sender:
        async def send(self, call):
            return None

    settings = polling.PollSettings(timeout=120, interval=5)
    with monkeypatch.context() as patch:
        patch.setattr(polling.asyncio, "sleep", sleep)
        patch.setattr(loop, "time", lambda: clock[0])
        with pytest.raises(WaitTimeout):
            await polling.wait_until_ready(Sender(), _Question, "VI1", settings)

    assert sleeps == [5, 7.5, 11.25, 16.88, 25.31, 30, pytest.approx(24.06 * 0.8, abs=0.02)]
    assert sum(sleeps) <= 120


class _Question:
    name = "videos.metadata"


_ELSEWHERE = """
import os, sys
from memories_async import blocking
with blocking.Client() as client:
    print(client.videos.wait(sys.argv[1], interval=0.01, timeout=20).status)
"""


async def test_another_process_can_resume_the_wait(service, connect, film):
    """It needs only the id."""
    library = connect()
    service.faults.add(kind="null", route="videos.metadata", times=3)
    video = await library("videos.upload", film)
    env = {
        "MEMORIES_API_KEY": service.api_key,
        "MEMORIES_V1_BASE_URL": service.url,
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }

    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", _ELSEWHERE, video.video_no],
        capture_output=True,
        text=True,
        check=False,
        env=env,
    )

    assert (done.stdout.strip(), done.stderr) == ("PARSE", "")
