"""An upload over the wire: the request, the progress callback, and a lost reply."""

from __future__ import annotations

import io
import itertools
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from memories_async import InvalidRequest, OutcomeUnknown, Policy, assets, videos
from memories_async.local import Dialect


async def test_an_upload_keeps_the_files_name(service, library, film):
    """The library lists it by that name; its content arrives whole."""
    video = await library("videos.upload", film)

    assert (video.video_name, video.status, video.ready) == ("holiday.mp4", "UNPARSE", False)
    (stored,) = service.uploads
    assert stored.id == video.video_no
    assert stored.video.path.read_bytes() == film.read_bytes()


@pytest.mark.parametrize(
    ("source", "options", "name"),
    [
        (b"bytes", {}, "video.mp4"),
        (io.BytesIO(b"a file"), {}, "video.mp4"),
        (b"bytes", {"video_name": "Café 'à la' mer; x=1"}, "Café 'à la' mer; x=1.mp4"),
        (b"bytes", {"video_name": "beach.mp4"}, "beach.mp4"),
    ],
)
async def test_every_source_has_a_name(library, source, options, name):
    """The caller's, the file's, or a default."""
    assert (await library("videos.upload", source, **options)).video_name == name


async def test_options_reach_the_service(service, library, film):
    """Scope, tags and callback are fields beside the file."""
    service.faults.add(kind="code", code="0003", route="videos.upload", when="after")
    wrong = {"unique_id": "mine", "tags": [str(n) for n in range(21)]}
    with pytest.raises(InvalidRequest):
        await library("videos.upload", film, unique_id="mine", callback="http://127.0.0.1:9/")
    with pytest.raises(ValueError, match="tags must be at most 20, not 21"):
        await library("videos.upload", film, **wrong)
    await service.drain()

    assert await library("videos.find", film) is None
    assert await library("videos.find", film, unique_id="mine") is not None
    assert {one.url for one in service.outbox.deliveries} == {"http://127.0.0.1:9/"}


async def test_upload_url_sends_a_form(service, library):
    """The service refuses JSON here, and says what it cannot fetch."""
    with pytest.raises(InvalidRequest, match="The url parameter: no connection"):
        await library("videos.upload_url", "http://127.0.0.1:1/x.mp4", tags=["a"])

    assert service.request_log[-1].code == "0003"
    assert service.account.paid == 0


@pytest.mark.parametrize("size", [10, 100_000, 5_000_000])
@pytest.mark.parametrize("kind", ["videos", "assets"])
async def test_progress_grows_and_ends_at_the_size_of_the_body(library, tmp_path, kind, size):
    """For joined and for streamed bodies."""
    path, steps = tmp_path / "long.mp4", []
    path.write_bytes(bytes(size))

    await library(f"{kind}.add", path, interval=0.004, progress=lambda *step: steps.append(step))

    sent, whole = zip(*steps, strict=True)
    assert all(a < b for a, b in itertools.pairwise(sent))
    assert set(whole) == {sent[-1]}
    assert size < sent[-1] < size + 1000


async def test_an_exception_in_progress_does_not_end_the_upload(service, library, film, caplog):
    """The upload may be billed already."""
    await library("videos.upload", film, progress=lambda *_: 1 / 0)

    assert service.account.paid == 1
    assert "a progress callback raised" in caplog.text


async def test_a_file_is_read_in_a_thread(service, tmp_path):
    """The event loop never waits for a disk."""
    readers = set()

    class Noted(io.FileIO):
        def read(self, size=-1):
            readers.add(threading.current_thread())
            return super().read(size)

    path = tmp_path / "long.mp4"
    path.write_bytes(bytes(3_000_000))
    async with service.client() as client:
        with Noted(path) as file:
            await client.videos.upload(file)

    assert readers
    assert threading.current_thread() not in readers


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("kind", ["videos", "assets"])
async def test_an_upload_whose_reply_is_lost_is_not_repeated(service, library, film, kind, when):
    """A repeat would add another video, so the caller decides."""
    service.faults.add(kind="drop", when=when, route=f"{kind}.upload")

    with pytest.raises(OutcomeUnknown) as caught:
        await library(f"{kind}.add", film)

    assert caught.value.billed == "maybe"
    assert [one.route for one in service.request_log if "upload" in one.route] == [f"{kind}.upload"]
    assert len(service.uploads) == (when == "after")


async def test_passing_trouble_repeats_a_free_call_and_no_upload(service, library, film):
    """Code 0001 means a bad parameter or a passing trouble; the trouble may follow the work."""
    trouble = {
        "kind": "code",
        "code": "0001",
        "message": "Network abnormal, please try again later.",
    }
    service.faults.add(**trouble, times=2)
    assert await library("videos.metadata", "VI1") is None
    assert service.account.calls == 3

    service.faults.add(**trouble)
    with pytest.raises(OutcomeUnknown):
        await library("videos.upload", film)
    service.faults.add(kind="code", code="0001", message="The file parameter cannot be empty!")
    with pytest.raises(InvalidRequest):
        await library("videos.upload", film)
    assert service.account.calls == 5


