"""`memories-async samples`: write the film, the picture and the portraits that the examples name."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import click

from memories_async.cli._local import cache_folder, report_start_errors
from memories_async.cli._options import common
from memories_async.cli._run import CommandRun, pass_run

if TYPE_CHECKING:
    from memories_async.local.engine._cv import Picture
    from memories_async.local.engine.video.film import Frame

_EXAMPLES = """\
\b
Examples:
  memories-async samples .
  memories-async samples holiday/ --force
"""
_SECONDS = 24
"""The length of the film: a caption needs at least 20 seconds."""
_QUERY_AT = 21.0
"""The middle of the film's last scene."""
_SKIN = {"alice": (180, 205, 240), "bob": (110, 150, 200)}
"""Blue, green, red."""
_HAIR = {"alice": (30, 60, 110), "bob": (25, 25, 30)}
_SHIRT = {"alice": (40, 40, 200), "bob": (170, 110, 40)}
FILES = ("holiday.mp4", "query.png", "alice.png", "bob.png")


@click.command(epilog=_EXAMPLES)
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Overwrite files of these names.")
@common
@pass_run
def command(run: CommandRun, folder: Path, *, force: bool) -> None:
    """Write the files that the examples name into FOLDER.

    holiday.mp4 is a rendered film of 24 seconds, query.png one of its frames, alice.png and bob.png
    are drawn portraits. Nothing is sent.
    """
    there = [name for name in FILES if (folder / name).exists()]
    if there and not force:
        raise click.UsageError(f"{folder / there[0]} exists: add --force to overwrite it")
    with report_start_errors(), run.screen.status("rendering ..."):
        folder.mkdir(parents=True, exist_ok=True)
        cache = cache_folder() / "demo"
        cache.mkdir(parents=True, exist_ok=True)
        film = render_film(cache)
        shutil.copyfile(film, folder / "holiday.mp4")
        write_picture(folder / "query.png", read_frame(film, at=_QUERY_AT).picture)
        for name in _SKIN:
            write_picture(folder / f"{name}.png", draw_portrait(name))
    run.screen.document({"files": [str(folder / name) for name in FILES]})
    run.screen.facts(
        [
            (str(folder / "holiday.mp4"), f"a film of {_SECONDS} s with 4 scenes"),
            (str(folder / "query.png"), f"its frame at {_QUERY_AT:g} s, to search with"),
            (str(folder / "alice.png"), "a portrait, for captions"),
            (str(folder / "bob.png"), "another portrait"),
        ]
    )


def render_film(folder: Path) -> Path:
    """Render a film of four scenes into *folder*, or return the one that is there."""
    from memories_async.local.engine.video.render import render

    film = folder / f"film-{_SECONDS}.mp4"
    if not film.exists():
        # Another process never sees an unfinished film.
        draft = folder / f"draft-{os.getpid()}.mp4"
        render(draft, seconds=_SECONDS)
        draft.replace(film)
    return film


def read_frame(film: Path, *, at: float) -> Frame:
    """Read the frame shown at second *at*, or the only one."""
    from memories_async.local.engine.video.film import Film

    with Film.open(film) as opened:
        # One frame at each multiple of *at*: the first of the film, then the one asked for.
        frames = opened.frames(1 / at)
        first = next(frames)
        return next(frames, first)


def write_picture(path: Path, picture: Picture) -> None:
    """Write a picture in the format of the file's extension. Raises `OSError`."""
    from memories_async.local.engine._cv import cv2

    if not cv2.imwrite(str(path), picture):
        raise OSError(f"{path} cannot be written")


def draw_portrait(name: str) -> Picture:
    """Draw a face with hair and shoulders before a plain background."""
    from memories_async.local.engine._cv import cv2, np

    size = 256
    picture = np.full((size, size, 3), (222, 214, 205), np.uint8)
    skin, hair, shirt = _SKIN[name], _HAIR[name], _SHIRT[name]
    shapes = (
        ((128, 270), (104, 76), shirt),
        ((128, 108), (66, 74), hair),
        ((128, 190), (22, 34), skin),
        ((128, 122), (52, 64), skin),
        ((108, 112), (7, 5), (40, 40, 40)),
        ((148, 112), (7, 5), (40, 40, 40)),
        ((128, 156), (16, 4), (90, 90, 190)),
    )
    for middle, axes, colour in shapes:
        cv2.ellipse(picture, middle, axes, 0, 0, 360, colour, -1, cv2.LINE_AA)
    return picture
