"""Submissions and callbacks for tests of the receiver, without any HTTP."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

import pytest

from memories_async import CaptionTask, captions
from memories_async.errors import OutcomeUnknown
from memories_async.receiver._callback_service import RequestHead, handle

SUBMISSION = captions.upload("https://v.example/v.mp4", user_prompt="look", system_prompt="see")
PROMPTS = {"user_prompt": "What happens?", "system_prompt": "You describe videos."}
TASK = CaptionTask("8e03075a-2230-4e67-98d4-ba53f37c807a")


def success(text="A man enters.", task_id=TASK.task_id, **more) -> dict:
    """The payload that the service's page shows."""
    data = {"text": text, "token": {"input": 123, "output": 456, "total": 579}}
    return {"status": 0, "task_id": task_id, "data": data} | more


def failure(task_id=TASK.task_id, **more) -> dict:
    """The payload of a failed task."""
    return {"status": -1, "task_id": task_id, "data": None} | more


def head(url: str, *, method="POST", **headers) -> RequestHead:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return RequestHead(method=method, path=urlsplit(url).path, headers=names)


async def deliver(receiver, url: str, body, **headers) -> int:
    """Deliver *body* to the receiver's service and return the status."""

    async def chunks():
        yield body if isinstance(body, bytes) else json.dumps(body).encode()

    answer = await handle(receiver._open_for_request, head(url, **headers), chunks())
    return int(answer.status)


class FakeSend:
    """Stands for a client's `send`: notes the callback URL, and answers or loses the reply."""

    def __init__(self, answer=TASK, *, before_reply=None):
        self.answer = answer
        self.before_reply = before_reply
        self.url = ""

    async def __call__(self, call):
        self.url = call.body.document["callback"]
        if self.before_reply is not None:
            await self.before_reply(self.url)
        if self.answer is None:
            raise OutcomeUnknown("the reply was lost", call=call.name)
        return self.answer


async def lose_reply(receiver) -> tuple[FakeSend, OutcomeUnknown]:
    """Submit, and lose the reply."""
    send = FakeSend(None)
    with pytest.raises(OutcomeUnknown) as caught:
        await receiver.submit(SUBMISSION, send)
    return send, caught.value
