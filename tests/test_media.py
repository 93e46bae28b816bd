"""Media: what is refused when a call is built, and how bytes are read when it is sent."""

from __future__ import annotations

import gzip
import hashlib
import io
import mimetypes
import mmap
import os
import pickle
import tempfile
import threading
import zipfile
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
def test_the_extension_of_a_path_decides_its_type(tmp_path, suffix):
    """Six extensions in either case; the name that is sent is this library's."""
    path = tmp_path / f"private{suffix.upper()}"
    path.write_bytes(b"x")
    one = picture(path)

    assert (one.name, one.content_type) == (f"query{suffix}", media.IMAGE_TYPES[suffix])
    assert one.content_type.startswith("image/")


@pytest.mark.parametrize("suffix", SNIFFED)
@pytest.mark.parametrize("kind", [bytes, bytearray, io.BytesIO])
def test_the_type_of_a_nameless_picture_is_read_from_its_first_bytes(suffix, kind):
    """Bytes and files without a name need no extension."""
    one = picture(kind(SNIFFED[suffix]))

    assert (one.name, content(one)) == (f"query{suffix}", SNIFFED[suffix])


def test_every_kind_of_source_is_read(png):
    """A path as text or object, bytes, an open file, a file in memory."""
    with png.open("rb") as file:
        for source in (str(png), png, PNG, file, io.BytesIO(PNG)):
            assert content(picture(source)) == PNG
            assert picture(source).size == len(PNG)


def test_every_binary_file_is_read(tmp_path, png):
    """Memory views and maps, temporary files, members of archives."""
    with gzip.open(tmp_path / "a.gz", "wb") as packed:
        packed.write(PNG)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("q.png", PNG)
    with (
        png.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
        tempfile.SpooledTemporaryFile() as spooled,
        tempfile.NamedTemporaryFile(suffix=".png") as named,
        zipfile.ZipFile(tmp_path / "a.zip").open("q.png") as member,
        gzip.open(tmp_path / "a.gz") as unpacked,
    ):
        spooled.write(PNG)
        spooled.seek(0)
        named.write(PNG)
        named.seek(0)
        for source in (memoryview(PNG), mapped, spooled, named, member, unpacked):
            one = media.prepare_image("image", source, name="query", max_size=None)
            assert (content(one), one.size, one.name) == (PNG, len(PNG), "query.png")


def test_a_temporary_file_open_for_text_is_a_type_error():
    """Its wrapper is no text file itself."""
    with tempfile.NamedTemporaryFile("w+") as file, pytest.raises(TypeError, match="for bytes"):
        picture(file)


@pytest.mark.parametrize("suffix", [".mkv", ".m4v", ".flv", ".wmv", ".webm", ".ts", ".3gp"])
def test_the_type_of_a_video_does_not_depend_on_the_machine(tmp_path, monkeypatch, suffix):
    """A container image without /etc/mime.types accepts the same files."""
    monkeypatch.setattr(mimetypes, "guess_type", lambda *_: (None, None))
    (tmp_path / f"v{suffix}").write_bytes(b"x")

    one = media.prepare_video("video", tmp_path / f"v{suffix}", max_size=None)

    assert one.content_type.startswith("video/")


def test_a_file_that_shrinks_while_it_is_read_is_not_sent(png, monkeypatch):
    """A small file is read before a byte is sent."""
    one = picture(png)
    monkeypatch.setattr(media.Media, "chunks", lambda *_: iter([PNG[:4]]))

    with pytest.raises(NotSent, match="was changed since the call was built"):
        one.read_bytes()


def test_the_type_of_a_temporary_file_is_read_from_its_first_bytes():
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
        ("https://example.com/a.png", "image must be a file, not a URL: download it first"),
        (".", "image must be a regular file"),
        (os.devnull, "image must be a regular file"),
    ],
)
def test_an_unusable_picture_is_refused_with_the_rule(source, rule):
    """The message names the argument and the rule."""
    with pytest.raises(ValueError, match=rule):
        picture(source)


def test_another_extension_of_a_picture_is_refused(tmp_path):
    """Even if the bytes are a picture's: the service decides by extension."""
    path = tmp_path / "query.tiff"
    path.write_bytes(PNG)

    with pytest.raises(ValueError, match=r"not \.tiff"):
        picture(path)


def test_a_picture_without_extension_is_refused(tmp_path):
    """Its first bytes are not read: the service decides by extension."""
    (tmp_path / "query").write_bytes(PNG)

    with pytest.raises(ValueError, match="not an unknown type"):
        picture(tmp_path / "query")


