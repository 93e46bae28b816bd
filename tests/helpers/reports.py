"""Ledgers written row by row, as a report reads them, and a film whose thirds have colours."""

from __future__ import annotations

import json
import random
import sqlite3
from contextlib import closing
from hashlib import blake2b

from memories_async import Ledger

HOSTILE = '<img src=x onerror="alert(1)">&{{ 7 * 7 }}</script>\u202egpj.exe\x1b[31m'
"""Markup, a template, the end of a script, a mark that reverses text, and a terminal's code."""
SEARCH, CAPTION, EMBED = "clips.search", "captions.upload_file_sync", "embeddings.video"


def hash_file(path) -> str:
    """The hash by which a ledger names a file."""
    return blake2b(path.read_bytes(), digest_size=20).hexdigest()


def search(video="VI1", prompt="the red car", image="00", clips=((1.0, 2.0, 0.9),), **columns):
    """A row of an answered search."""
    asked = [["file", ["blake2b", image]], ["video_no", video], ["prompt", prompt]]
    data = [{"start_time": a, "end_time": b, "score": score} for a, b, score in clips]
    return {"call": SEARCH, "asked": asked, "data": data, **columns}


def caption(text="A car.", *, prompt="Say what you see", source="00", persons=(), **columns):
    """A row of a caption that came in the reply."""
    request = {"user_prompt": prompt, "persons": [{"name": name} for name in persons]}
    asked = [["req", request], ["files", ["blake2b", source]]]
    data = {"text": text, "token": {"input": 1, "output": 2, "total": 3}}
    return {"call": CAPTION, "asked": asked, "data": data, **columns}


def embedding(asset, vector, **columns):
    """A row of an embedding."""
    asked = {"asset_id": asset, "model": "m"}
    return {"call": EMBED, "asked": asked, "data": {"embedding": list(vector)}, **columns}


def embeddings(count, *, groups, size=8):
    """Rows of embeddings near to one of some directions."""
    draw = random.Random(3)
    centres = [[draw.gauss(0, 1) for _ in range(size)] for _ in range(groups)]
    return [
        embedding(f"re_{at}", [x + draw.gauss(0, 0.05) for x in centres[at % groups]])
        for at in range(count)
    ]


def write_ledger(path, rows) -> Ledger:
    """Write a ledger of *rows*."""
    ledger = Ledger(path)
    ledger.summary()
    entries, replies = [], []
    for at, row in enumerate(rows, 1):
        state, time = row.get("state", "done"), 1_700_000_000.0 + at
        key = blake2b(str(at).encode(), digest_size=20).digest()
        message, item, asked = row.get("message"), row.get("item"), json.dumps(row["asked"])
        columns = (at, key, item, row["call"], asked, "team", "unit", state, 1)
        entries.append((*columns, time, time, time + 0.5, 200, message, None))
        if state == "done":
            body = json.dumps({"code": "0000", "msg": "success", "data": row["data"]})
            replies.append((at, body.encode()))
    with closing(sqlite3.connect(path)) as file, file:
        names = "id, key, item, call, asked, account, unit, state, attempts, planned_at, sent_at"
        marks = ", ".join("?" * 15)
        file.executemany(
            f"INSERT INTO entries ({names}, ended_at, status, message, price) VALUES ({marks})",
            entries,
        )
        file.executemany("INSERT INTO replies VALUES (?, ?)", replies)
    return ledger


def make_film(path, *, seconds=6, size=(160, 90), rate=10, codec="libx264", pixels="yuv420p"):
    """Write a film of three colours; returns its path."""
    import av
    import numpy as np

    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=rate, options={"crf": "20"})
        stream.width, stream.height, stream.pix_fmt = *size, pixels
        colours = ((200, 40, 40), (40, 200, 40), (40, 40, 200))
        for at in range(seconds * rate):
            colour = colours[at * 3 // (seconds * rate)]
            picture = np.full((size[1], size[0], 3), colour, np.uint8)
            picture[:, : size[0] * at // (seconds * rate)] //= 2
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        out.mux(stream.encode(None))
    return path
