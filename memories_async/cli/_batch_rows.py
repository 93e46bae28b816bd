"""The calls of a batch from a table, a row each. A row that is wrong is reported and skipped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import click
from attrs import define, field, frozen

from memories_async import Call, Person, assets, captions, clips, embeddings, videos
from memories_async._protocol import wire_json
from memories_async.cli._tables import Columns, Row, read_table


@frozen(kw_only=True)
class RowFormat:
    """How the rows of a command become calls."""

    build: Callable[[Row], Call[Any]]
    columns: Columns
    id_column: str = ""
    """The column of the video or asset that a row with a `file` leaves out: it is uploaded first."""
    upload: Callable[[Row], Call[Any]] | None = None
    """Builds the upload of a row's `file`."""


@define(eq=False)
class Rows:
    """The calls of a table, read as they are needed; may be read again."""

    path: Path
    defaults: Row
    """What holds for each row that does not say otherwise."""
    format: RowFormat
    report: Callable[[str], None]
    """Called with a message for each row that is wrong."""
    invalid: int = field(default=0, init=False)
    ids: dict[str, str] = field(factory=dict[str, str], init=False)
    """The ids of uploaded files, by their keys in `list_uploads`."""
    _count: int = field(init=False)

    def __attrs_post_init__(self) -> None:
        # The whole table is checked before the first call is sent.
        self._count = sum(1 for _ in self._read())

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[tuple[str, Call[Any]]]:
        self.invalid = 0
        for number, row in enumerate(self._read(), 1):
            try:
                call = self.format.build(self._fill_in({**self.defaults, **row}))
            except (KeyError, TypeError, ValueError) as error:
                self.invalid += 1
                reason = f"no {error}" if isinstance(error, KeyError) else error
                self.report(f"{self.path.name}, row {number}: {reason}")
            else:
                yield str(row.get("key", number)), call

    def list_uploads(self) -> dict[str, Callable[[], Call[Any]]]:
        """List the uploads that rows with a `file` need, each file of a scope once."""
        uploads: dict[str, Callable[[], Call[Any]]] = {}
        if self.format.upload is not None:
            for row in self._read():
                whole = {**self.defaults, **row}
                if "file" in whole and self.format.id_column not in whole:
                    uploads[name_upload(whole)] = partial(self.format.upload, whole)
        return uploads

    def _fill_in(self, row: dict[str, Any]) -> Row:
        """Fill in the id of an uploaded file."""
        name = self.format.id_column
        if name and "file" in row and name not in row:
            number = self.ids.get(name_upload(row))
            if number is None:
                raise ValueError(f"{row['file']} was not uploaded")
            row[name] = number
        return row

    def _read(self) -> Iterator[Row]:
        try:
            yield from read_table(self.path, self.format.columns, self.defaults)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise click.UsageError(f"--from {self.path}: {reason}; nothing was sent") from error


def name_upload(row: Row) -> str:
    """Name the upload of a row's file: files of another scope are other videos."""
    scope = row.get("unique_id", "default")
    return str(row["file"]) if scope == "default" else f"{row['file']} in {scope}"


def build_search(row: Row) -> Call[Any]:
    """Build a search from `image`, `video_no`, `prompt`, `unique_id`."""
    return clips.search(
        row["image"],
        prompt=row["prompt"],
        video_no=row["video_no"],
        unique_id=row.get("unique_id", "default"),
    )


def build_embedding(row: Row) -> Call[Any]:
    """Build an embedding from `asset_id`, `model`."""
    return embeddings.video(row["asset_id"], model=row.get("model", embeddings.DEFAULT_MODEL))


def build_video(row: Row) -> Call[Any]:
    """Build the upload of a video from `file`, `unique_id`."""
    return videos.upload(row["file"], unique_id=row.get("unique_id", "default"))


def build_asset(row: Row) -> Call[Any]:
    """Build the upload of an asset from `file`."""
    return assets.upload(row["file"])


def build_caption(row: Row) -> Call[Any]:
    """Build a caption from `video` (a URL or a file), prompts, `callback`, `persons`, `thinking`, `tag`."""
    video = str(row["video"])
    by_url = video.startswith(("http://", "https://"))
    persons = [
        Person(name, url=picture) if by_url else Person(name, image=picture)
        for name, picture in parse_persons(row.get("persons"))
    ]
    build = captions.upload if by_url else captions.upload_file
    return build(
        video,
        user_prompt=row["user_prompt"],
        system_prompt=row["system_prompt"],
        callback=row["callback"],
        persons=persons,
        thinking=str(row.get("thinking", "")).lower() in {"1", "true", "yes"},
        tag=None if row.get("tag") is None else str(row["tag"]),
    )


def parse_persons(given: Any) -> Iterator[tuple[str, Any]]:
    """Parse `Alice=alice.png;Bob=bob.png`, or a JSON object of names and pictures."""
    if wire_json.is_object(given):
        yield from given.items()
        return
    for pair in filter(None, str(given or "").split(";")):
        name, equals, picture = pair.partition("=")
        if not equals:
            raise ValueError(f"persons must be NAME=PICTURE;NAME=PICTURE, not {pair!r}")
        yield name.strip(), picture.strip()


SEARCHES = RowFormat(
    build=build_search,
    columns=Columns(
        required=(("image",), ("video_no", "file"), ("prompt",)), optional=("unique_id",)
    ),
    id_column="video_no",
    upload=build_video,
)
EMBEDDINGS = RowFormat(
    build=build_embedding,
    columns=Columns(required=(("asset_id", "file"),), optional=("model",)),
    id_column="asset_id",
    upload=build_asset,
)
VIDEOS = RowFormat(
    build=build_video, columns=Columns(required=(("file",),), optional=("unique_id",))
)
ASSETS = RowFormat(build=build_asset, columns=Columns(required=(("file",),)))
CAPTIONS = RowFormat(
    build=build_caption,
    columns=Columns(
        required=(("video",), ("user_prompt",), ("system_prompt",), ("callback",)),
        optional=("persons", "thinking", "tag"),
    ),
)
