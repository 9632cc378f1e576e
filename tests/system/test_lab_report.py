"""The lab's report in a browser: a cell says what the results file has, on a wide window and on a phone."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.support.ui import WebDriverWait

from tests.tools.lab_report.results import fill
from tools.lab_report.report import write

pytestmark = pytest.mark.programs("chromium", "chromedriver")
WIDE, PHONE = (1400, 900), (390, 844)
_PATIENCE = 30.0


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The results file, and the page made of it."""
    folder = tmp_path_factory.mktemp("report")
    fill(folder / "lab.sqlite")
    return folder / "lab.sqlite", write(folder / "lab.sqlite", folder / "out").files[0]


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebDriver]:
    """A browser without a window and without a network, with a profile of its own."""
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    profile = tmp_path_factory.mktemp("profile")
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--host-resolver-rules=MAP * ~NOTFOUND",
        f"--user-data-dir={profile}",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
    yield browser
    browser.quit()


def opened(driver: WebDriver, page: Path, size: tuple[int, int]) -> None:
    """Open the page in a window, or on a phone, of this size."""
    width, height = size
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": size == PHONE}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    driver.get("about:blank")
    driver.get(page.as_uri())


def text(driver: WebDriver, selector: str) -> str:
    return driver.find_element(By.CSS_SELECTOR, selector).text


def shown(driver: WebDriver) -> bool:
    return bool(driver.execute_script("return document.getElementById('run').open"))


def leaves(value: Any) -> Iterator[str]:
    """Every name and value of evidence, as the page says them."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from leaves(inner)
    elif isinstance(value, bool):
        yield "yes" if value else "no"
    else:
        yield from str(value).split("\n")


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_a_cell_says_what_the_database_has(
    driver: WebDriver, report: tuple[Path, Path], size: tuple[int, int]
) -> None:
    database, page = report
    opened(driver, page, size)
    rows = (
        sqlite3.connect(database)
        .execute("SELECT matrix, parameters, outcome, evidence, command FROM runs")
        .fetchall()
    )
    cells = driver.find_elements(By.CSS_SELECTOR, "button.cell")
    assert len(cells) == len(rows)
    assert driver.execute_script("return document.documentElement.scrollWidth <= innerWidth"), (
        "the page is too wide"
    )
    asked = set()
    for number in range(len(cells)):
        cell = driver.find_element(By.CSS_SELECTOR, f'button.cell[data-run="{number}"]')
        driver.execute_script("arguments[0].scrollIntoView({block: 'center', inline: 'center'})", cell)
        assert cell.text.strip(), "colour is not all that tells"
        cell.click()
        WebDriverWait(driver, _PATIENCE).until(shown)
        command = text(driver, "#run-command")
        (row,) = [row for row in rows if row[4] == command]
        _, parameters, outcome, evidence, _ = row
        asked.add(command)
        figure = json.loads(evidence).get("value")
        assert (outcome if figure is None or outcome == "repaired" else f"{figure:g}") in text(driver, "#run-title")
        told = text(driver, "#run-parameters")
        for name, value in json.loads(parameters).items():
            assert name in told
            assert value in told
        told = driver.find_element(By.ID, "run-evidence").get_property("textContent")
        for leaf in leaves(json.loads(evidence)):
            assert leaf in str(told)
        driver.find_element(By.ID, "run-close").click()
        WebDriverWait(driver, _PATIENCE).until_not(shown)
    assert asked == {row[4] for row in rows}
    assert driver.title == "edotun lab: report", "evidence is text, not markup"
    assert driver.get_log("browser") == []  # type: ignore[no-untyped-call]


def test_it_can_be_used_without_a_mouse(driver: WebDriver, report: tuple[Path, Path]) -> None:
    _, page = report
    opened(driver, page, WIDE)
    first = driver.find_element(By.CSS_SELECTOR, "#headers button.cell")
    driver.execute_script("arguments[0].focus()", first)
    driver.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    right = driver.switch_to.active_element
    assert right.text != first.text
    right.send_keys(Keys.ENTER)
    WebDriverWait(driver, _PATIENCE).until(shown)
    command = text(driver, "#run-command")
    driver.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    assert text(driver, "#run-command") != command
    driver.switch_to.active_element.send_keys(Keys.ESCAPE)
    WebDriverWait(driver, _PATIENCE).until_not(shown)
    assert "cell" in str(driver.switch_to.active_element.get_attribute("class"))


def test_rows_are_chosen_by_outcome_and_by_word(driver: WebDriver, report: tuple[Path, Path]) -> None:
    _, page = report
    opened(driver, page, WIDE)

    def rows() -> list[str]:
        found = driver.find_elements(By.CSS_SELECTOR, "#headers tbody tr:not(.group) th")
        return [one.text for one in found if one.is_displayed()]

    assert rows() == ["seq · change", "seq · replay", "window · change", "payload · change"]
    driver.find_element(By.CSS_SELECTOR, "#headers .filters .worst").click()
    assert rows() == ["seq · replay"]
    driver.find_element(By.CSS_SELECTOR, "#headers .filters .worst").click()
    driver.find_element(By.CSS_SELECTOR, "#headers input").send_keys("window")
    assert rows() == ["window · change"]


def test_headers_stay_while_a_table_scrolls_on_a_phone(driver: WebDriver, report: tuple[Path, Path]) -> None:
    _, page = report
    opened(driver, page, PHONE)
    script = """
        const scroll = document.querySelector('#cost .scroll');
        scroll.style.maxHeight = '60px';
        scroll.scrollTop = 40; scroll.scrollLeft = 1000;
        const box = scroll.getBoundingClientRect();
        const at = (one) => {
          const found = scroll.querySelector(one).getBoundingClientRect();
          return [found.left - box.left, found.top - box.top];
        };
        return [at('thead .corner'), at('tbody tr:not(.group) th'), scroll.scrollTop];
    """
    corner, row, scrolled = driver.execute_script(script)
    assert scrolled == 40
    assert max(corner) <= 2
    assert row[0] <= 2


def test_a_link_to_a_run_opens_it(driver: WebDriver, report: tuple[Path, Path]) -> None:
    _, page = report
    opened(driver, page, WIDE)
    driver.get("about:blank")
    driver.get(page.as_uri() + "#run-2")
    WebDriverWait(driver, _PATIENCE).until(shown)
    assert text(driver, "#run-command").startswith("edotun lab ")


def test_print_leaves_nothing_in_a_box_that_scrolls(driver: WebDriver, report: tuple[Path, Path]) -> None:
    _, page = report
    opened(driver, page, WIDE)
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    style = "return getComputedStyle(document.querySelector('.scroll')).overflow"
    assert driver.execute_script(style) == "visible"
    assert not driver.find_element(By.CSS_SELECTOR, ".filters").is_displayed()
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
