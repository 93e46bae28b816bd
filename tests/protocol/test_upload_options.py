"""What an upload says beside its video is checked before anything is sent."""

from __future__ import annotations

from datetime import datetime

import pytest

from memories_async import videos


def fields(**options):
    """The fields that an upload by URL sends beside it."""
    body = videos.upload_url("https://x.example/a.mp4", **options).body
    return dict(body.fields) | {"url": "", "unique_id": ""}


def test_options_are_sent_in_the_forms_of_the_page():
    """Times without a zone, numbers and truth as text."""
    sent = fields(
        datetime_taken=datetime(2026, 11, 28, 9, 30),  # noqa: DTZ001  # as the service asks
        camera_model="X1",
        latitude=52.5,
        longitude=-13.4,
        folder_id=-1,
        retain_original_video=False,
        video_transcription_prompt="names of ships",
    )

    assert sent == {
        "url": "",
        "unique_id": "",
        "datetime_taken": "2026-11-28 09:30:00",
        "camera_model": "X1",
        "latitude": "52.5",
        "longitude": "-13.4",
        "folder_id": "-1",
        "retain_original_video": "false",
        "video_transcription_prompt": "names of ships",
    }
    assert fields(datetime_taken="2026-11-28 09:30:00")["datetime_taken"] == "2026-11-28 09:30:00"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"datetime_taken": "yesterday"}, "datetime_taken must be a datetime, or text such as"),
        ({"camera_model": "x" * 201}, "camera_model must be at most 200 characters"),
        ({"latitude": 1.0}, "latitude and longitude must be given together"),
        ({"latitude": 91, "longitude": 0}, "latitude must be from -90 to 90 degrees, not 91"),
        ({"latitude": 0, "longitude": 181}, "longitude must be from -180 to 180 degrees"),
        ({"callback": "https://x.example/" + "a" * 300}, "callback must be at most 299 characters"),
        ({"video_transcription_prompt": " "}, "video_transcription_prompt must not be empty"),
        ({"tags": ["a"] * 21}, "tags must be at most 20, not 21"),
    ],
)
def test_an_option_that_the_service_would_refuse_is_refused(options, message):
    """The error names the argument and the rule."""
    with pytest.raises(ValueError, match=message):
        fields(**options)


def test_an_unknown_option_is_a_type_error_that_names_the_known_ones():
    """A field of the service that is new goes into `extra`."""
    with pytest.raises(TypeError, match=r"lens is no option of an upload: .*camera_model.* extra"):
        fields(lens="wide")
