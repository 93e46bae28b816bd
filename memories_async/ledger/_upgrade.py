"""Upgrades ledger files of version 1, whose fingerprints held the media types of files.

Version 2 hashes what a call asks without them, and without the account. A row of version 1 has the
arguments and the account, but not the method and the path: those are looked up by the call's name, and
the old fingerprint, computed again, shows that they are the right ones.
"""

from __future__ import annotations

import hashlib
import sqlite3

from memories_async._protocol import wire_json
from memories_async._protocol.call import derive_fingerprint, hash_content

_TARGETS = {
    "clips.search": "/serve/api/v1/search_clips_by_image",
    "captions.upload": "/v1/understand/upload",
    "captions.upload_file": "/v1/understand/uploadFile",
    "embeddings.video": "/serve/api/v2/embeddings/video",
    "videos.upload": "/serve/api/v1/upload",
    "videos.upload_url": "/serve/api/v1/upload_url",
    "assets.upload": "/serve/api/v2/upload",
}
"""The paths of the calls that version 1 recorded; all of them were sent by POST."""
_PAGE = 500


def rewrite_keys(connection: sqlite3.Connection) -> None:
    """Give every row of version 1 the key of version 2; keep the old key in `former_keys`.

    A row whose call is not in the table keeps its key.
    """
    after = 0
    while rows := connection.execute(
        "SELECT id, key, call, asked, account FROM entries WHERE id > ? ORDER BY id LIMIT ?",
        (after, _PAGE),
    ).fetchall():
        after = rows[-1][0]
        for id_, key, call, asked, account in rows:
            target = _TARGETS.get(call, "")
            if key != _hash_version_1(call, target, asked, account):
                continue
            document = _drop_media_types(asked)
            content = hash_content(call, "POST", target, document)
            new = bytes.fromhex(derive_fingerprint(content, account))
            connection.execute(
                "UPDATE entries SET key = ?, content = ?, asked = ? WHERE id = ?",
                (new, content, document.decode("ascii"), id_),
            )
            connection.execute("INSERT OR REPLACE INTO former_keys VALUES (?, ?)", (key, new))


def _hash_version_1(call: str, target: str, asked: str, account: str) -> bytes:
    endpoint = f"{call}\0POST\0{target}\0{account}".encode()
    return hashlib.blake2b(asked.encode("ascii") + endpoint, digest_size=20).digest()


def _drop_media_types(asked: str) -> bytes:
    """Replace each `[media type, hash]` among the parts of a form by `["blake2b", hash]`."""
    document = wire_json.loads(asked.encode("ascii"))
    if wire_json.is_array(document):
        for part in document:
            content = part[1] if wire_json.is_array(part) and len(part) == 2 else None  # noqa: PLR2004
            if wire_json.is_array(content) and len(content) == 2 and "/" in str(content[0]):  # noqa: PLR2004
                part[1] = ["blake2b", content[1]]
    return wire_json.canonical(document)