@pytest.mark.parametrize("source", [None, 7, ["a.png"], io.StringIO("text"), object()])
def test_another_type_of_source_is_a_type_error(source):
    """Text files included: their characters are not bytes."""
    with pytest.raises(TypeError, match="image must be a path, bytes or a file open for bytes"):
        picture(source)


def test_a_pipe_is_refused():
    """It cannot be read a second time."""
    read, write = os.pipe()
    os.close(write)
    with os.fdopen(read, "rb") as file, pytest.raises(ValueError, match="can be rewound"):
        picture(file)


def test_the_size_limit_is_exact():
    """None removes it."""
    assert picture(PNG, max_size=len(PNG)).size == len(PNG)
    assert picture(PNG, max_size=None).size == len(PNG)
    with pytest.raises(ValueError, match=f"at most {len(PNG) - 1} bytes, not {len(PNG)}"):
        picture(PNG, max_size=len(PNG) - 1)


@pytest.mark.parametrize(
    ("name", "content_type"),
    [("a.mp4", "video/mp4"), ("a.MOV", "video/quicktime"), ("a.webm", "video/webm")],
)
def test_the_extension_decides_the_type_of_a_video(tmp_path, name, content_type):
    """Bytes without a name count as mp4."""
    (tmp_path / name).write_bytes(b"x")
    one = media.prepare_video("video", tmp_path / name, max_size=None)

    assert (one.name, one.content_type) == (f"video{Path(name).suffix.lower()}", content_type)
    assert media.prepare_video("video", b"x", max_size=None).name == "video.mp4"


@pytest.mark.parametrize("name", ["a.txt", "a.png", "a.nothing"])
def test_another_extension_than_a_videos_is_refused(tmp_path, name):
    """The service decides by extension."""
    (tmp_path / name).write_bytes(b"x")

    with pytest.raises(ValueError, match="extension of a video"):
        media.prepare_video("video", tmp_path / name, max_size=None)


def test_an_open_file_is_read_from_its_position():
    """Each attempt begins there, and the file stays open at that position."""
    file = io.BytesIO(b"skip" + PNG)
    file.seek(4)
    one = picture(file)

    assert (one.size, one.start, content(one), content(one)) == (len(PNG), 4, PNG, PNG)
    assert (file.tell(), file.closed) == (4, False)


def test_two_calls_can_be_built_from_one_open_file():
    """Sending the first does not consume the file."""
    file = io.BytesIO(PNG)
    first = picture(file)
    content(first)

    assert content(picture(file)) == PNG


def test_one_open_file_serves_several_threads_at_once():
    """Reads and measurements do not disturb each other."""
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
    """The call was built for another content (fault case 70)."""
    one = picture(png)
    png.write_bytes(change)
    os.utime(png, ns=(1, 1))

    with pytest.raises(NotSent, match="was changed since the call was built"):
        one.open()


def test_a_file_that_was_deleted_is_not_sent(png):
    """Nothing is sent."""
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


def test_a_digest_covers_the_content_only(png):
    """The same picture under another name has the same digest."""
    assert picture(png).digest() == picture(PNG).digest() == picture(io.BytesIO(PNG)).digest()
    assert picture(PNG).digest() != picture(PNG + b"x").digest()


def test_a_digest_is_the_same_in_every_version():
    """A ledger finds the files that an earlier version sent."""
    assert picture(PNG).digest() == hashlib.blake2b(PNG, digest_size=20).hexdigest()
    assert len(picture(PNG).digest()) == 40


def test_a_medium_is_read_a_megabyte_at_a_time():
    """Memory stays constant however long a film is."""
    one = media.prepare_file("file", io.BytesIO(bytes(2 * 1024 * 1024 + 1)))

    assert [len(chunk) for chunk in one.chunks()] == [1024 * 1024, 1024 * 1024, 1]


def test_bytes_are_not_copied_to_be_read():
    """A file is read whole."""
    assert picture(PNG).read_bytes() is PNG
    assert picture(io.BytesIO(PNG)).read_bytes() == PNG


class Plain:
    """A binary file with the three methods that are needed, and nothing else."""

    def __init__(self, content):
        file = io.BytesIO(content)
        self.read, self.seek, self.tell = file.read, file.seek, file.tell


