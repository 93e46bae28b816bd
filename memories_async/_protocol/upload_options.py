"""What an upload into the video library says beside its video. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import TypedDict

from memories_async._protocol.arguments import check_text, check_url

MAX_CALLBACK = 299
"""Characters of a callback URL (memories.ai docs, "Upload Video from File")."""
MAX_TAGS = 20
MAX_CAMERA_MODEL = 200
_DATE_FORMAT = "%Y-%m-%d %H:%M:%S"


class UploadOptions(TypedDict, total=False):
    """What the service is told of an uploaded video beside the video; all of it is optional."""

    datetime_taken: datetime | str
    """When it was taken; as text, such as "2026-11-28 09:30:00". The service asks for no time zone."""
    camera_model: str
    """At most 200 characters."""
    latitude: float
    """Degrees, -90 to 90; together with *longitude*."""
    longitude: float
    """Degrees, -180 to 180."""
    folder_id: int
    """A folder of the library; -1 is the default one."""
    retain_original_video: bool
    """Whether the service keeps the original, which it does unless told otherwise."""
    video_transcription_prompt: str
    """What the transcription of the video is to mind."""


UPLOAD_NAMES = ("tags", *UploadOptions.__annotations__)
"""Fields that an upload may leave out, beside its callback."""


def build_options(
    unique_id: str, callback: str | None, tags: Iterable[str], options: UploadOptions
) -> tuple[tuple[str, str], ...]:
    """Check what an upload says beside its video, and return it as the fields of a form."""
    given = [("unique_id", check_text("unique_id", unique_id))]
    if callback is not None:
        if len(callback) > MAX_CALLBACK:
            raise ValueError(
                f"callback must be at most {MAX_CALLBACK} characters, not {len(callback)}"
            )
        given.append(("callback", check_url("callback", callback)))
    labels = [("tags", check_text("tags", tag)) for tag in tags]
    if len(labels) > MAX_TAGS:
        raise ValueError(f"tags must be at most {MAX_TAGS}, not {len(labels)}")
    return (*given, *labels, *_format_options(options))


def _format_options(options: UploadOptions) -> Iterator[tuple[str, str]]:
    unknown = sorted(options.keys() - UploadOptions.__annotations__.keys())
    if unknown:
        known = ", ".join(UploadOptions.__annotations__)
        raise TypeError(
            f"{unknown[0]} is no option of an upload: {known}; other fields go into extra"
        )
    if "datetime_taken" in options:
        yield "datetime_taken", _format_date(options["datetime_taken"])
    if "camera_model" in options:
        model = check_text("camera_model", options["camera_model"])
        if len(model) > MAX_CAMERA_MODEL:
            raise ValueError(f"camera_model must be at most {MAX_CAMERA_MODEL} characters")
        yield "camera_model", model
    if ("latitude" in options) is not ("longitude" in options):
        raise ValueError("latitude and longitude must be given together")
    if "latitude" in options and "longitude" in options:
        yield "latitude", _format_degrees("latitude", options["latitude"], 90)
        yield "longitude", _format_degrees("longitude", options["longitude"], 180)
    if "folder_id" in options:
        yield "folder_id", str(int(options["folder_id"]))
    if "retain_original_video" in options:
        yield "retain_original_video", str(bool(options["retain_original_video"])).lower()
    if "video_transcription_prompt" in options:
        name = "video_transcription_prompt"
        yield name, check_text(name, options["video_transcription_prompt"])


def _format_date(moment: datetime | str) -> str:
    if isinstance(moment, datetime):
        return moment.strftime(_DATE_FORMAT)
    try:
        datetime.strptime(moment, _DATE_FORMAT)  # noqa: DTZ007  # the service asks for no time zone
    except ValueError:
        raise ValueError(
            f'datetime_taken must be a datetime, or text such as "2026-11-28 09:30:00", not {moment!r}'
        ) from None
    return moment


def _format_degrees(name: str, degrees: float, most: int) -> str:
    if not -most <= degrees <= most:
        raise ValueError(f"{name} must be from -{most} to {most} degrees, not {degrees}")
    return str(degrees)
