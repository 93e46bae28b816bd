"""batch add: many uploads from a table, each paid once, and waited for."""

from __future__ import annotations

import pytest

from memories_async._flows import library


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """Ask often, and upload at once."""
    for wait in (library.wait_for_video, library.wait_for_asset):
        monkeypatch.setitem(wait.__kwdefaults__, "interval", 0.01)
    for family in ("VIDEO_UPLOAD", "VIDEO_METADATA", "ASSET_UPLOAD", "ASSET_METADATA"):
        monkeypatch.setenv(f"MEMORIES_{family}_RATE", "1000")


@pytest.fixture
def words(tmp_path):
    """A batch of three files, two of them with the same content."""
    lines = ["key,file"]
    for name, content in (("a", b"one"), ("b", b"two"), ("c", b"one")):
        path = tmp_path / f"{name}.mp4"
        path.write_bytes(content * 100)
        lines.append(f"{name},{path}")
    table = tmp_path / "files.csv"
    table.write_text("\n".join(lines))
    return ("batch", "add", "--from", table, "--ledger", tmp_path / "run.db")


@pytest.mark.parametrize(("flags", "name"), [((), "video_no"), (("--asset",), "asset_id")])
def test_each_content_is_uploaded_once_and_waited_for(cli, service, words, flags, name):
    """A second run uploads nothing and lists the same ids."""
    first = cli(*words, *flags, "--json")
    again = cli(*words, *flags, "--json")

    added = {one["key"]: one for one in first.json["added"]}
    assert first.code == again.code == 0
    assert {one["status"] for one in added.values()} <= {"PARSE", "SUCCESS"}
    assert added["a"][name] == added["c"][name] != added["b"][name]
    assert service.account.paid == 2
    assert again.json["replayed"] == 3
    assert {one["key"]: one for one in again.json["added"]} == added


def test_a_line_for_each_file_has_its_id(cli, service, words, tmp_path):
    """As `add` writes it; files are uploaded in any order."""
    shown = cli(*words, "--unique-id", "mine").out

    lines = {f"{one.id}  PARSE  {tmp_path / 'a.mp4'}" for one in service.uploads}
    assert len(lines & {*shown.splitlines()}) == 1


def test_a_file_that_is_not_ready_in_time_ends_with_5(cli, service, words):
    """It was uploaded, and is named."""
    service.faults.add(kind="null", route="videos.metadata", times=None)

    ended = cli(*words, "--timeout", "0.05")

    assert ended.code == 5
    assert f"{service.uploads[0].id} is not ready after 0.05 s" in ended.err
    assert cli(*words, "--no-wait").code == 0


def test_assets_have_no_scope(cli, service, words):
    """So the option is refused, and nothing is sent."""
    ended = cli(*words, "--asset", "--unique-id", "mine")

    assert (ended.code, service.account.calls) == (2, 0)


@pytest.fixture
def files(tmp_path):
    """Two rows for one file, and one for another."""
    for name in ("a", "b"):
        (tmp_path / f"{name}.mp4").write_bytes(name.encode() * 100)
    table = tmp_path / "rows.csv"
    table.write_text(
        "key,file\n" + "".join(f"{key},{tmp_path / name}.mp4\n" for key, name in ("1a", "2b", "3a"))
    )
    return table


def test_a_row_leads_from_a_file_to_its_embedding(cli, service, files, tmp_path):
    """Each file is uploaded once; a second run pays nothing."""
    words = ("batch", "embed", "--from", files, "--ledger", tmp_path / "run.db")
    plan = cli(*words, "--dry-run", "--json").json
    first = cli(*words, "--json")
    again = cli(*words, "--json")

    assert (plan["plan"]["uploads"], plan["plan"]["calls"]) == (2, 4)
    assert (first.code, first.json["done"] + first.json["replayed"]) == (0, 3)
    assert (again.code, again.json["replayed"]) == (0, 3)
    assert len(service.uploads) == 2
    assert service.account.paid == 4


def test_a_row_leads_from_a_file_to_its_clips(cli, service, picture, film, tmp_path):
    """Rows with a video of the service stand beside them."""
    table = tmp_path / "rows.csv"
    number = service.library[0].video_no
    table.write_text(f"image,file,video_no\n{picture},{film},\n{picture},,{number}\n")
    words = ("--ledger", tmp_path / "run.db", "--prompt", "red")

    ended = cli("batch", "search", "--from", table, *words, "--json")

    assert (ended.code, ended.json["done"]) == (0, 2)
    assert service.account.paid == 3


def test_a_file_that_cannot_be_uploaded_leaves_its_rows_out(cli, service, files, tmp_path):
    """The others are answered."""
    (tmp_path / "b.mp4").unlink()

    ended = cli("batch", "embed", "--from", files, "--ledger", tmp_path / "run.db", "--json")

    assert (ended.json["done"] + ended.json["replayed"], ended.json["invalid"]) == (2, 1)
    assert ended.code == 2
