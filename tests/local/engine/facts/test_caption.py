"""A caption states what was measured and what the prompt asks for, and nothing else."""

from __future__ import annotations

import re
from itertools import pairwise

import attrs
import av
import numpy as np
import pytest

from memories_async.local.engine.facts.caption import MARK, write_caption
from memories_async.local.engine.protocol import CaptionRequest, ReferencePerson, Shot, count_tokens
from memories_async.local.engine.vision.colour_names import NAMES
from memories_async.local.engine.vision.indexing import index_video


def tell(index, prompt="describe the video", **more):
    return write_caption(index, CaptionRequest(user_prompt=prompt, system_prompt="", **more)).text


def test_caption_starts_with_the_local_mark(index):
    """No reader takes it for the service's own text."""
    assert tell(index).startswith(MARK)


def test_caption_states_the_facts_of_the_file(index):
    """Duration, size, rate, frames, shots."""
    assert "9.0 s, 480x270, 24 fps, 216 frames, 3 shots." in tell(index)


def test_caption_describes_each_shot_with_its_times(index):
    """One sentence each, in order, without gaps."""
    times = re.findall(r"(\d+\.\d)-(\d+\.\d) s: ", tell(index))

    assert len(times) == 3
    assert all(end == start for (_, end), (start, _) in pairwise(times))


def test_caption_keeps_to_the_topics_of_the_prompt(index):
    """A question about colours is not answered with motion."""
    colours = tell(index, "which colours are there?")

    assert re.search("mostly|partly", colours)
    assert "motion" not in colours
    assert "480x270" not in colours


def test_question_about_the_file_is_answered_without_shots(index):
    """ "How long is it" asks for the file's facts."""
    assert (
        tell(index, "how long is it")
        == f"{MARK} 9.0 s, 480x270, 24 fps, 216 frames. Persons were not searched for."
    )


def test_list_of_shots_states_their_lengths(index):
    """Where no other topic is asked for."""
    assert len(re.findall(r"s: \d\.\d s long\.", tell(index, "list the shots"))) == 3


def test_brief_caption_describes_the_longest_shot_and_counts_the_rest(index):
    """The number of shots left out is stated."""
    text = tell(index, "a brief summary")

    assert len(re.findall(r"-\d+\.\d s: ", text)) == 1
    assert "2 shorter shots not told here." in text


def test_caption_says_that_named_persons_were_not_searched_for(index):
    """It names them; their pictures are not compared."""
    people = (ReferencePerson(name="Alice", image=b"x"), ReferencePerson(name="Bob", image=None))

    text = tell(index, persons=people)

    assert "Persons were given (Alice, Bob)" in text
    assert "none was searched for" in text


def test_thinking_adds_how_the_figures_were_measured(index):
    """Without it the caption has no such sentence."""
    assert "How: " in tell(index, thinking=True)
    assert "How: " not in tell(index)


def test_caption_says_that_a_film_is_damaged(index):
    """Only a part of it was decoded."""
    damaged = attrs.evolve(index, facts=attrs.evolve(index.facts, complete=False))

    assert "damaged or cut short" in tell(damaged)


def test_shot_between_two_samples_is_described(index):
    """By the facts of the nearest sample."""
    short = Shot(start_time=0.05, end_time=0.1)
    facts = attrs.evolve(index.facts, shots=(short, *index.facts.shots[1:]))

    assert re.search("0.05-0.10 s: (mostly|partly)", tell(attrs.evolve(index, facts=facts)))


def test_film_of_one_frame_has_a_length(index):
    """With two digits, and in the singular."""
    facts = attrs.evolve(
        index.facts, frames=1, duration=0.04, shots=(Shot(start_time=0.0, end_time=0.04),)
    )

    text = tell(attrs.evolve(index, facts=facts))

    assert "0.04 s, 480x270, 24 fps, 1 frame, 1 shot." in text
    assert re.search("0.00-0.04 s: (mostly|partly)", text)


@pytest.mark.parametrize(
    ("shares", "said"),
    [
        ({"red": 1.0}, "mostly red"),
        ({"grey": 0.5, "brown": 0.45}, "mostly grey and brown"),
        ({"red": 0.34, "green": 0.33, "blue": 0.33}, "mostly red, partly green and blue"),
        (
            {"blue": 0.33, "green": 0.3, "red": 0.2, "pink": 0.17},
            "partly blue and green and red and pink",
        ),
        ({"blue": 0.9, "red": 0.1}, "mostly blue"),
        (dict.fromkeys(NAMES, 1 / len(NAMES)), "many colours"),
    ],
    ids=["one", "two", "a-third", "less", "a-tenth", "many"],
)
def test_mostly_is_a_third_of_the_picture(index, shares, said):
    """What covers an eighth is there partly; less is not said."""
    colours = np.tile([shares.get(name, 0) for name in NAMES], (len(index.samples.times), 1))
    samples = attrs.evolve(index.samples, colours=colours.astype(np.float32))

    text = tell(attrs.evolve(index, samples=samples), "which colours are there?")

    assert re.findall(r"s: ([^.]*)\.", text) == [said] * 3


PAINTED = {
    "mostly blue": {"0000ff": 1},
    "mostly orange": {"ffa500": 1},
    "mostly blue-green": {"008080": 1},
    "mostly brown": {"a07846": 1},
    "mostly beige": {"f0c0a8": 1},
    "mostly red and white": {"c81428": 3, "ffffff": 2},
    "mostly purple, partly yellow and grey": {"800080": 5, "ffff00": 3, "808080": 2},
    "partly black and blue and green and pink": {
        "101010": 6,
        "000080": 5,
        "228b22": 4,
        "ff69b4": 3,
        "ff8c00": 2,
    },
}
"""Bands of so many parts of the picture, and what is true of them."""


@pytest.fixture(scope="module")
def painted(tmp_path_factory):
    """A film in H.264 of one second for each picture, with the grain of a camera."""
    path = tmp_path_factory.mktemp("painted") / "painted.mp4"
    grain = np.random.default_rng(1)
    with av.open(str(path), "w") as film:
        stream = film.add_stream("libx264", rate=12, options={"crf": "28"})
        stream.width, stream.height, stream.pix_fmt = 160, 90, "yuv420p"
        for bands in PAINTED.values():
            colours = np.array([list(bytes.fromhex(code)) for code in bands])
            parts = [parts * 160 // sum(bands.values()) for parts in bands.values()]
            plain = np.repeat(colours, parts, axis=0)[None].repeat(90, axis=0)
            for _ in range(12):
                noisy = plain + grain.normal(0, 4, plain.shape)
                picture = np.clip(noisy, 0, 255).astype(np.uint8)
                film.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        film.mux(stream.encode(None))
    return index_video(path)


def test_colours_of_a_painted_film_are_true(painted):
    """Of skin, wood, pure colours and bands, each in a shot of its own."""
    text = tell(painted, "which colours are there?")

    assert re.findall(r"s: ([^.]*)\.", text) == list(PAINTED)


@pytest.mark.parametrize(("text", "count"), [("", 0), ("a", 1), ("abcd", 1), ("abcde", 2)])
def test_tokens_are_four_characters_rounded_up(text, count):
    """An empty text has none."""
    assert count_tokens(text) == count


def test_usage_counts_prompts_names_and_caption(index):
    """Prompts and names are the input, the caption is the output."""
    request = CaptionRequest(
        user_prompt="12345", system_prompt="1234", persons=(ReferencePerson(name="Al", image=None),)
    )

    answer = write_caption(index, request)

    assert answer.input_tokens == 2 + 1 + 1
    assert answer.output_tokens == count_tokens(answer.text)
