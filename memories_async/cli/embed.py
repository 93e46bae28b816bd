"""`memories-async embed`: embed a whole video as one vector."""

from __future__ import annotations

import json
import struct
import sys
from pathlib import Path
from typing import Any

import click

from memories_async import embeddings
from memories_async.cli._calls import send
from memories_async.cli._dry_run import show_dry_run
from memories_async.cli._options import account, common, dry_run, raise_usage_errors
from memories_async.cli._run import CommandRun, pass_run
from memories_async.cli._settings import Configuration

_EXAMPLES = """\
\b
Examples:
  memories-async embed re_6577
  memories-async embed re_6577 --out beach.npy
  memories-async embed re_6577 --json | jq .embedding
"""
_FIRST = 6
"""Numbers of the vector that are shown."""


@click.command(epilog=_EXAMPLES)
@click.argument("asset_id")
@click.option(
    "--model",
    default=embeddings.DEFAULT_MODEL,
    show_default=True,
    metavar="NAME",
    help="The embedding model; only vectors of the same model can be compared.",
)
@click.option("--out", metavar="FILE", help="Write the vector to this .npy or .json file.")
@account
@dry_run
@common
@pass_run
def command(run: CommandRun, asset_id: str, model: str, out: str | None, *, dry_run: bool) -> None:
    """Embed the whole video ASSET_ID as one vector.

    ASSET_ID looks like re_6577; `memories-async add --asset` prints it. An embedding is charged
    when it succeeds.
    """
    with raise_usage_errors():
        if Path(asset_id).is_file():
            raise ValueError(
                f"{asset_id} is a file: `memories-async add --asset {asset_id}` uploads it and prints "
                "its asset_id"
            )
        call = embeddings.video(asset_id, model=model)
        target = None if out is None else check_target(out)
    configuration = Configuration.read(run.account)
    if dry_run:
        show_dry_run(run.screen, call, configuration)
        return
    embedding = send(run, call, configuration)
    document = {"asset_id": asset_id, "model": embedding.model, "dimensions": len(embedding)}
    if target is None:
        run.screen.document({**document, "embedding": embedding.tolist()})
    else:
        write_vector(target, embedding, {**document, "embedding": embedding.tolist()})
        run.screen.document({**document, "out": str(target)})
    first = ", ".join(f"{number:.6g}" for number in embedding[:_FIRST])
    facts = [
        ("model", embedding.model),
        ("numbers", f"{len(embedding):,}"),
        ("first", f"{first} ..."),
    ]
    run.screen.facts(facts if target is None else [*facts, ("written to", str(target))])


def check_target(out: str) -> Path:
    """Check that *out* can be written, before anything is charged."""
    path = Path(out)
    if path.suffix not in {".npy", ".json"}:
        raise ValueError(f"--out must end in .npy or .json, not {path.name!r}")
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise ValueError(f"--out cannot be written: {path}")
    return path


def write_vector(path: Path, embedding: embeddings.Embedding, document: dict[str, Any]) -> None:
    """Write the vector to *path*; if that fails, write it to stdout, since it was charged."""
    text = json.dumps(document)
    try:
        path.write_bytes(encode_npy(embedding) if path.suffix == ".npy" else f"{text}\n".encode())
    except OSError as error:
        sys.stdout.write(f"{text}\n")
        raise click.UsageError(
            f"{path} cannot be written ({error.strerror}), so the embedding is on stdout"
        ) from error


def encode_npy(embedding: embeddings.Embedding) -> bytes:
    """Encode the vector in numpy's format, version 1.0, without numpy."""
    order = "<" if sys.byteorder == "little" else ">"
    header = f"{{'descr': '{order}f8', 'fortran_order': False, 'shape': ({len(embedding)},), }}"
    # The numbers start at a multiple of 64 bytes: 10 bytes of preamble, the header, a newline.
    padded = header + " " * (-(len(header) + 11) % 64) + "\n"
    return (
        b"\x93NUMPY\x01\x00" + struct.pack("<H", len(padded)) + padded.encode() + bytes(embedding)
    )
