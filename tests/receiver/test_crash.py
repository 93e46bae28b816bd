"""Kill -9 under load: acknowledged callbacks are found. Longer: `benchmarks/receiver.py --kills 50`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "receiver.py"


@pytest.mark.slow
def test_kill_9_loses_no_acknowledged_callback() -> None:
    """Three kills of a process that receives from 32 senders."""
    run = subprocess.run(
        [sys.executable, str(BENCHMARK), "--kills", "3"], capture_output=True, text=True, check=True
    )

    result = json.loads(run.stdout)
    assert result["found"] == result["acknowledged"] > 0
    assert result["integrity"] == "ok"
