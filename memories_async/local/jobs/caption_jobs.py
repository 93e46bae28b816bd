"""The studio: accepted caption tasks, from the video to the delivered result."""

from __future__ import annotations

import asyncio
import logging
import tempfile
import uuid
from pathlib import Path, PurePosixPath
from random import Random

from attrs import define, field, frozen
from yarl import URL

from memories_async.local.egress.client import Outgoing
from memories_async.local.egress.policy import Unreachable
from memories_async.local.engine.protocol import (
    CaptionRequest,
    CaptionText,
    EngineError,
    Index,
    ReferencePerson,
)
from memories_async.local.jobs.background import Errands
from memories_async.local.jobs.callbacks import Outbox, Result, failure
from memories_async.local.jobs.engine_pool import Workshop
from memories_async.local.jobs.request_context import Answer, Visit
from memories_async.local.state.accounts import Purse
from memories_async.local.state.faults import Fault
from memories_async.local.state.forms import Upload
from memories_async.local.state.library import LocalVideo
from memories_async.local.state.page_limits import Rules

__all__ = ["Commission", "Person", "Studio"]

_log = logging.getLogger(__name__)


class _Unfit(Exception):
    """The video breaks a rule of the page that shows only now."""


@frozen(kw_only=True)
class Person:
    """A person to look for: a picture, or where to get one, or a name alone."""

    name: str
    url: str | None = None
    image: bytes | None = field(default=None, repr=False)


@frozen(kw_only=True)
class Commission:
    """A caption request that was checked."""

    video: str | Upload
    """A URL, or the file itself."""
    user_prompt: str
    system_prompt: str
    callback: str
    persons: tuple[Person, ...]
    thinking: bool


@define(eq=False, kw_only=True)
class Studio:
    """Accepts tasks and works them off beside the requests."""

    workshop: Workshop
    rules: Rules
    outbox: Outbox
    fetching: Outgoing
    errands: Errands
    dice: Random
    """Where task ids come from."""

    def accept(self, order: Commission, visit: Visit) -> Answer:
        """Give *order* a task id; the work begins once it is paid."""
        task_id = str(uuid.UUID(int=self.dice.getrandbits(128), version=4))
        fault = visit.callback_fault

        async def begin(purse: Purse) -> None:
            errand = self.errands.start(self._work_off(task_id, order, purse, fault))
            if fault is not None and fault.callback == "early":
                await asyncio.wait([errand])

        visit.note = self._note(order)
        note = (visit.note or "").encode("ascii", "backslashreplace").decode()
        headers = {"X-Local-Note": note} if note else {}
        return Answer(content={"task_id": task_id}, item=task_id, headers=headers, then=begin)

    def _note(self, order: Commission) -> str | None:
        """Tell a newcomer why a task that was accepted will come to nothing."""
        if not isinstance(order.video, Upload) and self._in_library(order.video) is None:
            try:
                self.fetching.guard.checked(order.video)
            except Unreachable as error:
                return f"the video will not be fetched: {error}"
        try:
            self.outbox.outgoing.guard.checked(order.callback)
        except Unreachable as error:
            return f"the callback will not be delivered: {error}"
        return None

    async def _work_off(
        self, task_id: str, order: Commission, purse: Purse, fault: Fault | None
    ) -> None:
        body = await self._result(task_id, order)
        if fault is not None and fault.callback == "failure":
            body = failure(task_id, "A failure, asked for by a fault.")
        if body["status"] != 0:
            purse.pay_back(task_id)
        await self.outbox.dispatch(Result(task_id=task_id, url=order.callback, body=body), fault)

    async def _result(self, task_id: str, order: Commission) -> dict[str, object]:
        try:
            caption = await self._caption(order)
        except (_Unfit, Unreachable, EngineError) as error:
            return failure(task_id, str(error))
        except Exception:  # noqa: BLE001  # an engine is a guest; what it throws must be heard of
            _log.exception("captioning failed")
            return failure(task_id, "The engine failed.")
        tokens = {
            "input": caption.input_tokens,
            "output": caption.output_tokens,
            "total": caption.input_tokens + caption.output_tokens,
        }
        return {
            "status": 0,
            "task_id": task_id,
            "data": {"text": caption.text, "token": tokens},
        }

    async def _caption(self, order: Commission) -> CaptionText:
        index = await self._index(order.video)
        duration, rules = index.facts.duration, self.rules
        if not rules.shortest <= duration <= rules.longest:
            raise _Unfit(
                f"The video lasts {duration:.1f} seconds; "
                f"it must be between {rules.shortest:g} and {rules.longest:g}."
            )
        request = CaptionRequest(
            user_prompt=order.user_prompt,
            system_prompt=order.system_prompt,
            persons=tuple([await self._reference(person) for person in order.persons]),
            thinking=order.thinking,
        )
        return await self.workshop.caption(index, request)

    async def _index(self, video: str | Upload) -> Index:
        if isinstance(video, Upload):
            return await self._index_bytes(video.content, video.file_name)
        known = await self.workshop.in_thread(lambda: self._in_library(video))
        if known is not None:
            if known.path.stat().st_size > self.rules.video_size:
                raise _Unfit(f"The video {known.path.name} is larger than the limit.")
            return await self.workshop.index_of(known)
        content = await self.fetching.fetch(video, largest=self.rules.video_size)
        return await self._index_bytes(content, URL(video).name)

    async def _index_bytes(self, content: bytes, file_name: str) -> Index:
        # The name given decides nothing but a harmless suffix, which some decoders want.
        suffix = PurePosixPath(file_name).suffix
        suffix = suffix if suffix[1:].isalnum() and len(suffix) < 8 else ".mp4"  # noqa: PLR2004

        def index_copy() -> Index:
            with tempfile.TemporaryDirectory(prefix="memories-") as folder:
                path = Path(folder) / f"video{suffix}"
                path.write_bytes(content)
                return self.workshop.engine.index(path)

        return await self.workshop.indexing(index_copy)

    async def _reference(self, person: Person) -> ReferencePerson:
        image = person.image
        if image is None and person.url is not None:
            try:
                image = await self.fetching.fetch(person.url, largest=self.rules.image_size)
            except Unreachable as error:
                # A picture that we do not want to fetch is none; one that cannot be had is an error.
                if not error.forbidden:
                    raise
        return ReferencePerson(name=person.name, image=image)

    def _in_library(self, url: str) -> LocalVideo | None:
        """The library's video that the last part of *url* names, by file name or id."""
        try:
            name = URL(url).name
        except ValueError:
            return None
        return self.workshop.library.named(name) or self.workshop.library.find(name)
