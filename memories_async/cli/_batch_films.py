"""The films of a batch that are too long or too large for one caption: their pieces, and joining them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from attrs import define, field, frozen

from memories_async import Call, Flow, LongCaption, captions, media
from memories_async._flows.long_captions import PieceCalls, PieceSlots, make_cutter
from memories_async.cli._batch_rows import Rows, TableRow, read_caption_arguments
from memories_async.cli._options import is_url
from memories_async.errors import MemoriesError
from memories_async.film import FilmPlan, Piece, PieceCaption
from memories_async.film._values import join_captions


@define(eq=False)
class FilmCaptions:
    """The captions of the pieces of one film, as they come."""

    key: str
    """The key of its row."""
    plan: FilmPlan
    tag: str | None
    _ended: dict[Piece, PieceCaption] = field(factory=dict[Piece, PieceCaption], init=False)

    def add(self, piece: Piece, answer: captions.Caption | Exception | None) -> LongCaption | None:
        """Add what a piece came to; return the caption of the whole once all of them are there."""
        ended = PieceCaption(
            start_time=piece.start_time,
            end_time=piece.end_time,
            caption=answer if isinstance(answer, captions.Caption) else None,
            error=answer if isinstance(answer, MemoriesError) else None,
        )
        self._ended[piece] = ended
        if len(self._ended) < len(self.plan.pieces):
            return None
        return join_captions(tuple(self._ended[one] for one in self.plan.pieces), self.tag)


@frozen
class FilmPiece:
    """A piece that is an item of the batch, and the film that it belongs to."""

    film: FilmCaptions
    piece: Piece


@define(eq=False)
class FilmRows:
    """The calls of a table of captions, each film that does not fit as several. Has no length.

    Such films come after all other rows, which do not wait until they are cut.
    """

    rows: Rows
    is_sync: bool
    films: dict[str, FilmCaptions] = field(factory=dict[str, FilmCaptions], init=False)
    """The films that were cut and have not got all their captions, by the keys of their rows."""
    pieces: dict[str, FilmPiece] = field(factory=dict[str, FilmPiece], init=False)
    """Their pieces, by the keys of the items."""
    slots: PieceSlots = field(factory=PieceSlots, init=False)

    @property
    def invalid(self) -> int:
        """How many rows are wrong."""
        return self.rows.invalid

    def __iter__(self) -> Iterator[tuple[str, Call[Any] | Flow[Any]]]:
        self.films, self.pieces, self.rows.invalid = {}, {}, 0
        long = list[TableRow]()
        for row in self.rows.read():
            whole = list[TableRow]()
            with self.rows.reject(row):
                (long if self._is_long(row) else whole).append(row)
            for one in whole:
                yield from self.rows.build(one)
        for row in long:
            with self.rows.reject(row):
                yield from self._build_pieces(row)

    def _is_long(self, row: TableRow) -> bool:
        video = str(row.fields["video"])
        has_callback = not self.is_sync and row.fields.get("callback") is not None
        if has_callback or is_url(video):
            return False
        return not make_cutter(video, captions.MAX_VIDEO_SIZE).fits()

    def _build_pieces(self, row: TableRow) -> list[tuple[str, Call[Any]]]:
        if row.key in self.films:
            raise ValueError(f"the key {row.key} is that of another film")
        arguments = read_caption_arguments(row.fields)

        def build(video: media.Source) -> Call[Any]:
            if self.is_sync:
                return captions.upload_file_sync(video, **arguments)
            return captions.upload_file(video, **arguments)

        build(b"-")  # a mistake in an argument is reported before the film is decoded
        cutter = make_cutter(str(row.fields["video"]), captions.MAX_VIDEO_SIZE)
        plan = cutter.plan()
        calls = PieceCalls.read(cutter, build, self.slots)
        film = self.films[row.key] = FilmCaptions(row.key, plan, arguments["tag"])
        items = [
            (f"{row.key} {piece.start_time:g}-{piece.end_time:g} s", piece) for piece in plan.pieces
        ]
        self.pieces |= {key: FilmPiece(film, piece) for key, piece in items}
        return [(key, calls.build_call(piece, plan)) for key, piece in items]

    def describe(self) -> list[dict[str, Any]]:
        """Describe the films that were cut, and where."""
        return [{"key": key, **film.plan.to_dict()} for key, film in self.films.items()]

    def add(
        self, key: str, answer: captions.Caption | Exception | None
    ) -> tuple[str, LongCaption | None]:
        """Add what an item came to; return its film's key, and with the last item its caption."""
        one = self.pieces.pop(key)
        long = one.film.add(one.piece, answer)
        if long is not None:
            del self.films[one.film.key]
        return one.film.key, long
