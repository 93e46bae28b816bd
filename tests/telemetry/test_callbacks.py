"""A callback's span is linked to the span of its submission, whoever receives it."""

from __future__ import annotations

from callbacks import SUBMISSION, deliver, success
from callers import Scripted, over
from samples import ACCEPTED, reply

from memories_async import Receiver

URL = "https://public.example/memories"


class Submitting(Scripted):
    """Notes the callback's address."""

    url = ""

    async def carry(self, request):
        self.url = request.body.document["callback"]
        return await super().carry(request)


async def test_a_callback_is_linked_to_its_submission(recorded, tmp_path):
    """The process that receives it knows the submission from the store alone."""
    path, transport = tmp_path / "callbacks.db", Submitting([reply(ACCEPTED)])
    submitting = Receiver(URL, store=path)
    one = over(transport, observers=[recorded.observer()], receiver=submitting)
    await one.send(SUBMISSION)
    submitting.close()
    receiving = Receiver(URL, store=path, observers=[recorded.observer()])
    task_id = ACCEPTED["data"]["task_id"]
    with recorded.tracer.start_as_current_span("POST /memories") as server:
        for body in (success("A man enters.", task_id=task_id), success(task_id=task_id)):
            await deliver(receiving, transport.url, body)
    await deliver(receiving, f"{URL}/forged", success())
    receiving.close()

    submission = recorded.find("generate_content captions.upload")
    first, second = [span for span in recorded.spans if span.name == "callback captions.upload"]
    for callback in (first, second):
        (link,) = callback.links
        assert link.context.span_id == submission.context.span_id
        assert link.context.trace_id == submission.context.trace_id
        assert callback.parent.span_id == server.get_span_context().span_id
    assert first.attributes["memories.callback.kind"] == "result"
    assert first.attributes["memories.task_id"] == task_id
    assert second.attributes["memories.callback.kind"] == "duplicate"
    assert not recorded.find("callback unknown").links
    assert "A man enters." not in "".join(span.to_json() for span in recorded.spans)
    kinds = {
        dict(facts)["memories.callback.kind"] for facts in recorded.points("memories.callbacks")
    }
    assert kinds == {"result", "duplicate", "forged"}
