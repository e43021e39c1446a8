"""The review page in a real browser: keys, undo, what is kept, what is downloaded, harmful names, 5,000 rows."""

from __future__ import annotations

import csv
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mentornet.reports import review
from mentornet.runs.samples import from_text
from tests.browser import chromium

NAMES = [
    "cat",
    "</script><script>window.hacked = 1</script>",
    "\"><img src=x onerror='window.hacked = 2'>",
    'two\nlines, "quoted"',
    "\u202egnp.elif",
    "=cmd|' /C calc'!A0",
    "{{ 7 * 7 }}",
    "dog",
]
FILES = ["plain.png", "<b onclick=alert(1)>.png", "qu\"ote's #1?.png", "\u202egnp.png", "new\nline.png", "%2e%2e.png"]
PATIENCE = 10  # seconds


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("browser")) as driver:
        yield driver


@pytest.fixture
def page(tmp_path) -> Path:
    """A page of 24 suspects, whose files are there."""
    rng, count = np.random.default_rng(0), 24
    paths = []
    for k in range(count):
        path = tmp_path / "photos" / f"{k:02d}" / FILES[k % len(FILES)]
        path.parent.mkdir(parents=True)
        Image.fromarray(rng.integers(0, 256, (200, 150, 3), np.uint8)).save(path)
        paths.append(path)
    suspects = {
        "index": np.arange(count),
        "given": np.arange(count) % len(NAMES),
        "predicted": (np.arange(count) + 3) % len(NAMES),
        "rank": count - np.arange(count),  # the last one is the most suspect
        "loss": np.linspace(0.1, 5, count),
        "weight": np.linspace(1, 0, count),
    }
    return review(suspects, class_names=NAMES, paths=paths, output=tmp_path / "review.html", title=NAMES[1])


def press(browser, *keys: str) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    for key in keys:
        ActionChains(browser).send_keys(key).perform()


def text(browser, place: str) -> str:
    return browser.execute_script("return document.querySelector(arguments[0]).textContent", place)


def downloaded(browser, folder: Path) -> list[list[str]]:
    """The table that the key S downloads."""
    file = folder / "corrections.csv"
    file.unlink(missing_ok=True)
    press(browser, "s")
    end = time.monotonic() + PATIENCE
    while not file.exists() and time.monotonic() < end:
        time.sleep(0.05)
    with open(file, newline="", encoding="utf-8") as stream:
        return list(csv.reader(stream))


def problems(browser) -> list[str]:
    return [entry["message"] for entry in browser.get_log("browser")]


def test_keys_undo_reload_and_download(browser, page, tmp_path):
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    browser.get(page.as_uri())
    press(browser, "a", "p", "x", "c", "DOG", "\ue007", "x", "u")  # \ue007 is Enter
    expected = {  # by hand: the most suspect is 23, then 22, ...
        23: ("confirm", NAMES[23 % 8]),
        22: ("relabel", NAMES[(22 + 3) % 8]),
        21: ("leave_out", ""),
        20: ("relabel", "dog"),
    }
    for _ in range(2):
        assert text(browser, "#count").startswith("4 of 24 decided, 2 relabelled")
        head, *rows = downloaded(browser, tmp_path)
        assert head == ["index", "path", "action", "label"]
        assert {int(row[0]): (row[2], from_text(row[3])) for row in rows} == expected
        assert [Path(from_text(row[1])).parent.name for row in rows] == ["20", "21", "22", "23"]
        browser.refresh()  # the browser has kept it, the cursor is at the first open one
    assert browser.execute_script("return document.querySelector('.card.current').dataset.index") == "19"
    press(browser, "u", "u")
    assert text(browser, "#count").startswith("2 of 24 decided, 1 relabelled")
    press(browser, "u", "u", "u")
    assert browser.execute_script("return [undo.disabled, download.disabled]") == [True, True]
    assert problems(browser) == []


def test_filters_show_pairs_and_arrows_move(browser, page):
    browser.get(page.as_uri())
    browser.execute_script("document.querySelector('[data-pair=\"7,2\"]').click()")
    indices = "return [...document.querySelectorAll('.card')].map((card) => Number(card.dataset.index)).sort()"
    assert browser.execute_script(indices) == [15, 23, 7]
    browser.execute_script("show.value = 'open'; show.dispatchEvent(new Event('change'))")
    press(browser, "\ue014", "x")  # the arrow to the right: the second, 15, is decided and leaves the list
    assert browser.execute_script(indices) == [23, 7]
    browser.execute_script("clear.click()")
    assert len(browser.execute_script(indices)) == 24
    browser.execute_script("localStorage.clear()")


def test_names_are_text_and_nothing_else_runs(browser, page):
    browser.get(page.as_uri())
    assert NAMES[1] in browser.title
    labels = browser.execute_script("return [...document.querySelectorAll('.card .given')].map((c) => c.textContent)")
    assert set(labels) == {name.replace("\n", "\u00b6") for name in NAMES}
    assert browser.execute_script("return document.querySelectorAll('main script, main b[onclick]').length") == 0
    hrefs = []
    for _ in FILES:
        hrefs.append(browser.execute_script("return fetchable = document.getElementById('original').href"))
        press(browser, "\ue014")
    assert problems(browser) == []
    for href in hrefs:  # each names its file, whatever is in its name
        browser.get(href)
        assert browser.execute_script("return document.images[0].naturalHeight") == 200
    browser.get(page.as_uri())
    browser.execute_script("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.hacked = 3\">')")
    browser.execute_script(
        "document.body.append(Object.assign(document.createElement('script'), {text: 'hacked = 4'}))"
    )
    blocked = browser.execute_async_script(
        "const done = arguments[0]; fetch('https://127.0.0.1:9/').then(() => done(false), () => done(true))"
    )
    assert blocked
    assert browser.execute_script("return window.hacked") is None
    assert sum("Content Security Policy" in problem for problem in problems(browser)) >= 3


def test_five_thousand_suspects_react_at_once(browser, tmp_path):
    rng, count = np.random.default_rng(0), 5000
    suspects = {
        "index": np.arange(count),
        "given": rng.integers(0, 100, count),
        "predicted": rng.integers(0, 100, count),
        "rank": np.arange(count) + 1,
        "loss": rng.exponential(2, count),
    }
    images = rng.integers(0, 256, (count, 32, 32, 3), np.uint8)
    page = review(suspects, images, output=tmp_path / "review.html", top=count)
    started = time.monotonic()
    browser.get(page.as_uri())
    assert text(browser, "#count").startswith("0 of 5,000")
    assert time.monotonic() - started < PATIENCE
    assert browser.execute_script("return document.querySelectorAll('.card').length") < 100
    # A hundred decisions and jumps to both ends, each drawn in full.
    milliseconds = browser.execute_script(
        """
        const press = (key) => document.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
        const target = document.getElementById("grid");
        const keys = (key) => target.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
        const started = performance.now();
        for (let k = 0; k < 100; k += 1) { keys("x"); document.body.offsetHeight; }
        keys("End"); document.body.offsetHeight; keys("Home"); document.body.offsetHeight;
        return performance.now() - started;
        """
    )
    assert text(browser, "#count").startswith("100 of 5,000")
    assert milliseconds < 5000  # 50 ms each on a busy machine; some 5 on a free one
    assert problems(browser) == []
