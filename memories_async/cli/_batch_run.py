"""Running a batch: its uploads, its outcomes and its exit code."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from math import inf
from typing import Any

from attrs import asdict, field, frozen

from memories_async import Client, Ledger
from memories_async._protocol.reply import Host
from memories_async.batch import Batch, Progress
from memories_async.cli._batch_captions import Await, CaptionOptions, CaptionWriter
from memories_async.cli._batch_films import FilmRows
from memories_async.cli._batch_options import BatchOptions
from memories_async.cli._batch_progress import Stop, format_progress, list_plan, show_progress
from memories_async.cli._batch_rows import Rows
from memories_async.cli._batch_uploads import UploadWaiter
from memories_async.cli._calls import run_async
from memories_async.cli._exits import Exit
from memories_async.cli._options import raise_usage_errors
from memories_async.cli._run import CommandRun
from memories_async.cli._screen import count_noun
from memories_async.cli._settings import Configuration
from memories_async.errors import OutcomeUnknown, PaidElsewhere

_CURRENT = {"in_flight", "waiting"}
"""Counts that are zero at the end."""
_LISTED = 5
"""Keys that are named in a line."""


def run_batch(
    run: CommandRun,
    rows: Rows | FilmRows,
    host: Host,
    settings: dict[str, Any],
    *,
    caption_options: CaptionOptions | None = None,
    uploads: UploadWaiter | None = None,
) -> int:
    """Run the batch of a command; return the exit code."""
    configuration = Configuration.read(run.account)
    with raise_usage_errors():
        options = BatchOptions.parse(**settings)
        ledger = options.ledger.open()
        captions = None
        if caption_options is not None:
            captions = caption_options.make_writer(
                configuration,
                ledger,
                films=rows if isinstance(rows, FilmRows) else None,
                report=run.screen.note,
            )
    client = configuration.client(host, receiver=captions and captions.receiver)
    with ledger:
        try:
            stop = Stop(options.drain)
            command = BatchCommand(run, rows, options, ledger, captions, uploads, stop)
            return run_async(command.run_with(client))
        except KeyboardInterrupt:
            run.screen.note(
                f"interrupted; run the same command again to continue: {options.ledger} records "
                "what is done"
            )
            states = ledger.summary().by_call.values()
            if count := sum(state.get("unknown", 0) for state in states):
                run.screen.note(
                    f"{count_noun(count, 'call')} may have been charged, and will not be sent again: "
                    f"see `memories-async ledger unknown {options.ledger}`"
                )
            return Exit.INTERRUPTED


@frozen(eq=False)
class BatchCommand:
    """A batch, with what its command needs to run and to report it."""

    run: CommandRun
    rows: Rows | FilmRows
    options: BatchOptions
    ledger: Ledger
    captions: CaptionWriter | None
    uploads: UploadWaiter | None
    stop: Stop
    unknown: list[str] = field(factory=list[str], init=False)
    """Keys of items that may have been charged."""
    paid_elsewhere: list[str] = field(factory=list[str], init=False)
    """Keys of items that another account paid."""
    uploaded: list[str] = field(factory=list[str], init=False)
    """Keys of items whose file was uploaded in this run."""

    async def run_with(self, client: Client) -> int:
        """Send the calls with *client*, or plan them; return the exit code."""
        options, screen = self.options, self.run.screen
        async with client:
            batch = client.batch(
                self.rows,
                ledger=self.ledger,
                concurrency=options.concurrency,
                on_unknown=options.on_unknown,
                budget=options.budget,
                drain=inf if options.drain is None else options.drain,
            )
            if options.dry_run:
                return await self.show_plan(batch)
            async with AsyncExitStack() as stack:
                follow: Await | None = None
                if self.captions is not None:
                    follow = await stack.enter_async_context(self.captions.open())
                elif self.uploads is not None:
                    follow = await stack.enter_async_context(self.uploads.open(client))
                async with show_progress(screen, lambda: batch.progress, self.stop), batch:
                    await self.read_outcomes(batch, follow)
        if options.out is not None:
            count = await asyncio.to_thread(self.ledger.export, options.out)
            screen.note(f"{count_noun(count, 'entry', 'entries')} written to {options.out}")
        return self.report(batch)

    async def show_plan(self, batch: Batch[str, Any]) -> Exit:
        """Show what the batch would send and cost."""
        screen, options, plan = self.run.screen, self.options, await batch.plan()
        films = self.rows.describe() if isinstance(self.rows, FilmRows) else []
        screen.document({"plan": asdict(plan), **({"films": films} if films else {})})
        pieces = sum(len(film["pieces"]) for film in films)
        shown = [("films in pieces", f"{len(films):,}, in {pieces:,} pieces")] if films else []
        prices = options.budget.prices if options.budget is not None else {}
        screen.facts([*list_plan(plan, prices), *shown])
        return Exit.USAGE if self.rows.invalid else Exit.DONE

    async def read_outcomes(self, batch: Batch[str, Any], follow: Await | None) -> None:
        """Report each error, and start to wait for each caption or upload."""
        try:
            async for outcome in batch:
                # Those that may be many are reported in one line at the end.
                if isinstance(outcome.error, OutcomeUnknown):
                    self.unknown.append(outcome.key)
                elif isinstance(outcome.error, PaidElsewhere):
                    self.paid_elsewhere.append(outcome.key)
                elif outcome.error is not None:
                    self.run.screen.note(f"{outcome.key}: {outcome.error}")
                if outcome.upload is not None and outcome.upload.billed == "yes":
                    self.uploaded.append(outcome.key)
                if follow is not None:
                    await follow(outcome)
        except asyncio.CancelledError:
            self.stop.begin()
            count = count_noun(batch.progress.in_flight, "request")
            self.run.screen.note(
                f"stopping: waiting for {count} in flight, {self.stop.limit}; Ctrl-C again leaves at "
                "once, and what is in flight may then be charged"
            )
            raise

    def report(self, batch: Batch[str, Any]) -> int:
        """Show the counts; return the exit code."""
        screen, progress, stopped = self.run.screen, batch.progress, batch.stopped
        counts = {name: value for name, value in asdict(progress).items() if name not in _CURRENT}
        document = {
            **counts,
            "uploaded": len(self.uploaded),
            "invalid": self.rows.invalid,
            "stopped": None if stopped is None else str(stopped),
            "ledger": str(self.options.ledger),
        }
        if self.captions is not None:
            document["captions"] = self.captions.written
        if self.uploads is not None:
            document["added"] = self.uploads.added
        screen.document(document)
        screen.say(format_progress(progress))
        if self.uploaded:
            screen.say(f"{count_noun(len(self.uploaded), 'file')} uploaded")
        if self.captions is not None:
            screen.say(f"{count_noun(self.captions.written, 'caption')} in {self.captions.path}")
        if isinstance(self.rows, FilmRows) and self.rows.films:
            incomplete = shorten_list([*self.rows.films])
            screen.note(f"not written, as pieces are missing: {incomplete}; run it again")
        if stopped is not None:
            screen.note(f"stopped; the rest is planned: {stopped}")
        ledger = self.options.ledger
        if self.unknown:
            screen.note(
                f"may have been charged: {shorten_list(self.unknown)}; see `memories-async ledger "
                f"unknown {ledger}`, then `memories-async ledger settle {ledger} --all --paid` or "
                "`--not-paid`"
            )
        if self.paid_elsewhere:
            screen.note(
                f"paid under another account's name: {shorten_list(self.paid_elsewhere)}; if it is "
                f"the same account, `memories-async ledger rename-account {ledger} OLD NEW`"
            )
        return self.choose_exit(progress, is_stopped=stopped is not None)

    def choose_exit(self, progress: Progress, *, is_stopped: bool) -> Exit:
        """Choose the exit code: of several that fit, the one that matters most."""
        if progress.unknown or self.unknown:
            return Exit.UNKNOWN
        if progress.unsent or is_stopped:
            return Exit.NOT_SENT
        if self.rows.invalid:
            return Exit.USAGE
        if progress.refused:
            return Exit.REFUSED
        is_missing = any(one is not None and one.missing for one in (self.captions, self.uploads))
        return Exit.NO_RESULT if is_missing else Exit.DONE


def shorten_list(keys: Sequence[str]) -> str:
    """Write the first keys, and how many more there are."""
    more = f" and {len(keys) - _LISTED:,} more" if len(keys) > _LISTED else ""
    return f"{', '.join(keys[:_LISTED])}{more}"
