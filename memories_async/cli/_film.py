"""The demonstration's film, and the picture that is cut from a film to search it with."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    from memories_async.local.engine.protocol import Facts

_SECONDS = 24
"""Long enough to be captioned: the page asks for 20 seconds."""


@frozen(kw_only=True)
class Cut:
    """A frame of the film, saved as a picture."""

    picture: Path
    time: float
    """Where in the film it is shown, in seconds."""


def rendered(folder: Path) -> Path:
    """Render a film of four scenes into *folder*, unless it was done before."""
    from memories_async.local.engine.video.render import render

    film = folder / f"film-{_SECONDS}.mp4"
    if not film.exists():
        # Half a film is never seen, whoever else is rendering it.
        draft = folder / f"draft-{os.getpid()}.mp4"
        render(draft, seconds=_SECONDS)
        draft.replace(film)
    return film


def middle(facts: Facts) -> float:
    """The middle of the longest scene, in seconds."""
    longest = max(facts.shots, key=lambda shot: shot.end_time - shot.start_time)
    return (longest.start_time + longest.end_time) / 2


def cut(film: Path, *, at: float, folder: Path) -> Cut:
    """Save the frame shown at second *at* as a JPEG in *folder*."""
    from memories_async.local.engine._cv import cv2
    from memories_async.local.engine.video.film import Film

    with Film.open(film) as opened:
        # One frame at each multiple of *at*: the film's first, then the one wanted.
        frames = opened.frames(1 / at)
        first = next(frames)
        frame = next(frames, first)
    picture = folder / f"{film.stem}-{frame.time:.2f}s.jpg"
    if not cv2.imwrite(str(picture), frame.picture):
        raise OSError(f"{picture} cannot be written")
    return Cut(picture=picture, time=frame.time)
