"""How long does the embedded service block its event loop, and how long do start and stop take?

The service runs on the event loop that is measured, its clients in other processes. A timer is due
every millisecond; its delay is what any other task would have waited for the service's own steps, for
the interpreter and for a core. The wait for a core depends on the machine and is reported apart.
"""

from __future__ import annotations

import asyncio
import http.client
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Self

import _harness as harness

from memories_async.local import LocalService

SEARCH = "/serve/api/v1/search_clips_by_image"
UPLOAD = "/serve/api/v2/upload"
SIZE = 20 * 1024 * 1024
BEAT = 0.001
Work = Callable[[], Awaitable[object]]


class LoopDelay:
    """Milliseconds by which timers of an event loop fire late."""

    async def __aenter__(self) -> Self:
        """Start the timers."""
        self._queue = os.open("/proc/thread-self/schedstat", os.O_RDONLY)
        self.late: list[float] = []
        self.own: list[float] = []
        self._task = asyncio.create_task(self._watch())
        await asyncio.sleep(0.01)
        self.late.clear()
        self.own.clear()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop after the timer that is due."""
        await asyncio.sleep(2 * BEAT)
        self._task.cancel()
        os.close(self._queue)

    async def _watch(self) -> None:
        waited = self._read_wait()
        while True:
            begun = time.perf_counter()
            await asyncio.sleep(BEAT)
            late = (time.perf_counter() - begun - BEAT) * 1e3
            before, waited = waited, self._read_wait()
            self.late.append(late)
            self.own.append(late - (waited - before))

    def _read_wait(self) -> float:
        """Return the milliseconds for which this thread has waited for a core."""
        return int(os.pread(self._queue, 99, 0).split()[1]) / 1e6


def render_film(path: Path, seconds: int, seed: int) -> None:
    """Render a film in another process, since the service's process is to load no OpenCV."""
    from memories_async.local.engine.video.render import render

    render(path, seconds=seconds, scenes=4, seed=seed, size=(640, 360))


def encode_first_frame(path: Path) -> bytes:
    """Encode the first picture of a film as PNG."""
    import cv2

    _, picture = cv2.VideoCapture(str(path)).read()
    return cv2.imencode(".png", picture)[1].tobytes()


