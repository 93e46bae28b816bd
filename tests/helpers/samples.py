"""Calls and replies that many tests need: each as small as the pages allow."""

from __future__ import annotations

import json

from memories_async import captions, clips, embeddings
from memories_async._protocol.reply import Reply

KEY = "local-0123456789abcdef"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(32))
CLIP = {"start_time": 12.5, "end_time": 18.2, "score": 0.8631}
FOUND = {"code": "0000", "msg": "success", "data": [CLIP], "success": True, "failed": False}
EMBEDDED = {"code": "0000", "msg": "success", "data": {"embedding": [0.5, -0.25, 1]}}
ACCEPTED = {"code": 0, "msg": "success", "data": {"task_id": "8e03075a-2230"}}
LIMITED = {"code": "0429", "msg": "Request has exceeded the limit."}


def search_call(**changes):
    """A search with the smallest picture there is."""
    return clips.search(PNG, **{"prompt": "a red shirt", "video_no": "VI1", **changes})


def embed_call(asset_id="re_1"):
    """An embedding: the smallest body of all."""
    return embeddings.video(asset_id)


def caption_call(**changes):
    """A caption by URL, with its callback."""
    asked = {"user_prompt": "what happens", "system_prompt": "be brief"}
    asked |= {"callback": "https://example.com/cb", **changes}
    return captions.upload("https://example.com/v.mp4", **asked)


def reply(document, status=200, **headers):
    """A reply as the transport hands it over."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status=status, body=body, headers=names, at=1_000_000.0)
