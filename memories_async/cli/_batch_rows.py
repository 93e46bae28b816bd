"""The calls of a batch from a file, a row each. A row that is wrong is reported and skipped."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click
from attrs import define, field

from memories_async import Call, Person, captions, clips, embeddings
from memories_async._protocol import wire_json

Row = Mapping[str, Any]


@define(eq=False)
class Rows:
    """The calls of a `.csv` or `.jsonl` file, read as they are needed; may be read again."""

    path: Path
    defaults: Row
    """What holds for each row that does not say otherwise."""
    build: Callable[[Row], Call[Any]]
    report: Callable[[str], None]
    """Called with a message for each row that is wrong."""
    invalid: int = field(default=0, init=False)
    _count: int = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._count = sum(1 for _ in self._read())

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[tuple[str, Call[Any]]]:
        self.invalid = 0
        for number, row in self._read():
            given = {name: value for name, value in row.items() if value not in (None, "")}
            try:
                yield str(given.get("key", number)), self.build({**self.defaults, **given})
            except (KeyError, TypeError, ValueError) as error:
                self.invalid += 1
                reason = f"no {error}" if isinstance(error, KeyError) else error
                self.report(f"{self.path.name}, row {number}: {reason}")

    def _read(self) -> Iterator[tuple[int, Row]]:
        read = _READERS.get(self.path.suffix.lower())
        if read is None:
            raise click.UsageError(f"--from must name a .csv or .jsonl file, not {self.path.name}")
        try:
            yield from enumerate(read(self.path), 1)
        except (OSError, ValueError, csv.Error) as error:
            raise click.UsageError(f"{self.path} cannot be read: {error}") from error


def read_csv(path: Path) -> Iterator[Row]:
    """Read a `.csv` file with a header."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        yield from csv.DictReader(file)


def read_jsonl(path: Path) -> Iterator[Row]:
    """Read a `.jsonl` file, one JSON object a line."""
    with path.open("rb") as file:
        for line in file:
            if line.strip():
                row = json.loads(line)
                if not wire_json.is_object(row):
                    raise ValueError("every line must be a JSON object")
                yield row


_READERS = {".csv": read_csv, ".jsonl": read_jsonl}


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


def build_caption(row: Row) -> Call[Any]:
    """Build a caption from `video` (a URL or a file), prompts, `callback`, `persons`, `thinking`."""
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
