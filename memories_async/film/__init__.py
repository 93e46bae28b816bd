"""Long films: the pieces in which a film is captioned, and the caption of the whole."""

from memories_async.film._plan import FilmPlan, Piece, plan_pieces
from memories_async.film._values import LongCaption, PieceCaption

__all__ = ["FilmPlan", "LongCaption", "Piece", "PieceCaption", "plan_pieces"]
