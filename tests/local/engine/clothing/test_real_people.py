"""Six real persons, filmed from behind by a fixed camera, are told apart by their clothes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from memories_async.local.engine.facts.caption import caption
from memories_async.local.engine.protocol import CaptionRequest, ReferencePerson
from memories_async.local.engine.video.frames import Film
from memories_async.local.engine.video.picture import encode
from memories_async.local.engine.vision.indexing import index_video

LABELS = Path(__file__).parents[4] / "benchmarks" / "one_by_one_labels.json"
PEOPLE = json.loads(LABELS.read_text())["persons"]


def cut_out(path, pictures):
    """Cut labelled boxes out of a film; *pictures* rise in time."""
    with Film.open(path) as source:
        frames = source.frames(1000)
        for one in pictures:
            picture = next(frame.picture for frame in frames if frame.time >= one["time"])
            left, top, right, bottom = one["box"]
            yield encode(np.ascontiguousarray(picture[top:bottom, left:right]))


@pytest.mark.slow
def test_each_is_named_for_the_length_of_the_stay(clip):
    """To a second; `benchmarks/clothing.py` counts moments, with strangers."""
    path = clip("one-by-one-person-detection.mp4")
    images = cut_out(path, [one["pictures"][2] for one in PEOPLE])
    persons = tuple(
        ReferencePerson(name=one["name"], image=image)
        for one, image in zip(PEOPLE, images, strict=True)
    )
    request = CaptionRequest(user_prompt="who?", system_prompt="", persons=persons)

    text = caption(index_video(path), request, clothing_match=True).text

    for one in PEOPLE:
        told = re.search(rf"picture of {one['name']} at (\S+)-(\S+) s \(", text)
        assert told, f"{one['name']} is told at one stretch: {text}"
        assert [float(value) for value in told.groups()] == pytest.approx(one["seen"], abs=1.1)
