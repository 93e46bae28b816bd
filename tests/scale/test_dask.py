"""The recipe of the page for Dask pays for nothing twice when a worker dies."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from scale import FILMS, count_paid

from memories_async import Ledger

pytest.importorskip("distributed", reason="Dask is installed by `nox -s scale`")
PAGE = Path(__file__).parents[2] / "docs" / "scale.md"


def find_workers(parent: int) -> list[int]:
    """The processes in which *parent* runs its tasks."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            is_child = int(stat.read_text().rpartition(")")[2].split()[1]) == parent
            if is_child and b"spawn_main" in stat.with_name("cmdline").read_bytes():
                found.append(int(stat.parent.name))
        except OSError:
            continue
    return found


@pytest.mark.timeout(300)
def test_a_killed_worker_costs_nothing(service, tmp_path, monkeypatch):
    """Dask runs its tasks again, and the results that it held."""
    (recipe,) = re.findall(r"```python\n([^`]*dask[^`]*)```", PAGE.read_text())
    assert len(recipe.strip().splitlines()) <= 20
    (tmp_path / "recipe.py").write_text(recipe)
    ids = [video.asset_id for video in service.library]
    (tmp_path / "assets.txt").write_text("\n".join(ids))
    monkeypatch.setenv("MEMORIES_EMBEDDINGS_RATE", "100000")
    for host in ("V1", "V2", "CAPTION"):
        monkeypatch.setenv(f"MEMORIES_{host}_BASE_URL", service.url)

    killed: list[int] = []
    command = [sys.executable, "recipe.py"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as run:
        killing = threading.Thread(target=kill_one, args=(service, run, killed), daemon=True)
        killing.start()
        out, _ = run.communicate()

    assert len(killed) == 1
    assert len(out.splitlines()) == FILMS
    assert max(count_paid(service).values()) == 1
    summary = Ledger(tmp_path / "run.db").summary()
    assert summary.done + summary.unknown == FILMS


def kill_one(service, run, killed) -> None:
    """Kill a worker once 300 calls were paid."""
    while run.poll() is None and service.account.paid < 300:
        time.sleep(0.005)
    for worker in find_workers(run.pid)[:1]:
        os.kill(worker, signal.SIGKILL)
        killed.append(worker)
