"""Are the sentences of a caption true? Each claim about films of known truth is judged.

A caption is split into its claims (size, rate, frames, shots, their times, each colour, brightness,
motion, camera, sharpness, damage, persons). Whatever the judge cannot read counts as false. Counted
beside the claims are the things that a film shows plainly and its caption does not tell. `--quick`
takes a third of the films, and indexes them in this process.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter
from pathlib import Path

from engine_sentence_claims import Judged, judge
from engine_sentence_films import Made, Plan, make
from engine_sentence_plans import list_plans

from memories_async.local.engine.facts.caption import write_caption
from memories_async.local.engine.pixels import PixelEngine
from memories_async.local.engine.protocol import CaptionRequest
from memories_async.local.engine.vision.indexing import index_video

ASKED = CaptionRequest(user_prompt="Describe the video in detail.", system_prompt="")


def caption(film: Made, engine: PixelEngine | None) -> str:
    """Caption *film* by *engine*, or in this process."""
    if engine is None:
        return write_caption(index_video(film.path), ASKED).text
    return engine.caption(engine.index(film.path), ASKED).text


def run(plan: Plan, folder: Path, engine: PixelEngine | None = None) -> Judged:
    """Make the film of *plan*, caption it, and judge the caption."""
    film = make(plan, folder)
    return judge(film, caption(film, engine))


def main() -> None:
    """Count and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a third of the films, in one process")
    parser.add_argument("--kind", help="films of this kind only")
    parser.add_argument("--show", action="store_true", help="print each false claim")
    asked = parser.parse_args()
    plans = [
        plan
        for plan in list_plans()
        if asked.kind in (None, plan.kind) and (plan.is_quick or not asked.quick)
    ]
    with tempfile.TemporaryDirectory() as folder:
        engine = None if asked.quick else PixelEngine(Path(folder, "cache"))
        rows = [run(plan, Path(folder), engine) for plan in plans]
    for row in rows if asked.show else ():
        wrong = [f"{one.kind}: {one.text}" for one in row.claims if not one.is_true]
        if wrong or row.left_out:
            print(
                json.dumps(
                    {
                        "film": row.film.name,
                        "false": wrong,
                        "left out": row.left_out,
                        "caption": row.text,
                    }
                )
            )
    report(rows)


def report(rows: list[Judged]) -> None:
    """Print what was said, and what of it is true, by kind of claim and by kind of film."""
    claims = [(row.film.kind, claim) for row in rows for claim in row.claims]
    missing = Counter(what for row in rows for what in row.left_out)
    for kind in sorted({claim.kind for _, claim in claims} | set(missing)):
        some = [claim for _, claim in claims if claim.kind == kind]
        tell(
            "claims",
            kind=kind,
            said=len(some),
            true=sum(one.is_true for one in some),
            left_out=missing[kind],
        )
    for kind in dict.fromkeys(row.film.kind for row in rows):
        some = [claim for film, claim in claims if film == kind]
        films = [row for row in rows if row.film.kind == kind]
        tell(
            "films",
            kind=kind,
            films=len(films),
            said=len(some),
            true=sum(one.is_true for one in some),
            left_out=sum(len(row.left_out) for row in films),
        )
    true = sum(claim.is_true for _, claim in claims)
    tell("all", films=len(rows), said=len(claims), true=true, left_out=sum(missing.values()))


def tell(measure: str, **more: object) -> None:
    """Print one measure."""
    print(json.dumps({"measure": measure, **more}), flush=True)


if __name__ == "__main__":
    main()
