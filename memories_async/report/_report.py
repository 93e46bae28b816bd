"""One HTML file of a ledger or of one search, which needs no network and no other file but videos."""

from __future__ import annotations

import hashlib
import os
import tempfile
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Self

from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup

from memories_async.captions import Caption
from memories_async.clips import Clip
from memories_async.ledger import Ledger
from memories_async.report._content import (
    MOST_UNKNOWN,
    Content,
    SearchItem,
    read_ledger,
    sort_clips,
)
from memories_async.report._map import RADIUS, SIZE, VectorMap, build_map
from memories_async.report._page import CHART, PageBuilder, build_chart, clean, format_moment
from memories_async.report._picture import STILL, draw_search
from memories_async.report._pictures import PICTURE_BYTES, Pictures, convert_to_jpeg
from memories_async.report._timeline import BAND

MAX_PAGE = 5_000_000
"""Bytes of a page without its embedded clips, at most."""
_TEMPLATES = {
    "page": "page.html.j2",
    "timeline": "timeline.svg.j2",
    "picture": "picture.svg.j2",
}
_TEXTS = (4000, 1000, 200, 60)
"""Characters of a text that are shown: fewer where the page would be too large."""
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg")
"""What a picture's file ends in."""


class Report:
    """A page of what was asked, found and spent.

    It shows calls and costs, each search with a timeline and clips that play, captions, the map of the
    embeddings, likely duplicates, and the calls whose outcome is unknown. The page is one HTML file with
    a strict content security policy. It loads nothing from a network, and works from a folder.

    *media* says where the files are: a mapping of `video_no`, `asset_id`, the batch's key or the
    hash of a file's content to a path; `index_media` builds one. What has no file is shown without
    pictures. Clips play from these files, so they have to stay where they are, as seen from the page;
    with *embed_clips* the page carries the seconds of each clip, at most 15 of them and 24 MB in all.
    *captions* are those that came by callback, by their `task_id`.

    Nothing is sent, nothing is charged, and the ledger is not changed. Long lists are cut, which the page
    says; without clips it is at most 5 MB. It has prompts and answers in it, which are personal data.
    """

    def __init__(
        self,
        ledger: Ledger | None = None,
        *,
        media: Mapping[str, str | os.PathLike[str]] | None = None,
        captions: Mapping[str, Caption] | None = None,
        title: str | None = None,
        embed_clips: bool = False,
    ) -> None:
        self._ledger = ledger
        self._media = {key: Path(path) for key, path in (media or {}).items()}
        self._captions = dict(captions or {})
        self._search: SearchItem | None = None
        self._embed_clips = embed_clips
        name = "" if ledger is None or ledger.path is None else ledger.path.name
        self.title: str = title or (f"Report of {name}" if name else "Report")
        """The heading of the page."""

    @classmethod
    def of_search(
        cls,
        image: bytes | str | os.PathLike[str],
        *,
        prompt: str,
        video_no: str,
        clips: Iterable[Clip],
        video: str | os.PathLike[str] | None = None,
        embed_clips: bool = False,
    ) -> Self:
        """Make the page of one search that was answered with *clips*; *video* is the film's file."""
        made = cls(
            media={} if video is None else {video_no: video},
            title=f"Search in {video_no if video is None else Path(video).name}",
            embed_clips=embed_clips,
        )
        picture = image if isinstance(image, bytes) else Path(image).read_bytes()
        found = sort_clips(tuple(clips))
        made._search = SearchItem(prompt=prompt, video=video_no, image=picture, clips=found)
        return made

    def render(
        self,
        folder: str | os.PathLike[str] | None = None,
        *,
        progress: Callable[[int, int], None] | None = None,
    ) -> str:
        """Return the page as text; paths of videos are relative to *folder*, else absolute.

        *progress* is called with the searches, captions and embeddings that are drawn so far, and with
        their number.

        Raises `DatabaseFailed` where the ledger cannot be read.
        """
        content = self._read()
        pictures, page = Pictures(), ""
        for text in _TEXTS:
            pictures.left, pictures.left_out = PICTURE_BYTES, 0
            pictures.clip_left = Pictures().clip_left
            builder = PageBuilder(
                content=content,
                media=self._media,
                pictures=pictures,
                folder=None if folder is None else Path(folder),
                embed_clips=self._embed_clips,
                progress=progress,
            )
            page = self._fill(builder, text)
            clip_bytes = Pictures().clip_left - pictures.clip_left
            if len(page.encode()) - clip_bytes <= MAX_PAGE:
                break
        return page

    def write(
        self,
        path: str | os.PathLike[str],
        *,
        progress: Callable[[int, int], None] | None = None,
    ) -> Path:
        """Write the page to *path*, readable by its owner only; return the path.

        *progress* is called as in `render`.

        The file appears when it is complete, and replaces one that is there. Raises `OSError` where it
        cannot be written, and `DatabaseFailed` where the ledger cannot be read.
        """
        return _replace(Path(path), self.render(Path(path).parent, progress=progress).encode())

    def draw(self) -> bytes:
        """Draw the newest search as one still image, a PNG file 1,920 pixels wide.

        It has what the page shows of that search: query picture, prompt, strip of stills, timeline with
        scores, and the six best clips. Raises `ValueError` where there is no search, `ModuleNotFoundError`
        without resvg-py, and `DatabaseFailed` where the ledger cannot be read.
        """
        content = self._read()
        if not content.searches:
            raise ValueError(f"{self.title} has no search that was answered: nothing to draw")
        builder = PageBuilder(
            content=content, media=self._media, pictures=Pictures(wide=STILL), folder=None
        )
        search = builder.build_search("s0", content.searches[-1])
        return draw_search(search, _environment(_TEXTS[0]), _read("page.css"))

    def write_picture(self, path: str | os.PathLike[str]) -> Path:
        """Draw the newest search into *path*, a .png or .jpg file, as `draw` does; return the path.

        The file appears when it is complete, readable by its owner only, and replaces one that is there.
        Raises `ValueError` for another suffix, `OSError` where it cannot be written, and what `draw`
        raises.
        """
        target = Path(path)
        suffix = target.suffix.lower()
        if suffix not in PICTURE_SUFFIXES:
            raise ValueError(f"path must end in .png or .jpg, not {target.name!r}")
        drawn = self.draw()
        return _replace(target, drawn if suffix == ".png" else convert_to_jpeg(drawn))

    def _read(self) -> Content:
        content = Content() if self._ledger is None else read_ledger(self._ledger, self._captions)
        if self._search is not None:
            content.add_search(self._search)
        return content

    def _fill(self, builder: PageBuilder, text: int) -> str:
        content = builder.content
        searches, captions = builder.build_searches(), builder.build_captions()
        vectors = VectorMap()
        if self._ledger is not None and content.embedding_count:
            vectors = build_map(self._ledger, builder.find_name, builder.find_still)
        style, script = _read("page.css"), _read("page.js")
        return (
            _environment(text)
            .get_template("page")
            .render(
                title=self.title,
                content=content,
                summary=content.summary,
                states=_list_states(content),
                first=format_moment(content.first),
                last=format_moment(content.last),
                chart=build_chart(content),
                chart_size=CHART,
                searches=searches,
                captions=captions,
                vectors=vectors,
                map_size=SIZE,
                radius=RADIUS,
                most_unknown=MOST_UNKNOWN,
                unknown=[*reversed(content.unknown)],
                pictures=builder.pictures,
                missing=sorted(builder.missing),
                band=BAND,
                linked=builder.linked,
                moment=format_moment,
                style=Markup(style),  # noqa: S704  # a file of this package
                script=Markup(script),  # noqa: S704
                policy=Markup(_build_policy(style, script)),  # noqa: S704
            )
        )


