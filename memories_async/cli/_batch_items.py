"""A batch's items from a file: one row, one call. A row that is wrong is told, and left out."""

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
Build = Callable[[Row], Call[Any]]


@define(eq=False)
class Items:
    """The calls of a `.csv` or `.jsonl` file, read as they are needed, and again if asked."""

    path: Path
    defaults: Row
    """What holds for every row that does not say otherwise."""
    build: Build
    wrong: Callable[[str], None]
    """Told of each row that no call can be made of."""
    invalid: int = field(default=0, init=False)
    _count: int = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._count = sum(1 for _ in self._rows())

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[tuple[str, Call[Any]]]:
        self.invalid = 0
        for number, row in self._rows():
            given = {name: value for name, value in row.items() if value not in (None, "")}
            try:
                yield str(given.get("key", number)), self.build({**self.defaults, **given})
            except (KeyError, TypeError, ValueError) as error:
                self.invalid += 1
                reason = f"no {error}" if isinstance(error, KeyError) else error
                self.wrong(f"{self.path.name}, row {number}: {reason}")

    def _rows(self) -> Iterator[tuple[int, Row]]:
        read = _ROWS.get(self.path.suffix.lower())
        if read is None:
            raise click.UsageError(f"--from must name a .csv or .jsonl file, not {self.path.name}")
        try:
            yield from enumerate(read(self.path), 1)
        except (OSError, ValueError, csv.Error) as error:
            raise click.UsageError(f"{self.path} cannot be read: {error}") from error


def _csv(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        yield from csv.DictReader(file)


def _jsonl(path: Path) -> Iterator[Row]:
    with path.open("rb") as file:
        for line in file:
            if line.strip():
                row = json.loads(line)
                if not wire_json.is_object(row):
                    raise ValueError("every line must be a JSON object")
                yield row


_ROWS = {".csv": _csv, ".jsonl": _jsonl}


def search(row: Row) -> Call[Any]:
    """Build a search from `image`, `video_no`, `prompt`, `unique_id`."""
    return clips.search(
        row["image"],
        prompt=row["prompt"],
        video_no=row["video_no"],
        unique_id=row.get("unique_id", "default"),
    )


def embed(row: Row) -> Call[Any]:
    """Build an embedding from `asset_id`, `model`."""
    return embeddings.video(row["asset_id"], model=row.get("model", embeddings.DEFAULT_MODEL))


def caption(row: Row) -> Call[Any]:
    """Build a caption from `video` (a URL or a file), prompts, `callback`, `persons`."""
    video = str(row["video"])
    by_url = video.startswith(("http://", "https://"))
    asked: dict[str, Any] = {
        "user_prompt": row["user_prompt"],
        "system_prompt": row["system_prompt"],
        "callback": row["callback"],
        "persons": [*_people(row.get("persons"), by_url=by_url)],
        "thinking": str(row.get("thinking", "")).lower() in {"1", "true", "yes"},
    }
    return captions.upload(video, **asked) if by_url else captions.upload_file(video, **asked)


def _people(given: Any, *, by_url: bool) -> Iterator[Person]:
    """Read `Alice=alice.png;Bob=bob.png`, or a JSON object of names and pictures."""
    pairs = given.items() if wire_json.is_object(given) else _pairs(str(given or ""))
    for name, picture in pairs:
        yield Person(name, url=picture) if by_url else Person(name, image=picture)


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    for pair in filter(None, text.split(";")):
        name, equals, picture = pair.partition("=")
        if not equals:
            raise ValueError(f"persons must be NAME=PICTURE;NAME=PICTURE, not {pair!r}")
        yield name.strip(), picture.strip()
