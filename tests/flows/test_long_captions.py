"""Captions of long films: cut at shots into pieces that fit, joined, and never paid twice."""

from __future__ import annotations

import asyncio
import io
import itertools
import tempfile
import threading
from pathlib import Path

import pytest
from attrs import evolve

from memories_async import (
    Caption,
    CaptionFailed,
    InsufficientCredits,
    Ledger,
    NotSent,
    OutcomeUnknown,
    Receiver,
    Refused,
    Tokens,
    captions,
)
from memories_async._flows.long_captions import _LongJob
from memories_async.film import Piece, PieceCaption, plan_pieces
from memories_async.film._values import join_captions, shift_times
from memories_async.local import Callbacks, LocalService
from memories_async.local.engine.fixed import FixedEngine

av = pytest.importorskip("av", reason="films are cut with PyAV")
np = pytest.importorskip("numpy", reason="cuts are found with NumPy")

from long_films import CUTS, RATE, write_film  # noqa: E402  # needs PyAV

from memories_async.film._cutter import FilmCutter, Stopped, _Film  # noqa: E402  # needs PyAV

PROMPTS = {"user_prompt": "What happens?", "system_prompt": "You describe videos."}


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """A film of 400 seconds."""
    return write_film(tmp_path_factory.mktemp("long") / "long.mp4", seconds=400, cuts=CUTS)


@pytest.fixture
async def service():
    async with LocalService(
        engine=FixedEngine(), limits=None, callbacks=Callbacks(pause=0.001)
    ) as started:
        yield started


@pytest.fixture
def ledger(tmp_path):
    with Ledger(tmp_path / "run.db") as made:
        yield made


@pytest.fixture
async def client(service, ledger):
    receiver = Receiver("http://127.0.0.1:0/cb")
    async with receiver.serve(), service.client(receiver=receiver, ledger=ledger) as made:
        yield made


