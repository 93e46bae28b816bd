"""What is sent to the routes that take files."""

from __future__ import annotations

import aiohttp

V1, V2 = "/serve/api/v1", "/serve/api/v2"
FILM = b"30:a dog and a ball"


def form_of(content=FILM, *, name="dog.mp4", kind="video/mp4", path=f"{V1}/upload", **fields):
    """Make the form of an upload; None leaves the file out."""
    form = aiohttp.FormData(default_to_multipart=True)
    for field, value in fields.items():
        for one in value if isinstance(value, list) else [value]:
            form.add_field(field, one)
    if content is not None:
        form.add_field("file", content, filename=name, content_type=kind)
    return form
