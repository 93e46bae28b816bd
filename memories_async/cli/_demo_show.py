"""How the demonstration looks to a person, and to a program."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from attrs import asdict

from memories_async import Caption, Clip, Embedding
from memories_async.cli._demo_steps import PROMPT, Findings, Scene, Step
from memories_async.cli._screen import Screen

if TYPE_CHECKING:
    from memories_async.local import LocalService

_SHOWN = 5
_STRIP = 30
_WHOLE = 0.95
_SLACK = 0.05
"""Seconds by which a clip may miss the frame: about one frame."""


def opening(screen: Screen) -> None:
    """Say what is going to happen."""
    screen.say("Three calls to the embedded service: nothing leaves this machine.", style="bold")


def scene(screen: Screen, scene: Scene, service: LocalService) -> None:
    """Show the video, and the picture that was cut from it."""
    facts = scene.facts
    scenes = f"{len(facts.shots)} scene{'s' if len(facts.shots) > 1 else ''}"
    screen.say()
    screen.facts(
        [
            ("video", str(scene.video.path)),
            ("", f"{facts.duration:.1f} s, {facts.width} x {facts.height}, {scenes}"),
            ("picture", str(scene.cut.picture)),
            ("", f"cut at {scene.cut.time:.2f} s, the middle of the longest scene"),
            ("service", f"{service.url}, engine {service.engine.name}"),
            ("", f"indexed the video in {scene.indexed:.2f} s"),
        ]
    )


def search(screen: Screen, step: Step[tuple[Clip, ...]], scene: Scene) -> None:
    """Show the clips, and whether the best one holds the frame."""
    screen.say(f"\n1  Search: where in the video is the picture? (prompt: {PROMPT})", style="bold")
    clips = step.answer or ()
    screen.table(
        ("start (s)>", "end (s)>", "score>", "in the video", ""),
        [
            (
                f"{clip.start_time:.2f}",
                f"{clip.end_time:.2f}",
                f"{clip.score:.3f}",
                _strip(clip, scene),
                "holds the frame" if holds(clip, scene) else "",
            )
            for clip in clips[:_SHOWN]
        ],
        indent=3,
    )
    if len(clips) > _SHOWN:
        screen.say(f"and {len(clips) - _SHOWN} more", indent=3, style="dim")
    verdict = step.refusal or _verdict(clips, scene)
    right = bool(clips) and holds(clips[0], scene)
    screen.say(verdict, indent=3, style="green" if right else "yellow")


def caption(screen: Screen, step: Step[Caption]) -> None:
    """Show the caption, or why there is none."""
    screen.say("\n2  Caption: what happens in the video? (answered by callback)", style="bold")
    if step.answer is None:
        screen.say(f"The answer is no: {step.refusal}", indent=3, style="yellow")
        return
    screen.say(step.answer.text, indent=3)
    if step.answer.tokens is not None:
        tokens = step.answer.tokens
        screen.say(
            f"{tokens.input:,} tokens read, {tokens.output:,} written", indent=3, style="dim"
        )


def embedding(screen: Screen, step: Step[Embedding]) -> None:
    """Show the beginning and the length of the vector."""
    screen.say("\n3  Embedding: the whole video as one vector", style="bold")
    if step.answer is None:
        screen.say(f"The answer is no: {step.refusal}", indent=3, style="yellow")
        return
    vector = step.answer
    beginning = ", ".join(f"{number:.4f}" for number in vector[:_SHOWN])
    length = math.hypot(*vector)
    screen.say(f"{len(vector):,} numbers of length {length:.3f}: {beginning} ...", indent=3)


def closing(screen: Screen, findings: Findings, service: LocalService) -> None:
    """Sum times and costs up, and say where to go on."""
    screen.say("\nTimes and costs", style="bold")
    rows = [
        (step.call, f"{step.seconds:.2f}", str(step.points), "refused" if step.refusal else "done")
        for step in findings.steps
    ]
    seconds = sum(step.seconds for step in findings.steps)
    account = service.account
    total = ("total", f"{seconds:.2f}", str(account.points_spent), f"{account.calls} requests")
    screen.table(("call", "seconds>", "points>", ""), [*rows, total], indent=3)
    screen.say("\nThe same service for your own program:", style="bold")
    screen.say("memories-async serve --videos FOLDER", indent=3)


def holds(clip: Clip, scene: Scene) -> bool:
    """Tell whether *clip* contains the frame that was searched for."""
    return clip.start_time - _SLACK <= scene.cut.time <= clip.end_time + _SLACK


def document(scene: Scene, findings: Findings, service: LocalService) -> dict[str, Any]:
    """Lay everything out for a program."""
    clips = findings.search.answer or ()
    caption, vector = findings.caption.answer, findings.embedding.answer
    account = service.account
    return {
        "video": {"path": str(scene.video.path), **asdict(scene.facts)},
        "frame": {"picture": str(scene.cut.picture), "time": scene.cut.time},
        "search": {
            **_costs(findings.search),
            "clips": [asdict(clip) for clip in clips],
            "best_holds_frame": bool(clips) and holds(clips[0], scene),
        },
        "caption": {
            **_costs(findings.caption),
            "text": None if caption is None else caption.text,
            "tokens": None if caption is None or caption.tokens is None else asdict(caption.tokens),
        },
        "embedding": {
            **_costs(findings.embedding),
            "embedding": None if vector is None else vector.tolist(),
        },
        "account": {
            "requests": account.calls,
            "points_spent": account.points_spent,
            "points": account.points,
        },
    }


def _costs(step: Step[Any]) -> dict[str, Any]:
    return {
        "call": step.call,
        "seconds": round(step.seconds, 4),
        "points": step.points,
        "refusal": step.refusal,
    }


def _verdict(clips: tuple[Clip, ...], scene: Scene) -> str:
    if not clips:
        return "No clip was found: the picture was missed."
    if holds(clips[0], scene):
        whole = clips[0].end_time - clips[0].start_time > _WHOLE * scene.facts.duration
        but = ", but it is the whole video, so that proves little" if whole else ""
        return f"The best clip holds the frame at {scene.cut.time:.2f} s{but}."
    place = next((at for at, clip in enumerate(clips, 1) if holds(clip, scene)), None)
    where = f"clip {place} does" if place else "nor does another"
    return f"The best clip does not hold the frame at {scene.cut.time:.2f} s; {where}."


def _strip(clip: Clip, scene: Scene) -> str:
    """Draw the video as a strip: `#` where the clip is, `o` at the frame."""
    scale = _STRIP / max(scene.facts.duration, clip.end_time)
    start, end = int(clip.start_time * scale), math.ceil(clip.end_time * scale)
    frame = min(int(scene.cut.time * scale), _STRIP - 1)
    marks = ["#" if start <= at < end else "-" for at in range(_STRIP)]
    marks[frame] = "o"
    return "".join(marks)
