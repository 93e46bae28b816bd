"""Service and client in one process: a file goes up, is parsed and comes down, and is never held."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

_THERE_AND_BACK = """
import asyncio, sys
from pathlib import Path
from memories_async.local import LocalService
from memories_async.local.engine.fixed import FixedEngine

async def main(source, target):
    async with LocalService(engine=FixedEngine(), limits=None) as service:
        async with service.client() as client:
            await client.videos.add(source, interval=0.05)
            asset = await client.assets.add(source, interval=0.05)
            print(await client.assets.download(asset.asset_id, to=target))

asyncio.run(main(*sys.argv[1:]))
# Not ru_maxrss, which a child inherits from whoever started it.
status = Path("/proc/self/status").read_text()
print(status.partition("VmHWM:")[2].split()[0])
"""


@pytest.mark.slow
def test_a_download_of_400_mb_needs_at_most_100_mb_of_memory(tmp_path):
    """Service and client both work at constant memory."""
    path, size = tmp_path / "long.mp4", 400 * 1024 * 1024
    with path.open("wb") as file:
        file.truncate(size)
    command = [sys.executable, "-c", _THERE_AND_BACK, str(path), str(tmp_path / "copy.mp4")]

    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2]
    )

    assert done.returncode == 0, done.stderr
    came, peak = map(int, done.stdout.split())
    assert came == size
    assert peak / 1024 < 120
