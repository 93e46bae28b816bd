"""The caption of a film that is too long or too large for one: cut, captioned in pieces, joined."""

from __future__ import annotations

import asyncio
import hashlib
import os
import tempfile
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import evolve, field, frozen

from memories_async import captions, media
from memories_async._client.sender import Sender
from memories_async._flows.captions import TIMEOUT, wait_for_caption
from memories_async._protocol.call import Call, Form
from memories_async.batch._circuit_breaker import STOPPING
from memories_async.captions import Caption, CaptionTask, Person
from memories_async.errors import MemoriesError, NotSent, OutcomeUnknown
from memories_async.events import logger
from memories_async.film import FilmPlan, LongCaption, Piece, PieceCaption
from memories_async.film._values import join_captions

if TYPE_CHECKING:
    from memories_async.film._cutter import FilmCutter

T = TypeVar("T")
Film = str | os.PathLike[str]
PieceCall = Call[Any]
_AT_ONCE = 4
"""Pieces that are cut and sent at once; each is a temporary file of at most 20 MB."""


async def plan_long(
    client: Sender, video: Film, *, max_video_size: int = captions.MAX_VIDEO_SIZE
) -> FilmPlan:
    """Plan into which pieces `captions.caption_long` cuts *video*. Free; nothing is sent.

    The answer is a `FilmPlan`; each of its pieces is billed as one caption. *video* is the path of a
    film, *max_video_size* the bytes allowed for a piece. A film that is too long or too large is
    decoded once to find its cuts. Needs the extra `local`. Raises `ValueError` for a file that
    cannot be read as a video.
    """
    del client
    return await _in_thread(make_cutter(video, max_video_size), lambda cutter: cutter.plan())


async def caption_long(
    client: Sender,
    video: Film,
    *,
    user_prompt: str,
    system_prompt: str,
    persons: Iterable[Person] = (),
    thinking: bool = False,
    reasoning_effort: int | None = None,
    qa: bool | None = None,
    max_video_size: int = captions.MAX_VIDEO_SIZE,
    max_persons: int | None = captions.MAX_PERSONS,
    extra: Mapping[str, Any] | None = None,
    tag: str | None = None,
    timeout: float | None = TIMEOUT,  # noqa: ASYNC109  # the name that the design fixed
    plan: FilmPlan | None = None,
    on_piece: Callable[[PieceCaption], None] | None = None,
) -> LongCaption:
    """Caption a film of any length: cut it into pieces that the service takes, and join the captions.

    The answer is a `LongCaption`: one text, whose times count from the beginning of the film, and the
    caption or the error of each piece. A film over 300 seconds or *max_video_size* bytes is cut where
    shots change, into as few pieces as possible, at most 480 lines high; a shorter one is sent as it
    is. Each piece is billed as one caption: `captions.plan_long` says how many there are. With a
    receiver that serves, captions come by callback; without one, in the replies, as of
    `captions.upload_file_sync`. Needs the extra `local`.

    With a ledger, a call that was stopped at any moment goes on when it is repeated: a piece is
    recognised by the content of *video* and its times, so that none is paid twice. Without a ledger, a
    repeat pays for all of them.

    *video* is the path of a film. The other arguments are those of `captions.upload_file`; *timeout*
    holds for the callback of each piece. *plan* is the answer of `captions.plan_long` for the same
    file, if there is one: the film is not searched for cuts again. *on_piece* is called with each piece
    as it ends. Raises `ValueError` for a film that cannot be read or arguments that cannot be sent;
    where no piece has a caption, an error that may be billed, else that of the first piece. After an
    error that every piece would meet, such as too few points, no further piece is cut or sent.
    """
    cutter = make_cutter(video, max_video_size)
    build = partial(
        captions.upload_file_sync if client.receiver is None else captions.upload_file,
        user_prompt=user_prompt,
        system_prompt=system_prompt,
        persons=tuple(persons),
        thinking=thinking,
        reasoning_effort=reasoning_effort,
        qa=qa,
        max_video_size=max_video_size,
        max_persons=max_persons,
        extra=extra,
        tag=tag,
    )
    build(b"-")  # a mistake in an argument is raised before the film is decoded
    if plan is None:
        plan = await _in_thread(cutter, lambda cutter: cutter.plan())
    elif plan.size != cutter.path.stat().st_size:
        raise ValueError(f"plan is of another file: {plan.size:,} bytes, which {video} has not")
    calls = await _in_thread(cutter, lambda cutter: PieceCalls.read(cutter, build, PieceSlots()))
    pieces = await _LongJob(client, calls, timeout, on_piece or (lambda _: None)).run(plan)
    if all(piece.caption is None for piece in pieces):
        raise _choose_error(pieces)
    return join_captions(pieces, tag)