def test_a_file_needs_no_more_than_read_seek_and_tell():
    """It is open, has no name and can be rewound unless it says otherwise."""
    one = media.prepare_file("file", Plain(b"film"))

    assert (one.name, one.size, one.modified_at) == ("video", 4, None)
    assert content(one) == b"film"


def test_every_reader_of_a_path_is_closed(png, monkeypatch):
    """Whether the file was read to its end, left in the middle or found changed."""
    one, opened = picture(png), []
    open_path = Path.open
    monkeypatch.setattr(
        Path, "open", lambda *a, **b: opened.append(open_path(*a, **b)) or opened[-1]
    )
    content(one)
    chunks = one.chunks(3)
    next(chunks)
    chunks.close()
    os.utime(png, ns=(1, 1))
    with pytest.raises(NotSent):
        one.open()

    assert [file.closed for file in opened] == [True, True, True]


def test_a_file_of_any_kind_keeps_its_cleaned_name_and_its_extension(tmp_path):
    """Its folder is not sent, and nothing that could end a header."""
    path = tmp_path / 'a "b"\\c.TXT'
    path.write_bytes(b"x")
    one = media.prepare_file("file", path)

    assert (one.name, one.content_type) == ("a bc.txt", "application/octet-stream")
    assert one.modified_at == path.stat().st_mtime_ns
    assert (one.start, content(one), one.label) == (0, b"x", str(path))
    with path.open("rb") as file:
        assert media.prepare_file("file", file).name == "a bc.txt"
    with pytest.raises(ValueError, match="file must not be empty"):
        media.prepare_file("file", b"")


@pytest.mark.parametrize(
    ("source", "name"),
    [
        *(("a/b/Film 1.mp4", "Film 1"), (Path("x.y.mp4"), "x.y"), ("/", "video")),
        *((b"bytes", "video"), (io.BytesIO(), "video"), (".. .", "video")),
        *(("\n\x1b[2J.mp4", "[2J"), ("x" * 300 + ".mp4", "x" * 100)),
    ],
)
def test_a_name_is_derived_from_a_path_and_safe_in_a_header(source, name):
    """At most a hundred characters; `video` where nothing is left."""
    assert media.derive_name(source) == name


@pytest.mark.parametrize("name", ["", "  ", "a\nb", 'a"b', "a/b", "a\\b"])
def test_a_file_name_that_is_unsafe_in_a_header_is_refused(name):
    """The message names the argument and the value."""
    with pytest.raises(ValueError, match="name must be a file name without quotes and slashes"):
        media.check_file_name("name", name)
    assert media.check_file_name("name", "Film 1.mp4") == "Film 1.mp4"


def test_a_video_has_its_extension_once(tmp_path):
    """Whether or not its given name ends in it; its size limit is exact."""
    (tmp_path / "v.mov").write_bytes(b"film")
    prepared = [
        media.prepare_video("video", tmp_path / "v.mov", max_size=4, name=name)
        for name in ("v.mov", "v")
    ]

    assert [one.name for one in prepared] == ["v.mov", "v.mov"]
    assert {(one.size, one.start) for one in prepared} == {(4, 0)}
    assert prepared[0].modified_at == (tmp_path / "v.mov").stat().st_mtime_ns
    assert media.prepare_video("video", b"film", max_size=None).modified_at is None
    assert media.prepare_video("video", b"film", max_size=None).label == "video.mp4"
    with pytest.raises(ValueError, match="video must be at most 3 bytes, not 4"):
        media.prepare_video("video", b"film", max_size=3)


def test_a_picture_is_known_by_the_mark_of_webp_alone():
    """Other files of RIFF are films and sounds."""
    with pytest.raises(ValueError, match="not an unknown type"):
        picture(b"RIFF\x00\x00\x00\x00AVI LIST")
    with pytest.raises(ValueError, match="not an unknown type"):
        picture(b"riff\x00\x00\x00\x00WEBPVP8 ")


def test_the_repr_of_a_medium_shows_no_bytes(png):
    """It shows their number."""
    assert f"<{len(PNG)} bytes>" in repr(picture(PNG))
    assert png.name in repr(picture(png))


def test_paths_and_bytes_can_be_pickled(png):
    """A call can be sent from another process; an open file cannot."""
    for one in (picture(png), picture(PNG)):
        assert content(pickle.loads(pickle.dumps(one))) == PNG
    with png.open("rb") as file, pytest.raises(TypeError, match="pickle"):
        pickle.dumps(picture(file))
