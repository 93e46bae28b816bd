"""A proxy cuts, stalls and resets at byte positions of request and reply.

This tries a sample of the positions; `python benchmarks/faults.py` tries every byte of the heads.
"""

from __future__ import annotations

import pytest
from byte_faults import build_calls, sweep

CALLS = build_calls(film_size=1_500_000)


@pytest.mark.slow
@pytest.mark.parametrize("name", CALLS)
async def test_every_fault_ends_in_what_the_server_counted(name):
    """No error denies a bill, nothing is repeated, and no outcome is more certain than the wire."""
    cases = await sweep(*CALLS[name], step=29, in_body=4)

    wrong = [f"{case.fault}: {problem}" for case, problem in cases if problem]
    assert len(cases) > 80
    assert wrong == []
