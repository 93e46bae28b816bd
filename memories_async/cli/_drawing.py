"""What `search --picture` needs: looked after before the search is paid, drawn after it."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
from attrs import frozen

from memories_async import Clip
from memories_async.cli._local import starting
from memories_async.cli._screen import Screen, clean

_TYPES = (".png", ".jpg", ".jpeg")
_PATIENCE = 5.0
"""Seconds for the embedded service to name a file."""
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


@frozen(kw_only=True)
class Drawing:
    """A picture to be drawn of an answer that is still to come."""

    image: Path
    prompt: str
    video: Path
    out: Path

    @classmethod
    def prepared(cls, *, image: Path, prompt: str, video: Path, out: Path) -> Drawing:
        """Check all that can be checked before. Raises `click.UsageError`."""
        if out.suffix.lower() not in _TYPES:
            raise click.UsageError(f"--picture must name a .png or .jpg file, not {out.name}")
        if not out.parent.is_dir():
            raise click.UsageError(f"--picture: there is no folder {out.parent}")
        with starting():
            from memories_async.local.engine.protocol import EngineError
            from memories_async.local.engine.video.film import Film
            from memories_async.local.engine.video.picture import decode
        try:
            decode(image.read_bytes())
            with Film.open(video) as film:
                next(film.frames(1.0))
        except EngineError as error:
            raise click.UsageError(f"--picture cannot be drawn: {error}") from error
        return cls(image=image, prompt=prompt, video=video, out=out)

    def draw(self, screen: Screen, found: tuple[Clip, ...]) -> bool:
        """Draw it, and tell whether that could be done; the answer was shown before."""
        from memories_async.cli._picture import Searched, draw
        from memories_async.local.engine.protocol import EngineError

        asked = Searched(image=self.image, prompt=self.prompt, video=self.video, clips=found)
        try:
            with screen.waiting("drawing ..."):
                draw(asked, self.out)
        except (EngineError, OSError) as error:
            # Also beside --json, whose document is written already.
            screen.err.print(clean(f"the picture could not be drawn: {error}"), soft_wrap=True)
            return False
        screen.note(f"drawn: {self.out}")
        return True


def local_file(url: str, video_no: str) -> Path:
    """Ask the embedded service at *url* for the file of a video. Raises `click.UsageError`."""
    path = _named(url, video_no) if urlsplit(url).hostname in _LOOPBACK else None
    if path is None or not path.is_file():
        raise click.UsageError(f"--picture needs the file of {video_no}: add --video FILE")
    return path


def _named(url: str, video_no: str) -> Path | None:
    # Whatever proxy is set, this stays on the machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{url.rstrip('/')}/_local/library", timeout=_PATIENCE) as reply:
            listed: Any = json.load(reply)
        return next((Path(one["path"]) for one in listed if one["video_no"] == video_no), None)
    except (OSError, ValueError, LookupError, TypeError):
        return None  # whatever listens there, it is not our service
