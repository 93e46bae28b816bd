"""Media: what is refused when a call is built, and how bytes are read when it is sent."""

from __future__ import annotations

import io
import os
import pickle
import tempfile
import threading
from pathlib import Path

import pytest
from samples import PNG

from memories_async import media
from memories_async.errors import NotSent

SNIFFED = {
    ".png": PNG,
    ".jpg": b"\xff\xd8\xff\xe0 jpeg",
    ".gif": b"GIF89a gif",
    ".bmp": b"BM bitmap",
    ".webp": b"RIFF\x00\x00\x00\x00WEBPVP8 ",
}


def picture(source, *, max_size=None):
    """Describe a query picture."""
    return media.prepare_image("image", source, name="query", max_size=max_size)


def content(one):
    """Read a medium as a transport would."""
    return b"".join(one.chunks(3))


@pytest.fixture
def png(tmp_path) -> Path:
    """A picture on disk under a name that must not leave the machine."""
    path = tmp_path / "my secret holiday.PNG"
    path.write_bytes(PNG)
    return path


@pytest.mark.parametrize("suffix", media.IMAGE_TYPES)
def test_a_paths_extension_tells_its_type(tmp_path, suffix):
    """The page's six extensions, in either case; the name sent is ours."""
    path = tmp_path / f"private{suffix.upper()}"
    path.write_bytes(b"x")
    one = picture(path)

    assert (one.name, one.content_type) == (f"query{suffix}", media.IMAGE_TYPES[suffix])
    assert one.content_type.startswith("image/")


@pytest.mark.parametrize("suffix", SNIFFED)
@pytest.mark.parametrize("kind", [bytes, bytearray, io.BytesIO])
def test_nameless_pictures_are_told_by_their_first_bytes(suffix, kind):
    """Bytes and files without a name need no extension."""
    one = picture(kind(SNIFFED[suffix]))

    assert (one.name, content(one)) == (f"query{suffix}", SNIFFED[suffix])


def test_every_kind_of_source_gives_its_bytes(png):
    """A path as text or object, bytes, an open file, a file in memory."""
    with png.open("rb") as file:
        for source in (str(png), png, PNG, file, io.BytesIO(PNG)):
            assert content(picture(source)) == PNG
            assert picture(source).size == len(PNG)


def test_a_temporary_file_without_a_name_is_sniffed():
    """Its `name` is a number on some systems."""
    with tempfile.TemporaryFile() as file:
        file.write(PNG)
        file.seek(0)
        assert picture(file).name == "query.png"


@pytest.mark.parametrize(
    ("source", "rule"),
    [
        (b"", "image must not be empty"),
        (b"plain text", "image must be one of .jpg.*not an unknown type"),
        ("gone.png", "image cannot be read: gone.png: No such file"),
        (".", "image must be a regular file"),
        (os.devnull, "image must be a regular file"),
    ],
)
def test_unusable_pictures_are_refused_with_the_rule(source, rule):
    """The sentence names the argument and what is wrong."""
    with pytest.raises(ValueError, match=rule):
        picture(source)


def test_a_foreign_extension_is_refused(tmp_path):
    """Even where the bytes are a picture's: the page goes by extension."""
    path = tmp_path / "query.tiff"
    path.write_bytes(PNG)

    with pytest.raises(ValueError, match=r"not \.tiff"):
        picture(path)


def test_a_path_needs_an_extension(tmp_path):
    """Its first bytes are not read for it: the page goes by extension."""
    (tmp_path / "query").write_bytes(PNG)

    with pytest.raises(ValueError, match="not an unknown type"):
        picture(tmp_path / "query")


@pytest.mark.parametrize("source", [None, 7, ["a.png"], io.StringIO("text"), object()])
def test_what_is_no_source_at_all_is_a_type_error(source):
    """Text files among them: their characters are not the picture's bytes."""
    with pytest.raises(TypeError, match="image must be a path, bytes or a file open for bytes"):
        picture(source)


def test_a_pipe_is_refused():
    """It could not be sent a second time."""
    read, write = os.pipe()
    os.close(write)
    with os.fdopen(read, "rb") as file, pytest.raises(ValueError, match="can be rewound"):
        picture(file)


