"""A caption tells what was measured, what the prompt asks, and nothing else."""

from __future__ import annotations

import re
from itertools import pairwise

import attrs
import pytest

from memories_async.local.engine.facts.caption import MARK, write_caption
from memories_async.local.engine.protocol import CaptionRequest, ReferencePerson, count_tokens


def tell(index, prompt="describe the video", **more):
    return write_caption(index, CaptionRequest(user_prompt=prompt, system_prompt="", **more)).text


def test_starts_with_a_mark_that_it_is_no_model(index):
    """Nobody may take it for the service's prose."""
    assert tell(index).startswith(MARK)


def test_tells_the_facts_of_the_file(index):
    """Duration, size, rate, frames, shots."""
    assert "9.0 s, 480x270, 24 fps, 216 frames, 3 shots." in tell(index)


def test_tells_each_shot_with_its_times(index):
    """One sentence each, one after another."""
    times = re.findall(r"(\d+\.\d)-(\d+\.\d) s: ", tell(index))

    assert len(times) == 3
    assert all(end == start for (_, end), (start, _) in pairwise(times))


def test_tells_only_what_the_prompt_asks(index):
    """Colours are no motion."""
    colours = tell(index, "which colours are there?")

    assert "mostly" in colours
    assert "motion" not in colours
    assert "480x270" not in colours


def test_a_question_about_the_file_tells_no_shots(index):
    """How long is how long."""
    assert (
        tell(index, "how long is it")
        == f"{MARK} 9.0 s, 480x270, 24 fps, 216 frames. Persons were not searched for."
    )


def test_shots_alone_are_told_by_their_length(index):
    """A list of shots needs no colours."""
    assert len(re.findall(r"s: \d\.\d s long\.", tell(index, "list the shots"))) == 3


def test_brief_tells_the_longest_shot_and_says_so(index):
    """What is left out is counted."""
    text = tell(index, "a brief summary")

    assert len(re.findall(r"-\d+\.\d s: ", text)) == 1
    assert "2 shorter shots not told here." in text


def test_says_that_named_persons_were_not_searched_for(index):
    """Naming them: their pictures are not looked at."""
    people = (ReferencePerson(name="Alice", image=b"x"), ReferencePerson(name="Bob", image=None))

    text = tell(index, persons=people)

    assert "Persons were given (Alice, Bob)" in text
    assert "none was searched for" in text


def test_thinking_adds_how_the_figures_came_about(index):
    """And nothing otherwise."""
    assert "How: " in tell(index, thinking=True)
    assert "How: " not in tell(index)


def test_says_that_a_film_is_damaged(index):
    """A part only was decoded."""
    damaged = attrs.evolve(index, facts=attrs.evolve(index.facts, complete=False))

    assert "damaged or cut short" in tell(damaged)


def test_a_shot_between_two_samples_is_told_too(index):
    """Its facts are those of the nearest sample."""
    from memories_async.local.engine.protocol import Shot

    short = Shot(start_time=0.05, end_time=0.1)
    facts = attrs.evolve(index.facts, shots=(short, *index.facts.shots[1:]))

    assert "0.1-0.1 s: mostly" in tell(attrs.evolve(index, facts=facts))


@pytest.mark.parametrize(("text", "count"), [("", 0), ("a", 1), ("abcd", 1), ("abcde", 2)])
def test_counts_tokens_by_one_rule(text, count):
    """Four letters, rounded up."""
    assert count_tokens(text) == count


def test_counts_what_was_read_and_what_was_written(index):
    """Both prompts and the names; and the caption."""
    request = CaptionRequest(
        user_prompt="12345", system_prompt="1234", persons=(ReferencePerson(name="Al", image=None),)
    )

    answer = write_caption(index, request)

    assert answer.input_tokens == 2 + 1 + 1
    assert answer.output_tokens == count_tokens(answer.text)
