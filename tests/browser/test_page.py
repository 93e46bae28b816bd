"""The page of a report in Chromium: it plays, it is walked by keyboard, and it asks nobody for anything.

`nox -s browser` runs these, and leaves screenshots in `build/browser`.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
from pathlib import Path

import pytest

if not os.environ.get("MEMORIES_TEST_BROWSER"):
    pytest.skip("nox -s browser runs what needs a browser", allow_module_level=True)
BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
if not (BROWSER and DRIVER):
    pytest.skip("needs chromium and chromedriver", allow_module_level=True)
webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium")
pytest.importorskip("jinja2", reason="a report needs Jinja2")

import reports  # noqa: E402
from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.action_chains import ActionChains  # noqa: E402
from selenium.webdriver.common.actions.action_builder import ActionBuilder  # noqa: E402
from selenium.webdriver.common.actions.pointer_input import PointerInput  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

from memories_async.report import Report  # noqa: E402

SHOTS = Path(os.environ.get("MEMORIES_TEST_SHOTS", "build/browser")).absolute()
PATIENCE = 60
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two pages of one ledger, one with its clips inside."""
    folder = tmp_path_factory.mktemp("page")
    film = reports.make_film(folder / "film.mp4", seconds=9, size=(320, 180))
    clips = ((6.0, 7.5, 0.9), (0.5, 2.0, 0.5), (3.0, 4.0, 0.3))
    old = reports.make_film(folder / "old.mp4", seconds=3, codec="mpeg4")
    rows = [
        reports.search(prompt=reports.HOSTILE, video=reports.HOSTILE),
        reports.search(prompt="an old codec", video="VI2"),
        reports.search(clips=clips),
        reports.caption(reports.HOSTILE, persons=["Alice"]),
        reports.caption("A bar grows over three colours."),
        *reports.embeddings(60, groups=12),
        {"call": "clips.search", "asked": {}, "state": "unknown", "message": reports.HOSTILE},
    ]
    ledger = reports.write_ledger(folder / "run.db", rows)
    media = {"VI1": film, "VI2": old, **{f"re_{at}": film for at in range(60)}}
    Report(ledger, media=media).write(folder / "report.html")
    Report(ledger, media=media, embed_clips=True).write(folder / "embedded.html")
    ledger.close()
    return folder


@pytest.fixture(scope="module")
def chromium():
    """The browser, whose console and requests are kept."""
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for flag in FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def show(chromium, folder):
    """Open a page at a width; at the end, the console is empty and no request has left."""

    def show(name="report.html", *, width=1280, dark=False):
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        chromium.get((folder / name).as_uri())
        return chromium

    yield show
    assert chromium.get_log("browser") == []
    asked = [json.loads(one["message"])["message"] for one in chromium.get_log("performance")]
    urls = [
        one["params"]["request"]["url"]
        for one in asked
        if one["method"] == "Network.requestWillBeSent"
    ]
    assert {url.partition(":")[0] for url in urls} <= {"file", "data", "blob"}
    assert any(url.startswith("file:") for url in urls)


def take_shot(driver, name) -> None:
    """Keep a picture of the whole page."""
    measure = "return [document.documentElement.clientWidth, document.documentElement.scrollHeight]"
    width, height = driver.execute_script(measure)
    clip = {"x": 0, "y": 0, "width": width, "height": min(height, 6000), "scale": 1}
    shot = driver.execute_cdp_cmd(
        "Page.captureScreenshot", {"format": "png", "captureBeyondViewport": True, "clip": clip}
    )
    SHOTS.mkdir(parents=True, exist_ok=True)
    (SHOTS / f"{name}.png").write_bytes(base64.b64decode(shot["data"]))


def read_video(driver):
    """Where the clip that plays is, in seconds."""
    return driver.execute_script(
        "const v = document.querySelector('.playing video'); return v ? v.currentTime : -1"
    )


@pytest.mark.parametrize(("name", "start"), [("report.html", 6.0), ("embedded.html", 0.0)])
def test_a_bar_of_the_timeline_plays_its_clip(show, name, start) -> None:
    """The video seeks to the clip, and its time moves on from there; it stops at the clip's end."""
    driver = show(name)
    bar = driver.find_element(By.CSS_SELECTOR, "svg.timeline a.best[href='#s0-0']")

    ActionChains(driver).scroll_to_element(bar).move_to_element(bar).click().perform()

    WebDriverWait(driver, PATIENCE).until(lambda d: read_video(d) > start + 0.1)
    paused = "return document.querySelector('.playing video').paused"
    WebDriverWait(driver, PATIENCE).until(lambda d: d.execute_script(paused))
    assert start + 1 <= read_video(driver) < start + 3
    take_shot(driver, f"playing-{name.partition('.')[0]}")