async def test_a_short_upload_answer_is_read(service, library, film):
    """A recorded answer has only number and name."""
    service.dialect = Dialect(short_uploads=True, names="snake")

    video = await library("videos.upload", film)

    assert (video.status, video.create_time, video.video_name) == (None, None, "holiday.mp4")


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda: videos.upload(b""), "must not be empty"),
        (lambda: videos.upload(b"12", max_video_size=1), "at most 1 bytes"),
        (lambda: videos.upload(b"1", unique_id=" "), "unique_id must not be empty"),
        (lambda: videos.upload(b"1", callback="/cb"), "callback must be a full http or https URL"),
        (lambda: videos.upload(b"1", tags=[""]), "tags must not be empty"),
        (lambda: videos.upload_url("ftp://x/"), "url must be a full http or https URL"),
        (lambda: videos.metadata(""), "video_no must not be empty"),
        (lambda: videos.list(size=201), "size must be a whole number from 1 to 200, not 201"),
        (lambda: videos.delete([]), "1 to 100 ids, not 0"),
        (lambda: videos.delete(["VI1"] * 101), "1 to 100 ids, not 101"),
        (lambda: assets.metadata("../x"), "must be an id of the service"),
        (lambda: assets.download("re_1", to="/nowhere/at/all/x.mp4"), "a folder that exists"),
        *(
            (lambda name=name, build=build: build(name), "must be a file name without quotes")
            for name in ("", 'a"b', "a\r\nX: y", "a/b", "\ud800")
            for build in (
                lambda name: videos.upload(b"1", video_name=name),
                lambda name: assets.upload(b"1", filename=name),
            )
        ),
    ],
)
def test_arguments_that_the_service_refuses_are_refused_when_built(build, sentence):
    """The error names the argument."""
    with pytest.raises(ValueError, match=sentence):
        build()


@pytest.mark.parametrize("suffix", [".flv", ".png", ".txt"])
def test_another_extension_is_refused(tmp_path, suffix):
    """The library takes four, and an asset must be a video."""
    path = tmp_path / f"film{suffix}"
    path.write_bytes(b"x")
    with pytest.raises(ValueError, match="file must"):
        videos.upload(path)
    if suffix != ".flv":
        with pytest.raises(ValueError, match="file must"):
            assets.upload(path)


def test_delete_refuses_one_str_for_several_videos():
    """Its letters would be taken for ids."""
    with pytest.raises(TypeError, match="several ids"):
        videos.delete("VI1")


_GIANT = """
import asyncio, sys
from pathlib import Path
from memories_async import Client, Hosts

async def serve(reader, writer):
    head = await reader.readuntil(b"\\r\\n\\r\\n")
    left = int(head.lower().split(b"content-length: ")[1].split(b"\\r\\n")[0])
    while left:
        left -= len(await reader.read(1 << 20))
    body = b'{"code": "0000", "data": {"videoNo": "VI1", "videoName": "x"}}'
    writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(body) + body)
    await writer.drain()
    writer.close()

async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    hosts = Hosts.at(f"http://127.0.0.1:{port}")
    async with Client(api_key="local-1", hosts=hosts) as client:
        print((await client.videos.upload(sys.argv[1], progress=seen)).video_no)
    server.close()

last = (0, 0)
def seen(*step):
    global last
    last = step

asyncio.run(main())
print(last[0] - last[1], last[0])
# Not ru_maxrss, which a child inherits from whoever started it.
status = Path("/proc/self/status").read_text()
print(status.partition("VmHWM:")[2].split()[0])
"""


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_an_upload_of_3_gb_needs_at_most_100_mb_of_memory(tmp_path):
    """Client and server together never hold the file."""
    path = tmp_path / "giant.mp4"
    with path.open("wb") as file:
        file.truncate(3 * 1024**3)
    command = [sys.executable, "-c", textwrap.dedent(_GIANT), str(path)]

    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2]
    )

    assert done.returncode == 0, done.stderr
    number, told, peak = done.stdout.splitlines()
    assert number == "VI1"
    assert told.split()[0] == "0"
    assert int(told.split()[1]) > 3 * 1024**3
    assert int(peak) / 1024 < 120


async def test_a_long_upload_may_take_longer_than_the_deadline(service, connect):
    """The deadline is later by a transfer at one megabit a second; the timeout ends silence."""
    library = connect(policy=Policy(timeout=0.5, deadline=0.1, attempts=1))
    service.faults.add(kind="delay", seconds=0.2, times=2)

    assert (await library("videos.upload", bytes(100_000))).video_no
    with pytest.raises(OutcomeUnknown, match="in time"):
        await library("videos.upload", b"short")
