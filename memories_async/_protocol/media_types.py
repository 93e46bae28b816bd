"""Extensions and types of pictures and videos. Pure.

A table of the system would make calls depend on the machine that builds them.
"""

from __future__ import annotations

IMAGE_TYPES = {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".gif": "image/gif",
    ".bmp": "image/bmp",
    ".webp": "image/webp",
}
VIDEO_TYPES = {
    f".{extension}": content_type
    for content_type, extensions in {
        "video/mp4": "mp4",
        "video/x-m4v": "m4v",
        "video/quicktime": "mov qt",
        "video/x-msvideo": "avi",
        "video/x-matroska": "mkv",
        "video/webm": "webm",
        "video/x-flv": "flv f4v",
        "video/x-ms-wmv": "wmv",
        "video/x-ms-asf": "asf",
        "video/mpeg": "mpg mpeg mpe m2v vob",
        "video/mp2t": "ts mts m2ts",
        "video/3gpp": "3gp",
        "video/3gpp2": "3g2",
        "video/ogg": "ogv",
        "video/mxf": "mxf",
        "video/x-dv": "dv",
    }.items()
    for extension in extensions.split()
}
"""Content types of video files by extension."""
IMAGE_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", ".png"),
    (b"\xff\xd8\xff", ".jpg"),
    (b"GIF8", ".gif"),
    (b"BM", ".bmp"),
)
"""The first bytes of a picture and its extension; WebP has its mark further on."""
