"""Captions of films of known truth, by the judge of `benchmarks/engine_sentences.py`."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("cv2")

sys.path.append(str(Path(__file__).parents[4] / "benchmarks"))
from engine_sentence_claims import judge
from engine_sentence_films import make
from engine_sentence_plans import list_plans
from engine_sentences import caption

PLANS = {plan.name: plan for plan in list_plans() if plan.is_quick}


@pytest.mark.parametrize("name", PLANS)
def test_every_claim_of_a_caption_is_true(name, tmp_path):
    """A sentence that is not sure is not said."""
    film = make(PLANS[name], tmp_path)

    judged = judge(film, caption(film, None))

    assert [claim for claim in judged.claims if not claim.is_true] == []
