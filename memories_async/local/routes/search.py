"""`POST /serve/api/v1/search_clips_by_image`: the page "Search Clips by Image"."""

from __future__ import annotations

from pathlib import PurePath

from attrs import frozen

from memories_async.local.jobs.engine_pool import EnginePool
from memories_async.local.jobs.request_context import RequestContext, RouteAnswer
from memories_async.local.jobs.upload_store import DEFAULT, UploadStore
from memories_async.local.state.forms import FormFile, get_required, read_form
from memories_async.local.state.library import VIDEO, LocalVideo
from memories_async.local.state.page_limits import PageLimits
from memories_async.local.state.wire import Reason, Refusal, RouteHost

__all__ = ["SearchClips", "check_image"]

EXTENSIONS = (".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp")


@frozen(kw_only=True)
class SearchQuery:
    """A search request that was checked."""

    image: bytes
    prompt: str
    video: LocalVideo | None
    """None where the video is not parsed yet, so that no clip is found."""
    video_no: str


@frozen(kw_only=True)
class SearchClips:
    """Finds the clips of one video that look like an image."""

    engine_pool: EnginePool
    upload_store: UploadStore
    page_limits: PageLimits
    name: str = "clips.search"
    family: str = "search"
    path: str = "/serve/api/v1/search_clips_by_image"
    method: str = "POST"
    is_free: bool = False
    host: RouteHost = RouteHost.V1

    async def read(self, context: RequestContext) -> SearchQuery:
        """Check the image first, then the other fields."""
        form = await read_form(context.request, largest=self.page_limits.image_size, most=1)
        context.uploads += [one.sha256 for one in form.uploads]
        context.ignore_fields(form.fields, {"prompt", "video_no", "unique_id"})
        image = check_image(next(iter(form.files.get("file", ())), None))
        prompt = get_required(form.fields, "prompt")
        video_no = get_required(form.fields, "video_no")
        scope = form.fields.get("unique_id") or DEFAULT
        found = await self.upload_store.find(
            video_no, kind=VIDEO, account=context.account, unique_id=scope
        )
        if found is None:
            raise Refusal(Reason.NOT_FOUND, f"The video {video_no} does not exist.")
        is_parsed = found.status == "PARSE"
        if not is_parsed and context.dialect.unparsed == "refused":
            raise Refusal(Reason.WRONG, f"The video {video_no} is not parsed.")
        video = found.video if is_parsed else None
        return SearchQuery(image=image.content, prompt=prompt, video=video, video_no=found.id)

    async def work(self, order: SearchQuery, context: RequestContext) -> RouteAnswer:
        """Search the video, and note the words of the prompt that were ignored."""
        if order.video is None:
            return RouteAnswer(content=[], item=order.video_no)
        found = await self.engine_pool.search(order.video, order.image, order.prompt)
        context.ignored = found.ignored
        clips = [
            {
                "start_time": round(clip.start_time, 3),
                "end_time": round(clip.end_time, 3),
                "score": round(clip.score, 4),
            }
            for clip in found.clips
        ]
        return RouteAnswer(content=clips, item=order.video_no)


def check_image(image: FormFile | None) -> FormFile:
    """Return *image*; refuse one that the page forbids, naming the file."""
    if image is None:
        raise Refusal(Reason.MISSING, "The file parameter cannot be empty!")
    name = image.file_name
    if PurePath(name).suffix.lower() not in EXTENSIONS:
        allowed = ", ".join(EXTENSIONS)
        raise Refusal(Reason.WRONG, f"The file '{name}' is not of an allowed type: {allowed}.")
    if not image.content_type.lower().startswith("image/"):
        raise Refusal(
            Reason.WRONG, f"The Content-Type of the file '{name}' must start with image/."
        )
    if not image.content:
        raise Refusal(Reason.WRONG, f"The file '{name}' is empty.")
    return image
