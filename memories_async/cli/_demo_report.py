"""The results of the demonstration, and how they are shown to a person and to a program."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from attrs import asdict, frozen

from memories_async import Caption, Clip, Embedding
from memories_async.cli._screen import Screen, count_noun

if TYPE_CHECKING:
    from memories_async.local import LocalService, LocalVideo
    from memories_async.local.engine.protocol import Facts

T = TypeVar("T")
PROMPT = "the whole picture"
_ROWS = 5
_TIMELINE = 30
"""Characters of a timeline, where the terminal is wide enough."""
_OTHER_COLUMNS = 46
_MOST = 0.95
_TOLERANCE = 0.05
"""Seconds by which a clip may miss the frame: about one frame."""


@frozen(kw_only=True)
class DemoVideo:
    """The video, and the frame that was cut from it as the query picture."""

    video: LocalVideo
    facts: Facts
    picture: Path
    time: float
    """When the frame is shown, in seconds."""
    indexed: float
    """Seconds that indexing took; almost none where it was cached."""

    def is_in(self, clip: Clip) -> bool:
        """Whether *clip* contains the frame."""
        return clip.start_time - _TOLERANCE <= self.time <= clip.end_time + _TOLERANCE


@frozen(kw_only=True)
class Step(Generic[T]):
    """The result of one call."""

    call: str
    seconds: float
    points: int
    answer: T | None = None
    refusal: str | None = None
    """Why there is no answer."""

    def document(self) -> dict[str, Any]:
        """Build the part of the JSON document that all calls have."""
        return {
            "call": self.call,
            "seconds": round(self.seconds, 4),
            "points": self.points,
            "refusal": self.refusal,
        }


@frozen(kw_only=True)
class DemoResults:
    """The results of the three calls."""

    search: Step[tuple[Clip, ...]]
    caption: Step[Caption]
    embedding: Step[Embedding]


def show_video(screen: Screen, video: DemoVideo, service: LocalService) -> None:
    """Show the video, the query picture and the service."""
    facts = video.facts
    shots = f"{len(facts.shots)} shot{'s' if len(facts.shots) > 1 else ''}"
    screen.say()
    screen.facts(
        [
            ("video", str(video.video.path)),
            ("", f"{facts.duration:.1f} s, {facts.width} x {facts.height}, {shots}"),
            ("picture", str(video.picture)),
            ("", f"the frame at {video.time:.2f} s, the middle of the longest shot"),
            ("service", f"{service.url}, engine {service.engine.name}"),
            ("", f"indexed the video in {video.indexed:.2f} s"),
        ]
    )


def show_search(screen: Screen, step: Step[tuple[Clip, ...]], video: DemoVideo) -> None:
    """Show the clips, and whether the best one contains the frame."""
    screen.say(f"\n1  Search: where in the video is the picture? (prompt: {PROMPT})", style="bold")
    clips = step.answer or ()
    size = min(_TIMELINE, max(10, screen.width - _OTHER_COLUMNS))
    screen.table(
        ("start (s)>", "end (s)>", "score>", "in the video", ""),
        [
            (
                f"{clip.start_time:.2f}",
                f"{clip.end_time:.2f}",
                f"{clip.score:.3f}",
                draw_timeline(clip, video, size),
                "has the frame" if video.is_in(clip) else "",
            )
            for clip in clips[:_ROWS]
        ],
        indent=3,
    )
    if len(clips) > _ROWS:
        screen.say(f"and {len(clips) - _ROWS} more", indent=3, style="dim")
    is_right = bool(clips) and video.is_in(clips[0])
    verdict = step.refusal or judge_clips(clips, video)
    screen.say(verdict, indent=3, style="green" if is_right else "yellow")


def show_caption(screen: Screen, step: Step[Caption]) -> None:
    """Show the caption, or why there is none."""
    screen.say("\n2  Caption: what happens in the video? (answered by callback)", style="bold")
    if step.answer is None:
        screen.say(f"No caption: {step.refusal}", indent=3, style="yellow")
        return
    screen.say(step.answer.text, indent=3)
    tokens = step.answer.tokens
    if tokens is not None:
        text = f"{tokens.input:,} tokens read, {tokens.output:,} written"
        screen.say(text, indent=3, style="dim")


def show_embedding(screen: Screen, step: Step[Embedding]) -> None:
    """Show the start and the length of the vector."""
    screen.say("\n3  Embedding: the whole video as one vector", style="bold")
    vector = step.answer
    if vector is None:
        screen.say(f"No embedding: {step.refusal}", indent=3, style="yellow")
        return
    first = ", ".join(f"{number:.4f}" for number in vector[:_ROWS])
    length = math.hypot(*vector)
    screen.say(f"{len(vector):,} numbers, norm {length:.3f}: {first} ...", indent=3)


def show_totals(screen: Screen, results: DemoResults, service: LocalService) -> None:
    """Add up times and costs, and name the next command."""
    screen.say("\nTimes and costs", style="bold")
    steps = (results.search, results.caption, results.embedding)
    rows = [
        (step.call, f"{step.seconds:.2f}", str(step.points), "refused" if step.refusal else "done")
        for step in steps
    ]
    seconds = sum(step.seconds for step in steps)
    account = service.account
    total = (
        "total",
        f"{seconds:.2f}",
        str(account.points_spent),
        count_noun(account.calls, "request"),
    )
    screen.table(("call", "seconds>", "points>", ""), [*rows, total], indent=3)
    screen.say("\nTo use the same service from your own program:", style="bold")
    screen.say("memories-async serve --videos FOLDER", indent=3)


def build_document(video: DemoVideo, results: DemoResults, service: LocalService) -> dict[str, Any]:
    """Build the JSON document."""
    clips = results.search.answer or ()
    caption, vector = results.caption.answer, results.embedding.answer
    account = service.account
    return {
        "video": {"path": str(video.video.path), **asdict(video.facts)},
        "frame": {"picture": str(video.picture), "time": video.time},
        "search": {
            **results.search.document(),
            "clips": [asdict(clip) for clip in clips],
            "best_holds_frame": bool(clips) and video.is_in(clips[0]),
        },
        "caption": {
            **results.caption.document(),
            "text": None if caption is None else caption.text,
            "tokens": None if caption is None or caption.tokens is None else asdict(caption.tokens),
        },
        "embedding": {
            **results.embedding.document(),
            "embedding": None if vector is None else vector.tolist(),
        },
        "account": {
            "requests": account.calls,
            "points_spent": account.points_spent,
            "points": account.points,
        },
    }


def judge_clips(clips: tuple[Clip, ...], video: DemoVideo) -> str:
    """Say whether the search found the frame."""
    if not clips:
        return "No clip was found: the search missed the picture."
    if video.is_in(clips[0]):
        is_whole = clips[0].end_time - clips[0].start_time > _MOST * video.facts.duration
        but = ", but it is the whole video, which proves little" if is_whole else ""
        return f"The best clip has the frame at {video.time:.2f} s{but}."
    place = next((at for at, clip in enumerate(clips, 1) if video.is_in(clip)), None)
    where = f"clip {place} has it" if place else "no other clip has it"
    return f"The best clip does not have the frame at {video.time:.2f} s; {where}."


def draw_timeline(clip: Clip, video: DemoVideo, size: int) -> str:
    """Draw the video as a line of *size* characters: `#` where the clip is, `o` at the frame."""
    scale = size / max(video.facts.duration, clip.end_time)
    start, end = int(clip.start_time * scale), math.ceil(clip.end_time * scale)
    marks = ["#" if start <= at < end else "-" for at in range(size)]
    marks[min(int(video.time * scale), size - 1)] = "o"
    return "".join(marks)
