"""`POST /serve/api/v1/search_clips_by_image`: the page "Search Clips by Image"."""

from __future__ import annotations

from pathlib import PurePath
from urllib.parse import quote

from attrs import frozen

from memories_async.local.jobs.engine_pool import Workshop
from memories_async.local.jobs.request_context import Answer, Visit
from memories_async.local.jobs.upload_store import DEFAULT, Shelf
from memories_async.local.state.forms import Upload, read_form, required
from memories_async.local.state.library import VIDEO, LocalVideo
from memories_async.local.state.page_limits import Rules
from memories_async.local.state.wire import Host, Reason, Refusal

__all__ = ["Search"]

EXTENSIONS = (".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp")


@frozen(kw_only=True)
class Query:
    """What the page's form asks."""

    image: bytes
    prompt: str
    video: LocalVideo | None
    """None where no clip can be found yet."""
    video_no: str


@frozen(kw_only=True)
class Search:
    """Finds the stretches of one video that look like a picture.

    The videos that the service was started with are in every `unique_id`; an upload is in its own.
    """

    workshop: Workshop
    shelf: Shelf
    rules: Rules
    name: str = "clips.search"
    path: str = "/serve/api/v1/search_clips_by_image"
    method: str = "POST"
    is_free: bool = False
    host: Host = Host.V1

    async def read(self, visit: Visit) -> Query:
        """Check the picture first, then the other fields."""
        form = await read_form(visit.request, largest=self.rules.image_size, most=1)
        visit.uploads += [one.sha256 for one in form.uploads]
        image = checked_image(next(iter(form.files.get("file", ())), None))
        prompt = required(form.fields, "prompt")
        video_no = required(form.fields, "video_no")
        scope = form.fields.get("unique_id") or DEFAULT
        found = await self.shelf.find(video_no, account=visit.account, unique_id=scope)
        if found is None or not video_no.startswith(VIDEO):
            raise Refusal(Reason.NOT_FOUND, f"The video {video_no} does not exist.")
        ready = found.status == "PARSE"
        if not ready and visit.dialect.unparsed == "refused":
            raise Refusal(Reason.WRONG, f"The video {video_no} is not parsed.")
        video = found.video if ready else None
        return Query(image=image.content, prompt=prompt, video=video, video_no=found.id)

    async def work(self, order: Query, visit: Visit) -> Answer:
        """Ask the engine; words of the prompt that it ignored go into a header."""
        if order.video is None:
            return Answer(content=[], item=order.video_no)
        found = await self.workshop.search(order.video, order.image, order.prompt)
        visit.ignored = found.ignored
        clips = [
            {
                "start_time": round(clip.start_time, 3),
                "end_time": round(clip.end_time, 3),
                "score": round(clip.score, 4),
            }
            for clip in found.clips
        ]
        ignored = ", ".join(quote(word, safe=" '") for word in found.ignored)
        headers = {"X-Local-Ignored": ignored}
        return Answer(content=clips, item=order.video_no, headers=headers)


def checked_image(image: Upload | None) -> Upload:
    """Refuse what the page forbids, naming the file."""
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
