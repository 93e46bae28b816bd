"""Caption jobs: accepted caption tasks, from the video to the delivered result."""

from __future__ import annotations

import asyncio
import logging
import tempfile
import uuid
from pathlib import Path, PurePosixPath
from random import Random

from attrs import define, field, frozen
from yarl import URL

from memories_async.local.egress.client import EgressClient
from memories_async.local.egress.policy import Unreachable
from memories_async.local.engine.protocol import (
    CaptionRequest,
    CaptionText,
    EngineError,
    Index,
    ReferencePerson,
)
from memories_async.local.jobs.background import BackgroundTasks
from memories_async.local.jobs.callbacks import DeliveryResult, Outbox, build_failure
from memories_async.local.jobs.engine_pool import EnginePool
from memories_async.local.jobs.request_context import RequestContext, RouteAnswer
from memories_async.local.state.accounts import Hold
from memories_async.local.state.faults import Fault
from memories_async.local.state.forms import FormFile
from memories_async.local.state.library import LocalVideo
from memories_async.local.state.page_limits import PageLimits
from memories_async.local.state.wire import Reason, Refusal, explain_os_error

__all__ = ["CaptionJobs", "CaptionOrder", "NamedPerson"]

_log = logging.getLogger(__name__)


class _OutsideLimits(Exception):
    """The video exceeds a limit of the page that can only be checked once it is decoded."""


@frozen(kw_only=True)
class NamedPerson:
    """A person to look for: a name, and a picture or the URL of one, or neither."""

    name: str
    url: str | None = None
    image: bytes | None = field(default=None, repr=False)


@frozen(kw_only=True)
class CaptionOrder:
    """A caption request that was checked."""

    video: str | FormFile
    """A URL, or the file itself."""
    user_prompt: str
    system_prompt: str
    callback: str | None
    """Where the caption is sent; None where it is in the reply."""
    persons: tuple[NamedPerson, ...]
    thinking: bool