def test_a_clip_that_does_not_play_is_told(show) -> None:
    """The note says so before, and the clip after it was tried; both name the remedy."""
    driver = show()
    (search,) = driver.find_elements(By.XPATH, "//article[.//h3='an old codec']")
    bar = search.find_element(By.CSS_SELECTOR, "svg.timeline a.best")

    ActionChains(driver).scroll_to_element(bar).move_to_element(bar).click().perform()

    told = (By.CSS_SELECTOR, "li.broken .none")
    WebDriverWait(driver, PATIENCE).until(lambda _: search.find_elements(*told))
    assert "This clip does not play here" in search.find_element(*told).text
    assert search.text.count("--embed-clips") == 2
    assert "Most browsers do not play video in MPEG-4 part 2" in search.text
    take_shot(driver, "unplayable")


def test_controls_come_when_they_are_wanted(show) -> None:
    """They would darken the still: the pointer or the focus brings them."""
    driver = show()
    (card,) = driver.find_elements(By.CSS_SELECTOR, "li[data-end='7.5']")
    video = card.find_element(By.TAG_NAME, "video")
    before = video.get_property("controls")

    ActionChains(driver).scroll_to_element(video).move_to_element(video).perform()

    assert before is False
    assert video.get_property("controls") is True
    assert "idle" not in card.get_attribute("class")


def test_a_touch_plays_a_clip(show) -> None:
    """The first one, on a phone, from the clip's first second."""
    driver = show(width=390)
    (video,) = driver.find_elements(By.CSS_SELECTOR, "li[data-end='7.5'] video")
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", video)
    finger = ActionBuilder(driver, mouse=PointerInput("touch", "finger"))

    finger.pointer_action.move_to(video).pointer_down().pointer_up()
    finger.perform()

    WebDriverWait(driver, PATIENCE).until(lambda _: video.get_property("currentTime") > 6.1)
    assert video.get_property("controls") is True


def test_a_dot_shows_its_neighbours(show) -> None:
    """The entry beside the map opens, with the nearest first, and their dots are marked."""
    driver = show()
    dot = driver.find_element(By.CSS_SELECTOR, "svg.plot a[href='#v14']")

    ActionChains(driver).scroll_to_element(dot).move_to_element(dot).click().perform()

    (entry,) = driver.find_elements(By.CSS_SELECTOR, ".films details[open]")
    links = entry.find_elements(By.TAG_NAME, "a")
    near = [one.get_dom_attribute("href") for one in links]
    marked = driver.find_elements(By.CSS_SELECTOR, "svg.plot a.near")
    assert entry.get_attribute("id") == "v14"
    assert {int(one[2:]) % 12 for one in near[:4]} == {2}
    assert {one.get_dom_attribute("href") for one in marked} == {*near}
    take_shot(driver, "map")


def test_the_page_is_walked_by_keyboard(show) -> None:
    """Tab reaches the skip link, the bars and the dots; Enter plays, and shows the neighbours."""
    driver = show()
    focused = "const e = document.activeElement; return e.getAttribute('href') || e.tagName"
    seen = []
    for _ in range(140):
        ActionChains(driver).send_keys(Keys.TAB).perform()
        seen.append(driver.execute_script(focused))
        if seen[-1] == "#s0-0":
            ActionChains(driver).send_keys(Keys.ENTER).perform()
            WebDriverWait(driver, PATIENCE).until(lambda d: read_video(d) > 6.0)
        if seen[-1] == "#v3":
            ActionChains(driver).send_keys(Keys.ENTER).perform()
            break

    assert seen[0] == "#content"
    assert "#s0-0" in seen
    assert driver.find_element(By.ID, "v3").get_attribute("open")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_fits_and_can_be_read(show, width, dark) -> None:
    """Nothing is wider than the screen, and all text has a contrast of at least 4.5 (WCAG AA)."""
    driver = show(width=width, dark=dark)

    widest = driver.execute_script("return document.documentElement.scrollWidth")
    poor = driver.execute_script(CONTRAST)
    take_shot(driver, f"page-{width}-{'dark' if dark else 'light'}")

    assert widest <= width
    assert poor == []


def test_the_page_is_whole_without_script(show, chromium) -> None:
    """Tables, stills and videos are there, and entries of the list open."""
    chromium.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        driver = show()
        assert len(driver.find_elements(By.CSS_SELECTOR, "video[controls]")) == 4
        assert "A bar grows over three colours." in driver.find_element(By.TAG_NAME, "main").text
        assert driver.find_element(By.CSS_SELECTOR, ".timeline image").get_attribute("href")
        take_shot(driver, "without-script")
    finally:
        chromium.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


CONTRAST = """
const part = (c) => { c /= 255; return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; };
const read = (text) => text.match(/[\\d.]+/g).map(Number);
const light = ([r, g, b]) => 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
const poor = [];
for (const element of document.querySelectorAll("body *")) {
  const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
  if (!own || element.closest("svg, script, .skip")) continue;
  let behind = element, colour = [0, 0, 0, 0];
  while (behind && (colour = read(getComputedStyle(behind).backgroundColor)).length === 4
         && colour[3] === 0) behind = behind.parentElement;
  const one = light(read(getComputedStyle(element).color)), other = light(colour);
  const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
  if (ratio < 4.5) poor.push([element.tagName, element.className, ratio]);
}
return poor;
"""
"""Lists the elements whose text is too pale or too dark for what is behind it."""
