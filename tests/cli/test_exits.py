"""How errors become exit codes and sentences."""

from __future__ import annotations

import pytest

from memories_async import errors
from memories_async._database.file import DatabaseFailed
from memories_async.cli._exits import Exit
from memories_async.cli._problems import describe_error


@pytest.mark.parametrize(
    ("error", "code", "advice"),
    [
        (errors.AuthenticationFailed("no"), Exit.REFUSED, "MEMORIES_API_KEY"),
        (errors.InsufficientCredits("no"), Exit.REFUSED, "Add points"),
        (errors.PermissionDenied("no"), Exit.REFUSED, "owner of the account"),
        (errors.RateLimited("no", retry_after=7.0), Exit.REFUSED, "in 7 s"),
        (errors.RateLimited("no"), Exit.REFUSED, "later"),
        (errors.InvalidRequest("no"), Exit.REFUSED, ""),
        (errors.NotSent("no"), Exit.NOT_SENT, "doctor --ping"),
        (errors.OutcomeUnknown("no"), Exit.UNKNOWN, "charged twice"),
        (errors.BadReply("no"), Exit.UNKNOWN, "charged twice"),
        (errors.CaptionFailed("no"), Exit.NO_RESULT, "account"),
        (errors.CallbackTimeout("no"), Exit.NO_RESULT, "--timeout"),
        (DatabaseFailed("no"), Exit.USAGE, ""),
        (DatabaseFailed("no", billed="maybe"), Exit.UNKNOWN, ""),
        (errors.MemoriesError("no"), Exit.UNKNOWN, ""),
    ],
)
def test_every_error_has_a_code_and_most_an_advice(error, code, advice):
    """The two things that a script and a person need."""
    problem = describe_error(error)

    assert problem.exit is code
    assert advice in problem.advice
    assert bool(advice) == bool(problem.advice)


@pytest.mark.parametrize(
    ("billed", "told"),
    [
        ("no", "nothing was charged."),
        ("maybe", "it may have been charged."),
        ("yes", "it was char"),
    ],
)
def test_every_error_says_what_it_cost(billed, told):
    """The question that matters on a billed service."""
    assert told in describe_error(errors.Refused("Why.", billed=billed)).line()


def test_an_error_shows_its_facts_after_the_sentence():
    """Status and code, where a reply brought them."""
    both = describe_error(errors.Refused("The file is empty.", status=200, code="0003"))
    none = describe_error(errors.Refused("The file is empty."))

    assert both.line() == (
        "refused: The file is empty (status 200, code 0003); nothing was charged."
    )
    assert none.line() == "refused: The file is empty; nothing was charged."
    assert both.document()["error"]["code"] == "0003"
