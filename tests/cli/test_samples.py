"""samples: the files that the examples name."""

from __future__ import annotations

import pytest

cv2 = pytest.importorskip("cv2", reason="the film is rendered")

from memories_async.cli import samples  # noqa: E402


@pytest.fixture(autouse=True)
def _short_film(monkeypatch):
    """Render half a second instead of 24."""
    monkeypatch.setattr(samples, "_SECONDS", 0.5)
    monkeypatch.setattr(samples, "_QUERY_AT", 0.25)


def test_the_files_of_the_examples_are_written(cli, tmp_path):
    """A film, one of its frames and two portraits, which the library takes."""
    ended = cli("samples", tmp_path / "new", "--json")

    assert [path.rpartition("/")[2] for path in ended.json["files"]] == list(samples.FILES)
    for name in samples.FILES[1:]:
        assert cv2.imread(str(tmp_path / "new" / name)) is not None
    words = ("--video-no", "VI1", "--prompt", "red", "--dry-run")
    assert cli("search", tmp_path / "new" / "query.png", *words).code == 0
    persons = ("--person", f"Alice={tmp_path / 'new' / 'alice.png'}")
    film = tmp_path / "new" / "holiday.mp4"
    assert (
        cli(
            "caption",
            film,
            "--wait",
            *persons,
            "--dry-run",
            "--public-url",
            "https://me/",
            "--port",
            1,
        ).code
        == 0
    )


def test_files_that_are_there_are_kept_unless_forced(cli, tmp_path):
    """They may be the user's own."""
    (tmp_path / "query.png").write_bytes(b"mine")

    ended = cli("samples", tmp_path)

    assert ended.code == 2
    assert "query.png exists: add --force to overwrite it" in ended.err
    assert (tmp_path / "query.png").read_bytes() == b"mine"
    assert not (tmp_path / "holiday.mp4").exists()
    assert cli("samples", tmp_path, "--force").code == 0
    assert cv2.imread(str(tmp_path / "query.png")) is not None


def test_a_folder_that_cannot_be_written_is_reported(cli, tmp_path):
    """As a usage error."""
    (tmp_path / "file").write_bytes(b"")

    assert cli("samples", tmp_path / "file" / "folder").code == 2
