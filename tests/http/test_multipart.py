"""Multipart bodies: the same bytes whichever way they leave, and no copy or thread that is not due."""

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
    """How a body leaves is nobody's business but ours."""
    path = tmp_path / "v.mp4"
    path.write_bytes(bytes(size))

    for encoded in (upload(path), upload(path.read_bytes()), search(size)):
        joined = await encoded.join()

        assert b"".join(await streamed(encoded)) == joined
        assert len(joined) == encoded.size


async def test_what_stands_between_files_is_one_piece():
    """Heads and fields of a form leave together, not in a write each."""
    pieces = await streamed(search(100))

    assert len(pieces) == 3
    assert pieces[1].startswith(PNG)
    assert pieces[2].count(b"form-data") == 3


async def test_bytes_at_hand_need_no_thread(monkeypatch):
    """They are handed over where they are, a megabyte at a time."""
    monkeypatch.setattr(threading.Thread, "start", None)

    pieces = await streamed(upload(bytes(2 * MB + 1)))

    assert [len(piece) for piece in pieces[1:-1]] == [MB, MB, 1]


async def test_the_loop_goes_on_while_a_file_is_read(tmp_path):
    """A disk that is slow stalls nobody else."""
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
    [(1000, False, True), (100_000, False, False), (100_000, True, True), (2 * MB, True, False)],
)
def test_only_short_bodies_are_joined(size, from_file, short, tmp_path):
    """Bytes at hand are copied below 64 KB, files are read at once below a megabyte."""
    path = tmp_path / "v.mp4"
    path.write_bytes(bytes(size))

    assert upload(path if from_file else bytes(size)).is_small is short


async def test_leaving_early_waits_for_the_read_ahead(tmp_path):
    """A request that fails half-way closes its files after their last read, and not under it."""
    path = tmp_path / "v.mp4"
    path.write_bytes(bytes(4 * MB))

    async with multipart.FormStream(upload(path)) as stream:
        pieces = aiter(stream)
        for _ in range(2):
            await anext(pieces)
        ahead = stream._next

    assert ahead.done()
    with pytest.raises(ValueError, match="closed"):
        stream._open[1].read(1)


async def test_a_file_that_is_gone_is_known_before_a_byte_leaves(tmp_path):
    """The files before it are closed again."""
    path = tmp_path / "v.mp4"
    path.write_bytes(bytes(2 * MB))
    encoded = upload(path)
    path.unlink()

    with pytest.raises(NotSent, match="cannot be opened"):
        await streamed(encoded)