@frozen(eq=False)
class _LongJob:
    """Captions the pieces of one film."""

    client: Sender
    calls: PieceCalls
    timeout: float | None
    on_piece: Callable[[PieceCaption], None]

    async def run(self, plan: FilmPlan) -> tuple[PieceCaption, ...]:
        """Return the captions of all pieces, in order."""
        running = [asyncio.ensure_future(self.caption(piece, plan)) for piece in plan.pieces]
        try:
            return tuple(await asyncio.gather(*running))
        finally:
            for one in running:
                one.cancel()
            await asyncio.wait(running)

    async def caption(self, piece: Piece, plan: FilmPlan) -> PieceCaption:
        """Caption a piece; what it comes to instead is its error."""
        ended = PieceCaption(start_time=piece.start_time, end_time=piece.end_time)
        try:
            answer = await self.send(self.calls.build_call(piece, plan))
            if not isinstance(answer, Caption):
                answer = await wait_for_caption(self.client, answer, self.timeout)
            ended = evolve(ended, caption=answer)
        except MemoriesError as error:
            ended = evolve(ended, error=error)
            if isinstance(error, STOPPING):
                self.calls.slots.failures.append(error)
        try:
            self.on_piece(ended)
        except Exception:  # noqa: BLE001  # a mistake in it must not end pieces that may be billed
            logger.exception("on_piece raised")
        return ended

    async def send(self, call: PieceCall) -> Caption | CaptionTask | OutcomeUnknown:
        """Send a piece, or return the error of one that may have been accepted all the same."""
        try:
            answer: Caption | CaptionTask = await self.client.send(call)
        except OutcomeUnknown as lost:
            # The service may have accepted the task, and call back.
            if lost.callback is None:
                raise
            return lost
        return answer


@frozen
class PieceSlots:
    """Limits the pieces that exist as files at once, and those that are cut at once."""

    existing: asyncio.Semaphore = field(factory=lambda: asyncio.Semaphore(_AT_ONCE))
    cutting: asyncio.Lock = field(factory=asyncio.Lock)
    failures: list[MemoriesError] = field(factory=list[MemoriesError])
    """Errors that every other piece would meet: no further piece is cut."""

    def check(self, call: PieceCall) -> None:
        """Raise `NotSent` for *call* where every piece would fail."""
        if self.failures:
            why = self.failures[0].message
            raise NotSent(f"not sent after another piece's error: {why}", call=call.name)


@frozen(eq=False)
class PieceCalls:
    """Builds the calls for the pieces of a film. A piece is cut when its call is about to be sent."""

    cutter: FilmCutter
    build: Callable[[media.Source], PieceCall]
    digest: str
    slots: PieceSlots

    @classmethod
    def read(
        cls,
        cutter: FilmCutter,
        build: Callable[[media.Source], PieceCall],
        slots: PieceSlots,
    ) -> PieceCalls:
        """Read the whole film, whose content is part of the identity of its pieces."""
        return cls(cutter, build, _prepare(cutter.path).digest(), slots)

    def build_call(self, piece: Piece, plan: FilmPlan) -> PieceCall:
        """Build the call for *piece*; its identity is that of the film and the times."""
        from memories_async.film._cutter import RECIPE  # noqa: PLC0415  # needs an extra

        if plan.is_whole:
            return self.build(self.cutter.path)
        # Another FFmpeg may encode the piece to other bytes.
        name = f"{RECIPE} {self.digest} {piece.start_time:.3f} {piece.end_time:.3f}"
        identity = hashlib.blake2b(name.encode(), digest_size=20).hexdigest()
        call = self.build(b"-")
        call = _replace_video(call, evolve(call.media[0], identity=identity))
        return evolve(call, prepare=partial(self._cut, piece))

    @asynccontextmanager
    async def _cut(self, piece: Piece, call: PieceCall) -> AsyncGenerator[PieceCall]:
        # The file has no name on the disk, so that nothing is left of it when the process is killed.
        async with self.slots.existing:
            with ExitStack() as files:
                try:
                    async with self.slots.cutting:
                        self.slots.check(call)
                        file = files.enter_context(tempfile.TemporaryFile(prefix="memories-"))
                        await _in_thread(self.cutter, lambda cutter: cutter.cut(piece, file))
                    cut = media.prepare_video("video", file, max_size=self.cutter.max_size)
                except (OSError, ValueError) as error:
                    # It ends this piece alone: others may be on their way, and billed.
                    raise NotSent(f"the piece cannot be cut: {error}", call=call.name) from error
                yield evolve(_replace_video(call, cut), prepare=None)


def _replace_video(call: PieceCall, video: media.Media) -> PieceCall:
    """Return the call with another video; it comes before the pictures of persons."""
    assert isinstance(call.body, Form)
    parts = tuple(
        evolve(part, content=video) if part.content is call.media[0] else part
        for part in call.body.parts
    )
    return evolve(call, body=Form(parts))


def _choose_error(pieces: tuple[PieceCaption, ...]) -> MemoriesError:
    """Choose the error that says most about what the film cost."""
    errors = [piece.error for piece in pieces if piece.error is not None]
    return next((error for error in errors if error.billed != "no"), errors[0])


async def _in_thread(cutter: FilmCutter, work: Callable[[FilmCutter], T]) -> T:
    """Run *work* in a thread; a cancelled call tells it to stop, and waits until it has."""
    running = asyncio.ensure_future(asyncio.to_thread(work, cutter))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        cutter.is_stopped.set()
        await asyncio.wait([running])
        raise


def _prepare(path: Path) -> media.Media:
    return media.prepare_video("video", path, max_size=None)


def make_cutter(video: Film, max_size: int) -> FilmCutter:
    """Make what plans and cuts *video*. Raises `ValueError` for a path that is no video's."""
    # Imported here: the core does without the extra that the cutter needs.
    from memories_async.film._cutter import FilmCutter  # noqa: PLC0415

    path = Path(video)
    _prepare(path)
    return FilmCutter(path, max_size)
