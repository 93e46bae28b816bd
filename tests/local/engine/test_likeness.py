"""The thresholds between likenesses are measured on pairs."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnxruntime")

from memories_async.local.engine.onnx import Likeness


def test_thresholds_are_measured_on_pairs():
    """The middle lies between them; one unlike pair in a hundred is kept."""
    random = np.random.default_rng(2)
    alike, unlike = random.normal(0.8, 0.05, 200), random.normal(0.5, 0.05, 400)

    fitted = Likeness.fit(alike=list(alike), unlike=list(unlike))

    assert 0.6 < fitted.middle < 0.7
    assert (fitted.score(alike.astype(np.float32)) >= fitted.keep).mean() > 0.97
    assert (fitted.score(unlike.astype(np.float32)) >= fitted.keep).mean() <= 0.01
    mixed = Likeness.fit(alike=list(alike), unlike=list(random.normal(0.75, 0.05, 400)))
    assert mixed.slope < fitted.slope
    assert mixed.keep > 0.5


@pytest.mark.parametrize(
    ("alike", "unlike", "reason"),
    [
        pytest.param([0.9] * 9, [0.1] * 20, "at least 10", id="few"),
        pytest.param([0.1, 0.2] * 9, [0.3, 0.4] * 9, "no nearer", id="reversed"),
        pytest.param([0.5] * 10, [0.5] * 10, "no nearer", id="same"),
    ],
)
def test_pairs_that_tell_nothing_are_refused(alike, unlike, reason):
    """Instead of a curve that means nothing."""
    with pytest.raises(ValueError, match=reason):
        Likeness.fit(alike=alike, unlike=unlike)
