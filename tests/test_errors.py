"""Errors say whether the call was billed, and pickle with all attributes."""

from __future__ import annotations

import copy
import inspect
import pickle

import pytest

from memories_async import errors
from memories_async.errors import BadReply, MemoriesError, OutcomeUnknown, RateLimited, add_context

KINDS = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, MemoriesError)
]
MAYBE = ["OutcomeUnknown", "BadReply", "CaptionFailed", "CallbackTimeout"]
NOTHING = ["NotSent", "Refused", "InvalidRequest", "AuthenticationFailed", "InsufficientCredits"]
NOTHING += ["PermissionDenied", "Conflict", "RateLimited"]


@pytest.mark.parametrize(
    ("name", "billed"),
    [*((name, "maybe") for name in MAYBE), *((name, "no") for name in NOTHING)],
)
def test_every_error_says_whether_it_cost_anything(name, billed):
    """An error is "maybe" only where the service may have done the work."""
    kind = getattr(errors, name)

    assert kind("x").billed == billed
    assert kind("x", billed="yes").billed == "yes"


@pytest.mark.parametrize("copied", [copy.copy, lambda e: pickle.loads(pickle.dumps(e))])
@pytest.mark.parametrize("kind", KINDS)
def test_errors_pickle_with_all_their_attributes(kind, copied):
    """Another process sees the same error."""
    error = kind("broke", call="a.b", status=500, code="7", attempts=3, billed="yes")
    error.retry_after, error.transient, error.body = 1.5, True, b"{}"
    error.add_note("seen twice")

    twin = copied(error)

    assert type(twin) is kind
    assert vars(twin) == vars(error)
    assert (twin.args, str(twin)) == (error.args, str(error))


def test_a_subclass_with_its_own_constructor_pickles():
    """A caller's subclass needs no code for pickling."""
    twin = pickle.loads(pickle.dumps(Peculiar(1, 2)))

    assert (twin.message, twin.sum) == ("1 and 2", 3)


class Peculiar(MemoriesError):
    """Takes other arguments than its base."""

    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")
        self.sum = one + two


def test_the_text_of_an_error_names_the_call_and_the_facts():
    """It says what happened, to which call, and whether it was billed."""
    error = RateLimited("too fast", call="clips.search", status=200, code="0429", attempts=2)

    expected = "clips.search: too fast (status 200, code 0429, attempts 2, billed: no)"
    assert str(error) == expected
    assert str(OutcomeUnknown("lost")) == "lost (billed: maybe)"
    assert error.message == "too fast"


def test_add_context_sets_the_call_and_its_attempts():
    """The call runner adds them to each error that it raises."""
    error = add_context(OutcomeUnknown("lost"), call="a.b", attempts=1)

    assert (error.call, error.attempts) == ("a.b", 1)


def test_an_unreadable_success_is_an_unknown_outcome():
    """Code that handles unknown outcomes handles it too."""
    assert issubclass(BadReply, OutcomeUnknown)