def test_size_limits_hold_to_the_byte():
    """And None lifts them."""
    assert picture(PNG, max_size=len(PNG)).size == len(PNG)
    assert picture(PNG, max_size=None).size == len(PNG)
    with pytest.raises(ValueError, match=f"at most {len(PNG) - 1} bytes, not {len(PNG)}"):
        picture(PNG, max_size=len(PNG) - 1)


@pytest.mark.parametrize(
    ("name", "content_type"),
    [("a.mp4", "video/mp4"), ("a.MOV", "video/quicktime"), ("a.webm", "video/webm")],
)
def test_videos_are_told_by_extension(tmp_path, name, content_type):
    """Bytes without a name are taken for mp4."""
    (tmp_path / name).write_bytes(b"x")
    one = media.prepare_video("video", tmp_path / name, max_size=None)

    assert (one.name, one.content_type) == (f"video{Path(name).suffix.lower()}", content_type)
    assert media.prepare_video("video", b"x", max_size=None).name == "video.mp4"


@pytest.mark.parametrize("name", ["a.txt", "a.png", "a.nothing"])
def test_what_is_no_video_is_refused(tmp_path, name):
    """By its extension, which is what the service goes by."""
    (tmp_path / name).write_bytes(b"x")

    with pytest.raises(ValueError, match="extension of a video"):
        media.prepare_video("video", tmp_path / name, max_size=None)


def test_an_open_file_is_read_from_where_it_stood():
    """Each attempt begins there again, and the file stays open and where its owner left it."""
    file = io.BytesIO(b"skip" + PNG)
    file.seek(4)
    one = picture(file)

    assert (one.size, one.start, content(one), content(one)) == (len(PNG), 4, PNG, PNG)
    assert (file.tell(), file.closed) == (4, False)


def test_two_calls_can_be_built_from_one_open_file():
    """Sending the first does not use the file up for the second."""
    file = io.BytesIO(PNG)
    first = picture(file)
    content(first)

    assert content(picture(file)) == PNG


def test_one_open_file_serves_several_threads_at_once():
    """Reads do not take each other's place, and neither does building another call."""
    file = io.BytesIO(PNG * 200)
    shared = picture(file)
    wrong: list[int] = []

    def read():
        for _ in range(20):
            if b"".join(shared.chunks(97)) != PNG * 200 or picture(file).size != shared.size:
                wrong.append(1)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not wrong


@pytest.mark.parametrize("change", [b"longer than before, by far", b"x" * len(PNG)])
def test_a_file_that_changed_since_the_call_was_built_is_not_sent(png, change):
    """The call was decided about another file (fault case 70)."""
    one = picture(png)
    png.write_bytes(change)
    os.utime(png, ns=(1, 1))

    with pytest.raises(NotSent, match="was changed since the call was built"):
        one.open()


def test_a_file_that_is_gone_is_not_sent(png):
    """No byte leaves for it."""
    one = picture(png)
    png.unlink()

    with pytest.raises(NotSent, match="cannot be opened: No such file"):
        one.open()


def test_a_file_that_was_closed_is_not_sent():
    """Its owner closed it between building and sending."""
    file = io.BytesIO(PNG)
    one = picture(file)
    file.close()

    with pytest.raises(NotSent, match="was closed since the call was built"):
        one.open()


def test_digests_tell_content_and_nothing_else(png):
    """The same picture under another name is the same picture."""
    assert picture(png).digest() == picture(PNG).digest() == picture(io.BytesIO(PNG)).digest()
    assert picture(PNG).digest() != picture(PNG + b"x").digest()


def test_media_shows_no_bytes(png):
    """A repr is for reading."""
    assert f"<{len(PNG)} bytes>" in repr(picture(PNG))
    assert png.name in repr(picture(png))


def test_paths_and_bytes_pickle(png):
    """A call can be sent from another process; an open file cannot go there."""
    for one in (picture(png), picture(PNG)):
        assert content(pickle.loads(pickle.dumps(one))) == PNG
    with png.open("rb") as file, pytest.raises(TypeError, match="pickle"):
        pickle.dumps(picture(file))
