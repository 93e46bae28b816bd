"""Kill -9 under load: what was acknowledged is found. `benchmarks/receiver.py --kills 50` is the long form."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "receiver.py"


@pytest.mark.slow
def test_no_acknowledged_delivery_is_lost_by_kill_9() -> None:
    """Three kills here, of a process that 32 senders deliver to."""
    run = subprocess.run(
        [sys.executable, str(BENCHMARK), "--kills", "3"], capture_output=True, text=True, check=True
    )

    told = json.loads(run.stdout)
    assert told["found"] == told["acknowledged"] > 0
    assert told["integrity"] == "ok"
