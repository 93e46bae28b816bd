"""`memories-async embed`: one vector for a whole video."""

from __future__ import annotations

import json
import struct
import sys
from pathlib import Path
from typing import Any

import click

from memories_async import embeddings
from memories_async.cli._described import show_dry_run
from memories_async.cli._options import common, dry_run
from memories_async.cli._run import Run, arguments, pass_run
from memories_async.cli._settings import Configuration

_EXAMPLES = """\
\b
Examples:
  memories-async embed re_6577
  memories-async embed re_6577 --out beach.npy      numpy.load reads it
  memories-async embed re_6577 --json | jq .embedding
"""
_SHOWN = 6


@click.command(epilog=_EXAMPLES)
@click.argument("asset_id")
@click.option(
    "--model",
    default=embeddings.DEFAULT_MODEL,
    show_default=True,
    metavar="NAME",
    help="What makes the vector; only vectors of one model can be compared.",
)
@click.option("--out", metavar="FILE", help="Write the vector there, as .npy or .json.")
@dry_run
@common
@pass_run
def command(run: Run, asset_id: str, model: str, out: str | None, *, dry_run: bool) -> None:
    """Embed the whole video ASSET_ID as one vector.

    ASSET_ID looks like re_6577: what `memories-async add --asset` printed. An embedding is charged
    when it succeeds.
    """
    with arguments():
        call = embeddings.video(asset_id, model=model)
        target = None if out is None else _target(out)
    configuration = Configuration.read()
    if dry_run:
        show_dry_run(run.screen, call, configuration)
        return
    embedding = run.send(call, configuration)
    facts = {"asset_id": asset_id, "model": embedding.model, "dimensions": len(embedding)}
    document = {**facts, "embedding": embedding.tolist()}
    if target is None:
        run.screen.document(document)
    else:
        _write(target, embedding, document)
        run.screen.document({**facts, "out": str(target)})
    _show(run, embedding, target)
    run.charged("embedding")


def _show(run: Run, embedding: embeddings.Embedding, target: Path | None) -> None:
    shown = ", ".join(f"{number:.6g}" for number in embedding[:_SHOWN])
    written = [] if target is None else [("written to", str(target))]
    run.screen.facts(
        [
            ("model", embedding.model),
            ("numbers", f"{len(embedding):,}"),
            ("beginning", f"{shown} ..."),
            *written,
        ]
    )


def _target(out: str) -> Path:
    """Check before anything is paid that *out* can be written."""
    path = Path(out)
    if path.suffix not in {".npy", ".json"}:
        raise ValueError(f"--out must end in .npy or .json, not {path.name!r}")
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise ValueError(f"--out cannot be written: {path}")
    return path


def _write(path: Path, embedding: embeddings.Embedding, document: dict[str, Any]) -> None:
    text = json.dumps(document)
    try:
        path.write_bytes(_npy(embedding) if path.suffix == ".npy" else f"{text}\n".encode())
    except OSError as error:
        # It was paid: better on the screen than lost.
        sys.stdout.write(f"{text}\n")
        raise click.UsageError(
            f"{path} cannot be written ({error.strerror}), so the embedding is on stdout"
        ) from error


def _npy(embedding: embeddings.Embedding) -> bytes:
    """Lay the vector out in numpy's own format, version 1.0, without numpy."""
    order = "<" if sys.byteorder == "little" else ">"
    header = f"{{'descr': '{order}f8', 'fortran_order': False, 'shape': ({len(embedding)},), }}"
    # The numbers begin at a multiple of 64 bytes: 10 of preamble, the header, a line's end.
    filled = header + " " * (-(len(header) + 11) % 64) + "\n"
    return (
        b"\x93NUMPY\x01\x00" + struct.pack("<H", len(filled)) + filled.encode() + bytes(embedding)
    )