def _list_states(content: Content) -> list[str]:
    """List the states that calls are in: `done` always, and the others that occur."""
    calls = () if content.summary is None else content.summary.by_call.values()
    known = {str(state) for counts in calls for state, count in counts.items() if count}
    states = ("done", "unknown", "refused", "planned", "sending")
    return [state for state in states if state == "done" or state in known]


def _replace(target: Path, content: bytes) -> Path:
    """Write a file that is whole when it appears."""
    number, draft = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(number, "wb") as file:
            file.write(content)
        Path(draft).replace(target)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
    return target


def _environment(text: int) -> Environment:
    """Make the environment: everything is escaped, cleaned of control characters, and cut."""

    def finalize(value: object) -> object:
        # What this package made, such as the data of a picture, is Markup.
        if not isinstance(value, str) or isinstance(value, Markup):
            return value
        return clean(value if len(value) <= text else f"{value[:text]} ...")

    return Environment(
        loader=DictLoader({name: _read(file) for name, file in _TEMPLATES.items()}),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _build_policy(style: str, script: str) -> str:
    """Build the content security policy: this script, this style, pictures inside, videos of files."""
    hashes = [
        f"'sha256-{b64encode(hashlib.sha256(one.encode()).digest()).decode()}'"
        for one in (style, script)
    ]
    return (
        f"default-src 'none'; style-src {hashes[0]}; script-src {hashes[1]}; img-src data:;"
        " media-src 'self' file: data:; base-uri 'none'; form-action 'none'"
    )


def _read(name: str) -> str:
    return files("memories_async.report").joinpath(name).read_text(encoding="utf-8")
