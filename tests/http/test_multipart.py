"""Multipart bodies: the same bytes joined or streamed, and no needless copy or thread."""

from __future__ import annotations

import threading

import pytest

from memories_async import NotSent, captions, clips
from memories_async._http import multipart
from memories_async.media import MB

PNG = b"\x89PNG\r\n\x1a\n"


def search(size):
    image = PNG + bytes(size - len(PNG))
    return multipart.encode_form(clips.search(image, prompt="p", video_no="v").body)


def upload(video):
    asked = {"user_prompt": "u", "system_prompt": "s", "callback": "https://example.com/cb"}
    return multipart.encode_form(captions.upload_file(video, **asked).body)


async def streamed(encoded):
    async with multipart.FormStream(encoded) as stream:
        return [bytes(piece) async for piece in stream]


@pytest.mark.parametrize("size", [100, MB, 2 * MB + 1])
async def test_streamed_and_joined_bodies_are_the_same(size, tmp_path):
    """For files and for bytes, of every size."""
    path = tmp_path / "v.mp4"
    path.write_bytes(bytes(size))

    for encoded in (upload(path), upload(path.read_bytes()), search(size)):
        joined = b"".join(await encoded.load())

        assert b"".join(await streamed(encoded)) == joined
        assert len(joined) == encoded.size


async def test_the_text_between_two_files_is_one_chunk():
    """Part heads and fields are not written one by one."""
    pieces = await streamed(search(100))

    assert len(pieces) == 3
    assert pieces[1].startswith(PNG)
    assert pieces[2].count(b"form-data") == 3


async def test_bytes_in_memory_need_no_thread(monkeypatch):
    """They are sent without a copy, a megabyte at a time."""
    monkeypatch.setattr(threading.Thread, "start", None)

    pieces = await streamed(upload(bytes(2 * MB + 1)))

    assert [len(piece) for piece in pieces[1:-1]] == [MB, MB, 1]


async def test_files_are_read_in_a_thread(tmp_path):
    """A slow disk does not stop the event loop."""
    path = tmp_path / "v.mp4"
    path.write_bytes(bytes(3 * MB))
    readers, real = set(), multipart.Media.open

    class Watched:
        def __init__(self, reader):
            self._reader = reader

        def read(self, size):
            readers.add(threading.get_ident())
            return self._reader.read(size)

        def close(self):
            self._reader.close()

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(multipart.Media, "open", lambda media: Watched(real(media)))
        await streamed(upload(path))

    assert readers
    assert threading.get_ident() not in readers


@pytest.mark.parametrize(
    ("size", "from_file", "short"),
    [(100_000, False, True), (MB, False, False), (100_000, True, True), (2 * MB, True, False)],
)
def test_only_small_bodies_are_sent_in_one_piece(size, from_file, short, tmp_path):
    """Those below a megabyte."""
    path = tmp_path / "v.mp4"
    path.write_bytes(bytes(size))

    assert upload(path if from_file else bytes(size)).is_small is short


async def test_a_stream_that_is_left_early_waits_for_its_last_read(tmp_path):
    """Its files are closed after that read, not during it."""
    path = tmp_path / "v.mp4"
    path.write_bytes(bytes(4 * MB))

    async with multipart.FormStream(upload(path)) as stream:
        pieces = aiter(stream)
        for _ in range(2):
            await anext(pieces)
        ahead = stream._next

    assert ahead.done()
    with pytest.raises(ValueError, match="closed"):
        stream._open[1][1].read(1)


async def test_a_missing_file_raises_before_a_byte_is_sent(tmp_path):
    """The files opened before it are closed again."""
    path = tmp_path / "v.mp4"
    path.write_bytes(bytes(2 * MB))
    encoded = upload(path)
    path.unlink()

    with pytest.raises(NotSent, match="cannot be opened"):
        await streamed(encoded)