def send_repeatedly(
    url: str, key: str, path: str, body: tuple[bytes | int, str, str], times: int
) -> float:
    """Send a file and two fields to *path* *times* times; return the median seconds."""
    content, name, video_no = body
    whole = os.urandom(content) if isinstance(content, int) else content
    parts = [
        f'--b\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'.encode()
        for field, value in (("prompt", "red car"), ("video_no", video_no))
    ]
    head = f'--b\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
    parts += [head.encode(), b"Content-Type: image/png\r\n\r\n", whole, b"\r\n--b--\r\n"]
    headers = {"Authorization": key, "Content-Type": "multipart/form-data; boundary=b"}
    connection, took = http.client.HTTPConnection(url.removeprefix("http://")), []
    for _ in range(times):
        begun = time.perf_counter()
        connection.request("POST", path, b"".join(parts), headers)
        reply = connection.getresponse()
        assert reply.status == 200, reply.read()
        reply.read()
        took.append(time.perf_counter() - begun)
    return sorted(took)[times // 2]


async def report_stalls(name: str, work: Work, count: int, *, at_most: float = 20.0) -> None:
    """Report the longest stall and the 99.9th percentile while *work* is done, *count* times."""
    longest, rare, own = [], [], []
    for _ in range(count):
        async with LoopDelay() as delay:
            await work()
        late = sorted(delay.late)
        longest.append(late[-1])
        rare.append(late[int(len(late) * 0.999)])
        own.append(max(delay.own))
    told = f"without waiting for a core {sorted(own)[count // 2]:.1f} ms, at worst {max(own):.1f}"
    for part, values in (("longest_stall", longest), ("stall_999", rare)):
        harness.report(f"{name}_{part}", values, yardstick=told, unit="ms", at_most=at_most)


async def measure_indexing(folder: Path, films: list[Path], count: int) -> None:
    """Index two films side by side, and one after the other."""
    ratios, caches = [], (folder / f"cache{at}" for at in range(10 * count))

    async def index(*some: Path) -> float:
        async with LocalService(some, cache=next(caches)) as service:
            begun = time.perf_counter()
            await service.warm()
            return time.perf_counter() - begun

    await report_stalls("index_two", lambda: index(*films), count)
    for _ in range(count):
        together = await index(*films)
        ratios.append(together / (await index(films[0]) + await index(films[1])))
    name = "index_two_side_by_side_time"
    harness.report(name, ratios, yardstick="one after the other", at_most=0.8)


async def measure_requests(
    folder: Path, films: list[Path], pool: ProcessPoolExecutor, count: int
) -> None:
    """Search in indexed films, and upload, from other processes."""
    loop, times = asyncio.get_running_loop(), 20
    picture = await loop.run_in_executor(pool, encode_first_frame, films[0])
    async with LocalService(films, cache=folder / "cache", limits=None) as service:
        await service.warm()
        number = service.library[0].video_no
        found: list[float] = []

        async def post(path: str, body: tuple[bytes | int, str, str], width: int) -> None:
            given = (service.url, service.api_key, path, body, times if width > 1 else 5)
            jobs = [loop.run_in_executor(pool, send_repeatedly, *given) for _ in range(width)]
            found.extend(await asyncio.gather(*jobs))

        async def search(width: int) -> None:
            await post(SEARCH, (picture, "q.png", number), width)

        await search(2)
        found.clear()
        for _ in range(count):
            await search(1)
        median = [seconds * 1e3 for seconds in found]
        harness.report("search_cached", median, yardstick="HTTP and all", unit="ms", at_most=50.0)
        await report_stalls("search_two_at_once", lambda: search(2), count)
        await report_stalls("upload_20mb", lambda: post(UPLOAD, (SIZE, "v.mp4", ""), 1), count)


async def measure_start_and_stop(count: int) -> None:
    """Start, reset and stop a service without an index."""
    took: dict[str, list[float]] = {"start": [], "reset": [], "stop": []}
    for _ in range(count + 1):
        begun = time.perf_counter()
        service = LocalService()
        await service.__aenter__()
        at = [time.perf_counter()]
        service.reset()
        at.append(time.perf_counter())
        await service.__aexit__(None, None, None)
        at.append(time.perf_counter())
        for name, before, after in zip(took, [begun, *at], at, strict=False):
            took[name].append((after - before) * 1e3)
    for name, values in took.items():
        most = 5.0 if name == "reset" else 50.0
        told = f"the first one of a process {values[0]:.1f} ms"
        harness.report(f"service_{name}", values[1:], yardstick=told, unit="ms", at_most=most)


def measure_import(count: int) -> None:
    """Import the service in fresh interpreters."""
    code = (
        "import time; begun = time.perf_counter(); from memories_async.local import LocalService;"
        "print(time.perf_counter() - begun)"
    )
    command = [sys.executable, "-c", code]
    took = [float(subprocess.check_output(command)) * 1e3 for _ in range(count)]
    harness.report("service_import", took, yardstick="wall time", unit="ms", at_most=1000.0)


async def main() -> None:
    """Measure, and print a line for each measure."""
    count, seconds = (3, 8) if harness.quick(__doc__) else (9, 24)
    measure_import(count)
    await measure_start_and_stop(10 * count)
    fresh = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as name, ProcessPoolExecutor(2, fresh) as pool:
        folder = Path(name)
        films = [folder / f"film{at}.mp4" for at in range(2)]
        for seed, path in enumerate(films):
            pool.submit(render_film, path, seconds, seed).result()
        await measure_indexing(folder, films, count)
        await measure_requests(folder, films, pool, count)


if __name__ == "__main__":
    asyncio.run(main())
