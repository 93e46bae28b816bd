"""`memories-async caption --long`: a film of any length, captioned in pieces."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

from attrs import frozen

from memories_async import FilmPlan, Ledger, LongCaption, captions
from memories_async._flows.long_captions import make_cutter
from memories_async._protocol.reply import Host
from memories_async.cli import _receiving
from memories_async.cli._calls import CallObserver, run_async
from memories_async.cli._dry_run import describe_cost, format_cost
from memories_async.cli._exits import Exit
from memories_async.cli._receiving import Reception
from memories_async.cli._run import CommandRun
from memories_async.cli._screen import count_noun
from memories_async.cli._settings import Configuration
from memories_async.film import PieceCaption


@frozen(kw_only=True)
class LongOptions:
    """Where the captions of a film are recorded, and how they are received with `--wait`."""

    ledger: str | None
    wait: bool
    port: int | None
    public_url: str | None
    timeout: float
    dry_run: bool
    prices: dict[str, float]
    """Points of units, for a dry run."""

    def caption(
        self, run: CommandRun, video: str, configuration: Configuration, arguments: dict[str, Any]
    ) -> int:
        """Plan the pieces of *video*, and caption them unless it is a dry run; return the exit code."""
        with run.screen.status("looking for cuts ..."):
            plan = make_cutter(video, captions.MAX_VIDEO_SIZE).plan()
        if self.dry_run:
            show_film_plan(run, plan, configuration, self.prices)
            return Exit.DONE
        if self.ledger is None:
            raise ValueError(
                "--long needs --ledger FILE, with which a run that was stopped goes on"
            )
        if self.wait and not self.port:
            raise ValueError("--wait needs --port N, on which a later run receives the rest")
        with Ledger(self.ledger) as ledger:
            reception = None
            if self.wait:
                make = _receiving.make_receiver
                receiver = make(self.public_url, self.port, configuration, ledger)
                reception = Reception(receiver=receiver, port=self.port, timeout=self.timeout)
            run.screen.note(describe_plan(plan))
            run.screen.note(f"if it ends early, run it again: {self.ledger} records what is paid")
            long = run_async(
                _caption(
                    run,
                    video,
                    configuration=configuration,
                    ledger=ledger,
                    reception=reception,
                    plan=plan,
                    arguments=arguments,
                )
            )
        run.screen.document(long.to_dict())
        run.screen.say(long.text)
        return Exit.DONE if long.is_complete else Exit.NO_RESULT


async def _caption(
    run: CommandRun,
    video: str,
    *,
    configuration: Configuration,
    ledger: Ledger,
    reception: Reception | None,
    plan: FilmPlan,
    arguments: dict[str, Any],
) -> LongCaption:
    def show_piece(piece: PieceCaption) -> None:
        what = "captioned" if piece.error is None else str(piece.error)
        run.screen.note(f"{piece.start_time:.1f}-{piece.end_time:.1f} s: {what}")

    settings: dict[str, Any] = {"ledger": ledger, "observers": (CallObserver(run),)}
    async with AsyncExitStack() as stack:
        if reception is not None:
            await stack.enter_async_context(reception.open())
            settings["receiver"] = reception.receiver
            arguments = {**arguments, "timeout": reception.timeout}
        client = await stack.enter_async_context(configuration.client(Host.CAPTIONS, **settings))
        with run.screen.status("captioning ..."):
            return await client.captions.caption_long(
                video, plan=plan, on_piece=show_piece, **arguments
            )


def describe_plan(plan: FilmPlan) -> str:
    """Say how many captions a film takes."""
    count = count_noun(len(plan.pieces), "caption")
    if plan.is_whole:
        return f"{plan.duration:.0f} s, {plan.size:,} bytes: sent as it is, {count}"
    pieces = count_noun(len(plan.pieces), "piece")
    return f"{plan.duration:.0f} s, {plan.size:,} bytes: {pieces}, {count} charged if all succeed"


def show_film_plan(
    run: CommandRun, plan: FilmPlan, configuration: Configuration, prices: dict[str, float]
) -> None:
    """Show the pieces, what they cost, and how long they take to submit at least."""
    limit, count = configuration.limits.of("captions"), len(plan.pieces)
    seconds = (count - 1) * limit.per / limit.rate
    run.screen.document(
        {
            "dry_run": True,
            **plan.to_dict(),
            "cost": describe_cost("caption", count, prices),
            "seconds": seconds,
        }
    )
    run.screen.say("Dry run: nothing was sent.", style="bold")
    rows = [
        (f"{one.start_time:.1f}-{one.end_time:.1f} s", "" if one.at_cut else "no cut in reach")
        for one in plan.pieces
    ]
    run.screen.facts(
        [
            ("film", f"{plan.duration:.1f} s, {plan.size:,} bytes"),
            ("pieces", "1, sent as it is" if plan.is_whole else str(count)),
            *rows,
            ("cost", format_cost("caption", count, prices)),
            ("time", f"at least {seconds:.0f} s to submit them, and encoding on this machine"),
        ]
    )
