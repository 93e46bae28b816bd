"""What a page shows, read from a ledger in one pass; what is too much is counted, not kept."""

from __future__ import annotations

import json
import math
from array import array
from collections import deque
from collections.abc import Mapping
from typing import Any

from attrs import define, field, frozen

from memories_async._protocol import wire_json
from memories_async.captions import Caption, read_tokens
from memories_async.clips import Clip
from memories_async.ledger import Entry, Ledger, Summary
from memories_async.ledger._replies import read_data

MOST_SEARCHES, MOST_CAPTIONS, MOST_UNKNOWN = 40, 60, 200
"""How many of each the page shows, the newest; it says how many there are."""


@frozen(kw_only=True)
class SearchItem:
    """A search with its clips, the best first."""

    prompt: str
    video: str
    """The `video_no`."""
    item: str | None = None
    image: str | bytes | None = field(default=None, repr=False)
    """The picture itself, or the hash of its content."""
    clips: tuple[Clip, ...] = ()


@frozen(kw_only=True)
class CaptionItem:
    """A caption, or a submission whose caption the ledger does not have."""

    prompt: str
    source: str | None
    """The hash of the video's content, or its URL."""
    item: str | None = None
    persons: tuple[str, ...] = ()
    task_id: str | None = None
    caption: Caption | None = None


@define(kw_only=True, eq=False)
class Content:
    """What a page shows, before pictures are made of it."""

    summary: Summary | None = None
    searches: deque[SearchItem] = field(factory=lambda: deque[SearchItem](maxlen=MOST_SEARCHES))
    captions: deque[CaptionItem] = field(factory=lambda: deque[CaptionItem](maxlen=MOST_CAPTIONS))
    unknown: deque[Entry] = field(factory=lambda: deque[Entry](maxlen=MOST_UNKNOWN))
    search_count: int = 0
    caption_count: int = 0
    embedding_count: int = 0
    paid_at: array[float] = field(factory=lambda: array("d"))
    """When each paid call ended."""
    first: float = math.inf
    last: float = -math.inf
    """The first and the last request, in Unix seconds."""
    names: dict[str, str] = field(factory=dict[str, str])
    """What is known of a `video_no`, an `asset_id` or the hash of a content: the file's name in the
    library, the URL that it was fetched from, or the batch's key."""
    hashes: dict[str, str] = field(factory=dict[str, str])
    """The hash of the content that became a `video_no` or an `asset_id`."""
    tokens: int = 0

    def add_search(self, search: SearchItem) -> None:
        """Add a search that was answered."""
        self.search_count += 1
        self.searches.append(search)

    def add_caption(self, found: CaptionItem) -> None:
        """Add a caption, with or without its text."""
        self.caption_count += 1
        if found.caption is not None and found.caption.tokens is not None:
            self.tokens += found.caption.tokens.total
        self.captions.append(found)

    def add_entry(self, entry: Entry, captions: Mapping[str, Caption]) -> None:
        """Add one entry of a ledger."""
        times = [time for time in (entry.sent_at, entry.ended_at) if time is not None]
        self.first, self.last = min([self.first, *times]), max([self.last, *times])
        if entry.state == "unknown":
            self.unknown.append(entry)
        if entry.state != "done":
            return
        if entry.ended_at is not None:
            self.paid_at.append(entry.ended_at)
        asked = read_arguments(entry.asked)
        data = None if entry.reply is None else read_data(entry.reply)
        if entry.call.startswith("clips."):
            self.add_search(_read_search(entry, asked, data))
        elif entry.call.startswith("captions."):
            self.add_caption(_read_caption(entry, asked, data, captions))
        elif entry.call.startswith("embeddings."):
            self.embedding_count += 1
            if entry.item is not None:
                self.names.setdefault(_text(asked.get("asset_id")), entry.item)
        elif entry.call.startswith(("videos.", "assets.")):
            self._add_upload(entry, asked, data)

    def _add_upload(self, entry: Entry, asked: Mapping[str, Any], answer: Any) -> None:
        """Remember which content, or URL, became which video."""
        data = answer if wire_json.is_object(answer) else {}
        video = _text(data.get("videoNo") or data.get("asset_id"))
        name = _text(data.get("videoName") or asked.get("url") or entry.item)
        content = _read_hash(asked.get("file"))
        if video and content:
            self.hashes[video] = content
        for known in (video, content):
            if known and name:
                self.names[known] = name


def read_ledger(ledger: Ledger, captions: Mapping[str, Caption]) -> Content:
    """Read every entry of *ledger* once, a page at a time; *captions* are known by their task."""
    content = Content(summary=ledger.summary())
    for entry in ledger.entries():
        content.add_entry(entry, captions)
    return content


def read_arguments(asked: str) -> dict[str, Any]:
    """Read the arguments of a call, those of a form's JSON part among them."""
    fields: Any = json.loads(asked)
    named: dict[str, Any] = dict(fields)
    inner = named.pop("req", None)
    return {**named, **inner} if wire_json.is_object(inner) else named


def sort_clips(clips: tuple[Clip, ...]) -> tuple[Clip, ...]:
    """Sort clips by their score, the best first."""
    return tuple(sorted(clips, key=lambda clip: -clip.score))


def _read_search(entry: Entry, asked: Mapping[str, Any], data: Any) -> SearchItem:
    found: list[Clip] = []
    for one in data if wire_json.is_array(data) else ():
        try:
            times = [float(one[name]) for name in ("start_time", "end_time", "score")]
        except (KeyError, TypeError, ValueError):
            continue
        if all(map(math.isfinite, times)):
            found.append(Clip(start_time=times[0], end_time=times[1], score=times[2]))
    return SearchItem(
        prompt=_text(asked.get("prompt")),
        video=_text(asked.get("video_no")),
        item=entry.item,
        image=_read_hash(asked.get("file")),
        clips=sort_clips(tuple(found)),
    )


def _read_caption(
    entry: Entry, asked: Mapping[str, Any], data: Any, captions: Mapping[str, Caption]
) -> CaptionItem:
    given = data if wire_json.is_object(data) else {}
    task_id = _text(given.get("task_id")) or None
    caption = captions.get(task_id or "")
    if caption is None and isinstance(given.get("text"), str):
        caption = Caption(text=_text(given["text"]), tokens=read_tokens(given.get("token")))
    persons = asked.get("persons")
    names = [one["name"] for one in _list_objects(persons) if isinstance(one.get("name"), str)]
    url = _text(asked.get("video_url")) or None
    return CaptionItem(
        prompt=_text(asked.get("user_prompt")),
        source=_read_hash(asked.get("files")) or url,
        item=entry.item,
        persons=tuple(names),
        task_id=task_id,
        caption=caption,
    )


def _list_objects(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if wire_json.is_object(one)] if wire_json.is_array(value) else []


def _read_hash(value: Any) -> str | None:
    """Return the hash that stands for a file, a list of an algorithm and a hexadecimal number."""
    return _text(value[-1]) if wire_json.is_array(value) and value else None


def _text(value: object) -> str:
    return "" if value is None else str(value)