@define(eq=False, kw_only=True)
class CaptionJobs:
    """Accepts caption tasks and runs them beside the requests."""

    engine_pool: EnginePool
    page_limits: PageLimits
    outbox: Outbox
    fetcher: EgressClient
    background: BackgroundTasks
    random: Random
    """Source of the task ids."""

    async def answer(self, order: CaptionOrder) -> RouteAnswer:
        """Write the caption of *order* at once; raises `Refusal` where the video exceeds a limit."""
        try:
            caption = await self._caption(order)
        except (_OutsideLimits, Unreachable) as error:
            raise Refusal(Reason.WRONG, str(error)) from error
        item = self._draw_task_id()
        return RouteAnswer(content=_format_caption(caption), item=item)

    def _draw_task_id(self) -> str:
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    async def accept(self, order: CaptionOrder, context: RequestContext) -> RouteAnswer:
        """Give *order* a task id; the work begins once it is paid."""
        task_id = self._draw_task_id()
        fault = context.callback_fault

        async def begin(hold: Hold) -> None:
            task = self.background.start(self._run(task_id, order, hold, fault))
            if fault is not None and fault.callback == "early":
                await asyncio.wait([task])

        context.note = await self._find_obstacle(order)
        note = (context.note or "").encode("ascii", "backslashreplace").decode()
        headers = {"X-Local-Note": note} if note else {}
        return RouteAnswer(content={"task_id": task_id}, item=task_id, headers=headers, then=begin)

    async def _find_obstacle(self, order: CaptionOrder) -> str | None:
        """Say why nothing will come of a task that is accepted, where that is known already."""
        if not isinstance(order.video, FormFile) and await self._find_video(order.video) is None:
            try:
                self.fetcher.policy.check(order.video)
            except Unreachable as error:
                return f"the video will not be fetched: {error}"
        assert order.callback is not None
        try:
            self.outbox.egress.policy.check(order.callback)
        except Unreachable as error:
            return f"the callback will not be delivered: {error}"
        return None

    async def _run(
        self, task_id: str, order: CaptionOrder, hold: Hold, fault: Fault | None
    ) -> None:
        body = await self._build_body(task_id, order)
        if fault is not None and fault.callback == "failure":
            body = build_failure(task_id, "A failure, asked for by a fault.")
        if body["status"] != 0:
            hold.refund(task_id)
        assert order.callback is not None
        result = DeliveryResult(task_id=task_id, url=order.callback, body=body)
        await self.outbox.dispatch(result, fault)

    async def _build_body(self, task_id: str, order: CaptionOrder) -> dict[str, object]:
        try:
            caption = await self._caption(order)
        except (_OutsideLimits, Unreachable, EngineError) as error:
            return build_failure(task_id, str(error))
        except OSError as error:
            _log.exception("captioning failed")
            return build_failure(task_id, explain_os_error(error))
        except Exception:  # noqa: BLE001  # an engine may be anybody's; its errors are logged
            _log.exception("captioning failed")
            return build_failure(task_id, "The engine failed.")
        return {"status": 0, "task_id": task_id, "data": _format_caption(caption)}

    async def _caption(self, order: CaptionOrder) -> CaptionText:
        index = await self._index(order.video)
        duration, limits = index.facts.duration, self.page_limits
        if not limits.shortest <= duration <= limits.longest:
            raise _OutsideLimits(
                f"The video lasts {duration:.1f} seconds; "
                f"it must be between {limits.shortest:g} and {limits.longest:g}."
            )
        request = CaptionRequest(
            user_prompt=order.user_prompt,
            system_prompt=order.system_prompt,
            persons=tuple([await self._load_reference(person) for person in order.persons]),
            thinking=order.thinking,
        )
        return await self.engine_pool.caption(index, request)

    async def _index(self, video: str | FormFile) -> Index:
        if isinstance(video, FormFile):
            return await self._index_content(video.content, video.file_name)
        found = await self._find_video(video)
        if found is not None:
            if found.path.stat().st_size > self.page_limits.video_size:
                raise _OutsideLimits(f"The video {found.path.name} is larger than the limit.")
            return await self.engine_pool.index(found)
        content = await self.fetcher.fetch(video, largest=self.page_limits.video_size)
        return await self._index_content(content, URL(video).name)

    async def _index_content(self, content: bytes, file_name: str) -> Index:
        # Some decoders need a suffix; nothing else of the given name is used.
        suffix = PurePosixPath(file_name).suffix
        suffix = suffix if suffix[1:].isalnum() and len(suffix) < 8 else ".mp4"  # noqa: PLR2004

        def index_copy() -> Index:
            with tempfile.TemporaryDirectory(prefix="memories-") as folder:
                path = Path(folder) / f"video{suffix}"
                path.write_bytes(content)
                return self.engine_pool.index_file(path)

        return await self.engine_pool.in_index_thread(index_copy)

    async def _load_reference(self, person: NamedPerson) -> ReferencePerson:
        image = person.image
        if image is None and person.url is not None:
            try:
                image = await self.fetcher.fetch(person.url, largest=self.page_limits.image_size)
            except Unreachable as error:
                # A forbidden picture is left out; one that cannot be fetched is an error.
                if not error.is_forbidden:
                    raise
        return ReferencePerson(name=person.name, image=image)

    async def _find_video(self, url: str) -> LocalVideo | None:
        """Find the library's video that the last part of *url* names, by file name or id."""
        try:
            name = URL(url).name
        except ValueError:
            return None
        return await self.engine_pool.find_file(name) or await self.engine_pool.find(name)


def _format_caption(caption: CaptionText) -> dict[str, object]:
    tokens = {
        "input": caption.input_tokens,
        "output": caption.output_tokens,
        "total": caption.input_tokens + caption.output_tokens,
    }
    return {"text": caption.text, "token": tokens}