@pytest.mark.parametrize(
    "seconds", [10.0, 299.0, 300.0, 310.0, 400.0, 597.9, 598.1, 3600.0, 7201.3]
)
@pytest.mark.parametrize("every", [None, 7.3, 90.0, 299.5])
def test_a_plan_is_whole_and_fits(seconds, every):
    """No gap, as few pieces as the length allows, each of a length that the service takes."""
    cuts = (
        []
        if every is None
        else list(itertools.takewhile(seconds.__gt__, itertools.count(every, every)))
    )

    pieces = plan_pieces(seconds, cuts)

    borders = [(one.end_time, other.start_time) for one, other in itertools.pairwise(pieces)]
    assert all(end == start for end, start in borders)
    assert (pieces[0].start_time, pieces[-1].end_time) == (0.0, seconds)
    assert len(pieces) == -(-seconds // 299.0)
    assert all(20 <= one.duration <= 299.001 for one in pieces) or len(pieces) == 1
    inner = [piece for piece in pieces[:-1] if piece.at_cut]
    assert all(min(abs(piece.end_time - cut) for cut in cuts) < 0.001 for piece in inner)


def test_a_cut_near_the_middle_is_chosen():
    """Among the cuts that fit."""
    assert [one.end_time for one in plan_pieces(400, [5.0, 60.0, 190.0, 330.0])] == [190.0, 400.0]
    first, _ = plan_pieces(400, [5.0, 390.0])
    assert (first.end_time, first.at_cut) == (200.0, False)


def test_the_shortest_piece_must_leave_a_choice():
    """Else some films could not be divided."""
    with pytest.raises(ValueError, match="at most half of 30"):
        plan_pieces(100, [], longest=30, shortest=16)


@pytest.mark.parametrize(
    ("text", "shifted"),
    [
        ("0.0-4.5 s: a dog. 4.5-10 s: a cat.", "190.0-194.5 s: a dog. 194.5-200.0 s: a cat."),
        ("[00:12] A dog. (1:05)", "[03:22] A dog. (04:15)"),
        ("00:05 - 00:10 a dog", "03:15 - 03:20 a dog"),
        (
            "The clock shows 10:30, and 12 people pass.",
            "The clock shows 10:30, and 12 people pass.",
        ),
        ("59:50-59:59", "1:03:00-1:03:09"),
    ],
)
def test_times_count_from_the_beginning_of_the_film(text, shifted):
    """Ranges and bracketed times; a time that may be seen in the picture stays."""
    assert shift_times(text, 190.0) == shifted
    assert shift_times(text, 0.0) == text


def test_captions_are_joined_in_order():
    """Tokens are added up; a piece without a caption leaves its place out."""
    tokens = Tokens(input=1, output=2, total=3)
    pieces = (
        PieceCaption(start_time=0, end_time=190, caption=Caption(text="A.", tokens=tokens)),
        PieceCaption(start_time=190, end_time=200, error=CaptionFailed("no")),
        PieceCaption(
            start_time=200, end_time=400, caption=Caption(text="0-1 s: B.", tokens=tokens)
        ),
    )

    joined = join_captions(pieces, "order 7")

    assert joined.text == "[00:00-03:10]\nA.\n\n[03:20-06:40]\n200.0-201.0 s: B."
    assert joined.tokens == Tokens(input=2, output=4, total=6)
    assert (joined.is_complete, joined.tag) == (False, "order 7")
    assert joined.to_dict()["pieces"][1]["error"]["type"] == "CaptionFailed"


def test_pieces_begin_at_the_cuts_and_keep_the_sound(film):
    """The frames between the piece's times, none of another shot, and as much sound."""
    cutter = FilmCutter(film, captions.MAX_VIDEO_SIZE)
    plan = cutter.plan()
    assert [one.end_time for one in plan.pieces] == [190.0, 400.0]

    for piece, shots in zip(plan.pieces, (2, 3), strict=True):
        cut = io.BytesIO()
        cutter.cut(piece, cut)
        assert len(cut.getvalue()) < captions.MAX_VIDEO_SIZE
        with av.open(cut) as shown:
            frames = [frame.to_ndarray(format="gray") for frame in shown.decode(video=0)]
        cut.seek(0)
        with av.open(cut) as heard:
            samples = sum(frame.samples for frame in heard.decode(audio=0))
        steps = [np.abs(a.astype(int) - b).mean() for a, b in itertools.pairwise(frames)]
        assert len(frames) == round(piece.duration * RATE)
        assert sum(step > 16 for step in steps) == shots - 1
        assert abs(samples / 8000 - piece.duration) < 0.5


def test_a_large_film_is_encoded_to_fit(tmp_path):
    """At most 480 lines, and at most the bytes that are allowed."""
    path = write_film(tmp_path / "large.mp4", seconds=25, cuts=(3, 9, 15), size=(1280, 720))
    cutter = FilmCutter(path, 150_000)
    plan = cutter.plan()
    cut = io.BytesIO()

    cutter.cut(plan.pieces[0], cut)

    assert plan.size > 150_000 >= len(cut.getvalue())
    with av.open(cut) as small:
        assert (small.streams.video[0].width, small.streams.video[0].height) == (854, 480)


def test_work_that_was_told_to_stop_stops(film):
    """A cancelled call does not leave a thread that encodes for minutes."""
    cutter = FilmCutter(film, captions.MAX_VIDEO_SIZE)
    cutter.is_stopped.set()

    with pytest.raises(Stopped):
        cutter.plan()


async def test_a_long_film_has_one_caption_of_all_its_pieces(client, service, film):
    """Each piece is paid once, also when the call is repeated."""
    ended = []
    first = await client.captions.caption_long(film, **PROMPTS, tag="a", on_piece=ended.append)
    again = await client.captions.caption_long(film, **PROMPTS)

    assert [(one.start_time, one.end_time) for one in first.pieces] == [
        (0.0, 190.0),
        (190.0, 400.0),
    ]
    assert first.is_complete
    assert first.text.startswith("[00:00-03:10]\n")
    assert (first.tag, again.tag, len(ended)) == ("a", None, 2)
    assert again == first
    assert service.account.paid == 2
    assert all(seen.size > 10_000 for seen in service.request_log)  # a film each


async def test_a_piece_that_cannot_be_cut_is_not_sent(client, service, film, monkeypatch):
    """It costs nothing, and leaves the ledger as it was; a repeat cuts it anew."""

    def fail(*_):
        raise ValueError("broken")

    with monkeypatch.context() as patch:
        patch.setattr(FilmCutter, "cut", fail)
        with pytest.raises(NotSent, match="the piece cannot be cut: broken") as failed:
            await client.captions.caption_long(film, **PROMPTS)

    assert failed.value.call == "captions.upload_file"
    assert service.account.calls == 0
    assert (await client.captions.caption_long(film, **PROMPTS)).is_complete


async def test_a_failed_piece_is_that_pieces_error(client, service, film):
    """The others are captioned; a repeat pays for what is missing."""
    service.faults.add(kind="code", code="0001", route="captions")

    first = await client.captions.caption_long(film, **PROMPTS)
    second = await client.captions.caption_long(film, **PROMPTS)

    (failed,) = (piece for piece in first.pieces if piece.caption is None)
    assert isinstance(failed.error, Refused)
    assert not first.is_complete
    assert second.is_complete
    assert service.account.paid == 2


async def test_a_film_of_which_no_piece_is_captioned_raises(client, service, film):
    """The error of the first piece."""
    service.faults.add(kind="code", code="0001", route="captions", times=None)

    with pytest.raises(Refused):
        await client.captions.caption_long(film, **PROMPTS)


async def test_a_stopped_run_goes_on(client, service, film, monkeypatch):
    """What was paid is not cut again either."""
    cut, pieces, has_ended = FilmCutter.cut, [], threading.Event()

    def cut_one(self, piece, to):
        if pieces:
            has_ended.wait(60)
            raise KeyError("stopped")
        pieces.append(piece)
        cut(self, piece, to)

    monkeypatch.setattr(FilmCutter, "cut", cut_one)
    with pytest.raises(KeyError):
        await client.captions.caption_long(film, **PROMPTS, on_piece=lambda _: has_ended.set())
    assert service.account.paid == 1
    monkeypatch.setattr(FilmCutter, "cut", lambda *args: (pieces.append(args[1]), cut(*args)))

    done = await client.captions.caption_long(film, **PROMPTS)

    assert done.is_complete
    assert sorted(one.start_time for one in pieces) == [0.0, 190.0]
    assert service.account.paid == 2


async def test_without_a_receiver_the_captions_come_in_the_replies(service, film, ledger):
    """Also on the client that blocks."""
    async with service.client(ledger=ledger) as client:
        first = await client.captions.caption_long(film, **PROMPTS)
        with service.blocking_client(ledger=ledger) as blocking:
            again = await asyncio.to_thread(blocking.captions.caption_long, film, **PROMPTS)

    assert first.is_complete
    assert again == first
    assert {seen.route for seen in service.request_log} == {"captions.upload_file_sync"}
    assert service.account.paid == 2


async def test_a_short_film_is_sent_as_it_is(client, service, tmp_path):
    """It is the same call as without cutting."""
    path = write_film(tmp_path / "short.mp4", seconds=25)

    plan = await client.captions.plan_long(path)
    whole = await client.captions.caption_long(path, **PROMPTS)
    alone = await client.captions.caption_file(path, **PROMPTS)

    assert (plan.is_whole, len(plan.pieces)) == (True, 1)
    assert whole.text == alone.text
    assert service.account.paid == 1


async def test_mistakes_are_raised_before_anything_is_sent(client, service, tmp_path, film):
    """No film, no prompt, another film's plan."""
    (tmp_path / "text.mp4").write_text("no film")

    with pytest.raises(ValueError, match="video cannot be read"):
        await client.captions.caption_long(tmp_path / "text.mp4", **PROMPTS)
    with pytest.raises(ValueError, match="user_prompt must not be empty"):
        await client.captions.caption_long(film, user_prompt="", system_prompt="s")
    plan = evolve(await client.captions.plan_long(film), size=1)
    with pytest.raises(ValueError, match="plan is of another file"):
        await client.captions.caption_long(film, **PROMPTS, plan=plan)
    assert service.account.calls == 0


async def test_a_piece_without_room_on_the_disk_costs_no_other_its_caption(
    service, film, monkeypatch
):
    """It fails while another one is being captioned."""
    make = tempfile.TemporaryFile
    files = iter([make])

    def make_one(**options):
        return next(files, lambda **_: Path("/nowhere/x").open("wb"))(**options)

    monkeypatch.setattr(tempfile, "TemporaryFile", make_one)
    async with service.client() as client:
        plan = await client.captions.plan_long(film)
        short = tuple(Piece(start_time=at, end_time=at + 20, at_cut=True) for at in (0.0, 20.0))
        done = await client.captions.caption_long(film, **PROMPTS, plan=evolve(plan, pieces=short))

    assert sorted(piece.caption is None for piece in done.pieces) == [False, True]
    assert [type(piece.error) for piece in done.pieces if piece.error] == [NotSent]
    assert service.account.paid == 1


async def test_the_error_that_may_be_billed_is_raised(service, film, monkeypatch):
    """Not that of the first piece, which was refused."""
    answers = iter([Refused("no"), OutcomeUnknown("lost"), Refused("no")])

    async def send(*_):
        raise next(answers)

    monkeypatch.setattr(_LongJob, "send", send)
    async with service.client() as client:
        plan = evolve(
            await client.captions.plan_long(film),
            pieces=tuple(
                Piece(start_time=at, end_time=at + 20, at_cut=True) for at in (0.0, 20.0, 40.0)
            ),
        )
        with pytest.raises(OutcomeUnknown) as caught:
            await client.captions.caption_long(film, **PROMPTS, plan=plan)
    assert caught.value.billed == "maybe"


async def test_a_spent_budget_ends_the_cutting(service, film, monkeypatch):
    """What every piece would meet is asked for once."""
    cut, pieces = FilmCutter.cut, []
    monkeypatch.setattr(FilmCutter, "cut", lambda *args: (pieces.append(args[1]), cut(*args)))
    plan = FilmCutter(film, captions.MAX_VIDEO_SIZE).plan()
    short = tuple(
        Piece(start_time=20.0 * at, end_time=20.0 * at + 20, at_cut=True) for at in range(12)
    )
    service.faults.add(kind="status", status=402, route="captions.upload_file_sync", times=None)

    async with service.client() as client:
        with pytest.raises(InsufficientCredits):
            await client.captions.caption_long(film, **PROMPTS, plan=evolve(plan, pieces=short))

    # Those that were under way when the first refusal came.
    assert len(pieces) <= 5


async def test_a_callback_of_the_caller_that_raises_ends_nothing(service, film, caplog):
    """Like the callback that is told of an upload's progress."""
    plan = FilmCutter(film, captions.MAX_VIDEO_SIZE).plan()
    short = (Piece(start_time=0.0, end_time=20.0, at_cut=True),)
    async with service.client() as client:
        done = await client.captions.caption_long(
            film, **PROMPTS, plan=evolve(plan, pieces=short), on_piece=lambda _: 1 // 0
        )

    assert done.is_complete
    assert "on_piece raised" in caplog.text


async def test_a_film_without_pictures_is_an_error_and_no_endless_wait(service, film, monkeypatch):
    """Such as one that was overwritten after it was planned."""
    plan = FilmCutter(film, captions.MAX_VIDEO_SIZE).plan()
    monkeypatch.setattr(_Film, "frames", lambda _: iter(()))
    async with service.client() as client:
        with pytest.raises(NotSent, match="video has no pictures"):
            await client.captions.caption_long(film, **PROMPTS, plan=plan)
