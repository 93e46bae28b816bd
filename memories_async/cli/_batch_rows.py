"""The calls of a batch from a table, a row each. A row that is wrong is reported and skipped."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import click
from attrs import define, field, frozen

from memories_async import Call, Flow, Person, assets, captions, clips, embeddings, videos
from memories_async._protocol import wire_json
from memories_async.cli._options import is_url
from memories_async.cli._tables import Columns, Row, read_table


@frozen(kw_only=True)
class RowFormat:
    """How the rows of a command become calls."""

    build: Callable[[Row], Call[Any] | Flow[Any]]
    columns: Columns


@frozen(kw_only=True)
class TableRow:
    """One row of a table, with what options fill in."""

    number: int
    """Counts from 1."""
    key: str
    fields: Row


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
    _count: int = field(init=False)

    def __attrs_post_init__(self) -> None:
        # The whole table is checked before the first call is sent.
        self._count = sum(1 for _ in self.read())

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[tuple[str, Call[Any] | Flow[Any]]]:
        self.invalid = 0
        for row in self.read():
            yield from self.build(row)

    def build(self, row: TableRow) -> Iterator[tuple[str, Call[Any] | Flow[Any]]]:
        """Build the call of *row*; nothing for a row that is wrong, which is reported."""
        with self.reject(row):
            yield row.key, self.format.build(row.fields)

    @contextmanager
    def reject(self, row: TableRow) -> Generator[None]:
        """Report an error of *row*, and count it, instead of raising it."""
        try:
            yield
        except (KeyError, TypeError, ValueError) as error:
            self.invalid += 1
            reason = f"no {error}" if isinstance(error, KeyError) else error
            self.report(f"{self.path.name}, row {row.number}: {reason}")

    def read(self) -> Iterator[TableRow]:
        """Read the rows. Raises `click.UsageError` for a file that is no table."""
        try:
            rows = enumerate(read_table(self.path, self.format.columns, self.defaults), 1)
            for number, row in rows:
                full = {**self.defaults, **row}
                yield TableRow(number=number, key=str(row.get("key", number)), fields=full)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise click.UsageError(f"--from {self.path}: {reason}; nothing was sent") from error


def build_search(row: Row) -> Call[Any] | Flow[Any]:
    """Build a search from `image`, `video_no` or `file`, `prompt`, `unique_id`."""
    options = {"prompt": row["prompt"], "unique_id": row.get("unique_id", "default")}
    if "file" in row and "video_no" not in row:
        return clips.search_file(row["image"], video=row["file"], **options)
    return clips.search(row["image"], video_no=row["video_no"], **options)


def build_embedding(row: Row) -> Call[Any] | Flow[Any]:
    """Build an embedding from `asset_id` or `file`, `model`."""
    model = row.get("model", embeddings.DEFAULT_MODEL)
    if "file" in row and "asset_id" not in row:
        return embeddings.video_file(row["file"], model=model)
    return embeddings.video(row["asset_id"], model=model)


def build_video(row: Row) -> Call[Any]:
    """Build the upload of a video from `file`, `unique_id`."""
    return videos.upload(row["file"], unique_id=row.get("unique_id", "default"))


def build_asset(row: Row) -> Call[Any]:
    """Build the upload of an asset from `file`."""
    return assets.upload(row["file"])


def build_caption(row: Row, *, is_sync: bool = False) -> Call[Any]:
    """Build a caption from `video` (a URL or a file), prompts, `persons`, `thinking`, `tag`, `callback`.

    The caption is in the reply if *is_sync*, without a `callback`.
    """
    video, arguments = str(row["video"]), read_caption_arguments(row)
    if is_sync:
        build = captions.upload_sync if is_url(video) else captions.upload_file_sync
        return build(video, **arguments)
    submit = captions.upload if is_url(video) else captions.upload_file
    return submit(video, callback=row["callback"], **arguments)


def read_caption_arguments(row: Row) -> dict[str, Any]:
    """Read what a row says of its caption beside the video."""
    by_url = is_url(str(row["video"]))
    return {
        "user_prompt": row["user_prompt"],
        "system_prompt": row["system_prompt"],
        "persons": [
            Person(name, url=picture) if by_url else Person(name, image=picture)
            for name, picture in parse_persons(row.get("persons"))
        ],
        "thinking": str(row.get("thinking", "")).lower() in {"1", "true", "yes"},
        "tag": None if row.get("tag") is None else str(row["tag"]),
    }


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
)
EMBEDDINGS = RowFormat(
    build=build_embedding,
    columns=Columns(required=(("asset_id", "file"),), optional=("model",)),
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
SYNC_CAPTIONS = RowFormat(
    build=partial(build_caption, is_sync=True),
    columns=Columns(
        required=(("video",), ("user_prompt",), ("system_prompt",)),
        optional=("persons", "thinking", "tag"),
    ),
)
