"""What every command takes: its common options, `--dry-run`, and groups that show their help."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import click
from attrs import field, frozen

from memories_async.cli._run import CommandRun

if TYPE_CHECKING:
    from memories_async.ledger import Ledger

F = TypeVar("F", bound=Callable[..., Any])


class HelpFormatter(click.HelpFormatter):
    """Writes help without breaking a line inside an option or a command's name."""

    def write(self, string: str) -> None:
        """Write *string*, with the hyphens that wrapping left alone."""
        super().write(string.replace("\N{NON-BREAKING HYPHEN}", "-"))

    def write_text(self, text: str) -> None:
        """Write a paragraph."""
        super().write_text(text.replace("-", "\N{NON-BREAKING HYPHEN}"))

    def write_dl(self, rows: Iterable[tuple[str, str]], *args: Any, **settings: Any) -> None:
        """Write a list of terms with their descriptions."""
        held = [(term, text.replace("-", "\N{NON-BREAKING HYPHEN}")) for term, text in rows]
        super().write_dl(held, *args, **settings)


@frozen
class LedgerPlace:
    """Where a ledger is: a path, or a URL, whose text has no password."""

    given: str = field(repr=False)
    _shown: str

    def open(self) -> Ledger:
        """Return the ledger, which is opened at first use."""
        from memories_async.ledger import Ledger

        return Ledger(self.given)

    def __str__(self) -> str:
        return self._shown


class LedgerType(click.Path):
    """Reads the place of a ledger."""

    name = "file|url"

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Check a URL as it is; a path like every other."""
        from memories_async._database.open import is_postgres, open_database

        if not is_postgres(value):
            path = super().convert(value, param, ctx)
            return LedgerPlace(str(path), str(path))
        try:
            return LedgerPlace(value, str(open_database(value)))
        except (ValueError, ImportError) as error:
            self.fail(str(error), param, ctx)


class Context(click.Context):
    """A context whose help is written by our formatter."""

    formatter_class = HelpFormatter


class Group(click.Group):
    """A group of commands that shows its help when no command is named."""

    context_class: type[click.Context] = Context

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command of the group, whose help is written by our formatter too."""
        command = super().get_command(ctx, cmd_name)
        if command is not None:
            command.context_class = Context
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, and have errors begin with its name."""
        ctx.ensure_object(CommandRun).name = f"{ctx.command_path} {args[0]}"
        return super().resolve_command(ctx, args)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse *args*, or ask for help where there are none."""
        return super().parse_args(ctx, args or ["--help"])


def refuse_key(context: click.Context, _: click.Parameter, value: str | None) -> None:
    """Raise a usage error where a key is given as an argument."""
    if value is not None:
        raise click.UsageError(
            "an API key is never taken as an argument, which other users of this machine and the "
            "shell's history can read: set MEMORIES_API_KEY instead",
            context,
        )


def common(function: F) -> F:
    """Add `--json` and `--debug` to a command, and the refusal of a key."""
    # The program reads both flags before click parses, so that they hold for parsing errors too.
    json = click.option(
        "--json", is_flag=True, expose_value=False, help="Write one JSON document to stdout."
    )
    debug = click.option(
        "--debug", is_flag=True, expose_value=False, help="Log to stderr, and show tracebacks."
    )
    key = click.option(
        *("--api-key", "--key", "--caption-api-key"),
        is_eager=True,
        expose_value=False,
        hidden=True,
        callback=refuse_key,
    )
    return json(debug(key(function)))


def set_account(context: click.Context, _: click.Parameter, value: str | None) -> None:
    """Note the value of `--account` for the settings."""
    context.ensure_object(CommandRun).account = value


account = click.option(
    "--account",
    metavar="NAME",
    expose_value=False,
    callback=set_account,
    help="The account's name in ledger and limiter.  [default: MEMORIES_ACCOUNT, or the key's hash]",
)
dry_run = click.option(
    "--dry-run", is_flag=True, help="Show the call, its fields and its cost; send nothing."
)


def make_timeout_option(seconds: float, text: str) -> Callable[[F], F]:
    """Make the option `--timeout`, of *seconds* by default; *text* is its help."""
    return click.option(
        "--timeout",
        type=click.FloatRange(0, min_open=True),
        default=seconds,
        show_default=True,
        metavar="SECONDS",
        help=text,
    )


extra_option = click.option(
    "--extra",
    multiple=True,
    metavar="NAME=VALUE",
    help="A field of the service that has no option here; VALUE is JSON, or else text.",
)


def parse_extra(pairs: Iterable[str]) -> dict[str, Any]:
    """Parse the values of `--extra`."""
    from memories_async._protocol import wire_json

    extra: dict[str, Any] = {}
    for pair in pairs:
        name, sign, text = pair.partition("=")
        if not name or not sign:
            raise ValueError(f"--extra must be NAME=VALUE, not {pair!r}")
        if name in extra:
            raise ValueError(f"--extra {name} is given twice; for a list, write {name}=[...]")
        try:
            extra[name] = wire_json.loads(text.encode())
        except wire_json.NotJson:
            extra[name] = text
    return extra


UNITS = ("search", "caption", "embedding", "video", "asset")
"""What the commands are charged as; `video` and `asset` are uploads."""
price_option = click.option(
    "--price",
    "prices",
    multiple=True,
    metavar="UNIT=POINTS",
    help=f"What a success costs; may be repeated. Units: {', '.join(UNITS)}.",
)


def parse_prices(pairs: Iterable[str]) -> dict[str, float]:
    """Parse the values of `--price`."""
    prices: dict[str, float] = {}
    for pair in pairs:
        unit, _, text = pair.partition("=")
        try:
            points = float(text)
        except ValueError:
            points = -1.0
        if not unit or not 0 <= points < math.inf:
            raise ValueError(f"--price must be UNIT=POINTS, with points from 0, not {pair!r}")
        if unit not in UNITS:
            raise ValueError(f"--price: there is no unit {unit!r}; there are {', '.join(UNITS)}")
        prices[unit] = points
    return prices


@contextmanager
def raise_usage_errors(prefix: str = "") -> Generator[None]:
    """Turn a `TypeError` or `ValueError` of the library into a usage error of the command."""
    try:
        yield
    except (TypeError, ValueError) as error:
        context = click.get_current_context(silent=True)
        sentence, rule, _ = str(error).partition(" must be an id of the service, not ")
        if rule:  # the library names functions of its own
            given = "a URL" if "://" in str(error) else "a file"
            kind = " --asset" if "asset_id" in sentence else ""
            upload = f"`memories-async add{kind}` uploads a file and prints its id"
            error = ValueError(f"{sentence}{rule}{given}: {upload}")
        raise click.UsageError(f"{prefix}{error}", context) from error


def is_url(text: str) -> bool:
    """Whether *text* is a web address."""
    return urlsplit(text).scheme.lower() in {"http", "https"}
