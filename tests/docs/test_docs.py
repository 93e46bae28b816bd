"""The code blocks of the README and of docs/ run, each page's in order, against the embedded service.

A page finds what a reader would have: a key and hosts in the environment, `holiday.mp4`,
`query.png` and `alice.png` in the folder, and ids of uploaded videos in `videos.txt` and
`assets.txt`. A block under the comment `<!-- not run: why -->` is only compiled.
"""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"(<!-- not run: [^>]+-->\n+)?```python\n(.*?)```", re.DOTALL)

cv2 = pytest.importorskip("cv2", reason="the pages run against the embedded service")


@pytest.fixture(scope="module")
def film(tmp_path_factory) -> Path:
    """A film of several scenes, as a reader's own."""
    from memories_async.local.engine.video.render import render

    path = tmp_path_factory.mktemp("film") / "holiday.mp4"
    render(path, seconds=24, scenes=3, size=(320, 180))
    return path


@pytest.fixture
def desk(film, tmp_path, monkeypatch):
    """A reader's folder and environment, with the service running beside it."""
    from memories_async.local import LocalService

    frames = cv2.VideoCapture(str(film))
    frames.set(cv2.CAP_PROP_POS_MSEC, 3000)
    _, picture = frames.read()
    for name in ("query.png", "alice.png"):
        cv2.imwrite(str(tmp_path / name), picture)
    (tmp_path / film.name).write_bytes(film.read_bytes())
    monkeypatch.chdir(tmp_path)
    with LocalService(videos=[film], limits=None) as service:
        video = service.library[0]
        (tmp_path / "videos.txt").write_text(f"{video.video_no}\n")
        (tmp_path / "assets.txt").write_text(f"{video.asset_id}\n")
        monkeypatch.setenv("MEMORIES_API_KEY", service.api_key)
        for host in ("V1", "V2", "CAPTION"):
            monkeypatch.setenv(f"MEMORIES_{host}_BASE_URL", service.url)
        yield service


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_code_on_the_page_runs(page, desk) -> None:
    """What a reader copies works as it stands."""
    blocks = BLOCK.findall(page.read_text())
    names = {"__name__": "__main__"}

    for number, (left_out, block) in enumerate(blocks, 1):
        code = compile(textwrap.dedent(block), f"{page.name} block {number}", "exec")
        if not left_out:
            exec(code, names)


def test_every_block_is_one_that_the_tests_see() -> None:
    """No page has a python block in a form that would be passed over."""
    for page in PAGES:
        text = page.read_text()

        assert len(BLOCK.findall(text)) == text.count("```python"), page.name
