"""The page, in a real browser: it draws, it can be used by hand and by keyboard, and it asks nobody for anything."""

from __future__ import annotations

import pytest

from hatch_lambda import api
from tests.functional.coldstart import cold_start
from tests.support.browser import browser, complaints, pretend, requests
from tests.support.wheels import make_project, make_wheel

HOSTILE = "pure/<img src=x onerror=alert(1)> & <b>bold.txt"
WIDTHS = (1280, 400)
_HEADING = 8
"""Pixels from the top of a part of the treemap to where its name is."""
_PATIENCE = 60
"""Seconds until a test gives up: a page that hangs fails, a slow machine does not."""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Write a report with something to show everywhere: removed files, findings, import times, a comparison."""
    folder = tmp_path_factory.mktemp("page")
    files = {f"pure/part_{n % 7}/module_{n}.py": f"X = {n}\n" * (20 + n) for n in range(200)}
    tests = {f"pure/tests/test_{n}.py": "X = 1\n" * 80 for n in range(20)}
    pure = make_wheel(folder / "wheels", "pure", {"pure/__init__.py": "", HOSTILE: "hello " * 9000, **files, **tests})
    other = make_wheel(folder / "wheels", "other", {"other/data.bin": b"\x17" * 300_000, "other/__init__.py": ""})
    project = make_project(folder / "service", pure, other)
    (folder / "times.json").write_bytes(cold_start(("pure", 120.4), ("other", 8.0)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UV_OFFLINE", "1")
        patch.setenv("HATCH_LAMBDA_CACHE_DIR", str(folder / "cache"))
        api.write_report(api.build(project, patterns=["other/data.bin"]), folder / "report")
        written = api.write_report(api.build(project), folder / "report", coldstart=folder / "times.json")
    return written.page


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    with browser(tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.fixture
def opened(driver, page):
    """Open the page anew, and see afterwards that it neither complained nor asked for anything but itself."""

    def open_page(**pretended):
        pretend(driver, **{"width": 1280, **pretended})
        driver.get(page.as_uri())
        wait(driver, "return document.documentElement.dataset.ready === 'yes' && !!document.querySelector('.slice')")
        return driver

    complaints(driver)
    requests(driver)
    yield open_page
    assert complaints(driver) == []
    assert set(requests(driver)) == {page.as_uri()}


def wait(driver, condition, *arguments):
    from selenium.webdriver.support.wait import WebDriverWait

    return WebDriverWait(driver, _PATIENCE, poll_frequency=0.05).until(
        lambda _: driver.execute_script(condition, *arguments)
    )


def drawn(driver, label):
    """Wait until the treemap has a part that is called *label*."""
    script = (
        "return [...document.querySelectorAll('#map .slicetext')].some(one => one.textContent.startsWith(arguments[0]))"
    )
    wait(driver, script, label)


def said(driver, text):
    wait(driver, "return document.getElementById('where').textContent.startsWith(arguments[0])", text)


def click(driver, label):
    """Click on the part of the treemap that is called *label*, as a mouse does."""
    from selenium.webdriver import ActionChains

    found = "[...document.querySelectorAll('#map .slice')].find(one => one.textContent.startsWith(arguments[0]))"
    element = wait(driver, f"return {found}?.querySelector('path')", label)
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
    # In its middle are its parts.
    up = _HEADING - element.rect["height"] // 2
    ActionChains(driver).move_to_element_with_offset(element, 0, int(up)).click().perform()


def press(driver, *keys):
    from selenium.webdriver import ActionChains

    driver.execute_script("document.getElementById('frame').focus()")
    ActionChains(driver).send_keys(*keys).perform()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_it_fits_the_screen_and_follows_the_systems_theme(opened, tmp_path, width, dark):
    """Nobody scrolls sideways, and every chart is inside of its frame."""
    driver = opened(width=width, dark=dark)
    height = driver.execute_script("return document.documentElement.scrollHeight")
    sideways = "return document.documentElement.scrollWidth > document.documentElement.clientWidth"
    assert driver.execute_script(sideways) is False
    overhang = """return [...document.querySelectorAll('.main-svg')].filter(one =>
        one.getBoundingClientRect().right > one.closest('.map, .panel').getBoundingClientRect().right).length"""
    assert driver.execute_script(overhang) == 0
    colour = driver.execute_script("return getComputedStyle(document.body).backgroundColor")
    red = int(colour.partition("(")[2].partition(",")[0])
    assert (red < 64) is dark
    pretend(driver, width=width, height=height, dark=dark)
    assert driver.save_screenshot(str(tmp_path / "page.png"))
    assert (tmp_path / "page.png").stat().st_size > 20_000


def test_a_click_goes_into_the_treemap_and_its_path_leads_out(opened):
    """A file is looked at in its folder; the tenth step takes no longer than the first."""
    driver = opened()
    way = "return document.getElementById('crumbs').textContent"
    click(driver, "pure")
    said(driver, "pure: ")
    click(driver, "part_3")
    said(driver, "part_3: ")
    assert driver.execute_script(way) == "service" + "pure" + "pure" + "part_3"
    click(driver, "module_199")
    said(driver, "module_199.py: ")
    assert driver.execute_script(way) == "service" + "pure" + "pure" + "part_3"
    driver.find_element("css selector", "#crumbs button").click()
    said(driver, "service: ")
    assert driver.execute_script(way) == "service"
    for _ in range(4):
        click(driver, "other")
        said(driver, "other: ")
        driver.find_element("css selector", "#crumbs button").click()
        said(driver, "service: ")


def test_it_switches_to_what_was_removed_and_back(opened):
    """By rule, then distribution."""
    driver = opened()
    drawn(driver, "other")
    driver.find_element("css selector", "input[value=removed] + span").click()
    drawn(driver, "all that was removed")
    click(driver, "tests")
    said(driver, "tests: ")
    driver.find_element("css selector", "input[value=contents] + span").click()
    drawn(driver, "service")
    drawn(driver, "other")


def test_the_treemap_can_be_used_without_a_mouse(opened):
    """And says where one is, for those who cannot see it."""
    from selenium.webdriver import Keys

    driver = opened()
    press(driver, Keys.ARROW_RIGHT)
    said(driver, "other: ")
    press(driver, Keys.ARROW_LEFT)
    said(driver, "(project): ")
    press(driver, Keys.ARROW_LEFT, Keys.ENTER)
    said(driver, "pure: ")
    press(driver, Keys.ARROW_RIGHT)
    assert "(1 of " in driver.execute_script("return document.getElementById('where').textContent")
    press(driver, Keys.ESCAPE)
    said(driver, "service: ")
    assert driver.execute_script("return document.getElementById('where').getAttribute('aria-live')") == "polite"


def test_a_hostile_name_is_shown_as_it_is(opened, page):
    """It is text, in the chart too."""
    driver = opened()
    drawn(driver, "<img src=x onerror=alert(1)> & <b>bold.txt")
    assert driver.execute_script("return document.querySelectorAll('img').length") == 0


def test_the_theme_can_be_changed(opened):
    """For the charts as well."""
    driver = opened()
    button = driver.find_element("id", "theme")
    ink = "return document.querySelector('#imports-chart .xtick text, #imports-chart .ytick text').style.fill"
    before = driver.execute_script(ink)
    assert button.text == "Dark"
    button.click()
    assert button.text == "Light"
    wait(driver, f"{ink} !== arguments[0]", before)


def test_tables_are_sorted_by_the_column_that_one_chooses(opened):
    """Numbers as numbers."""
    driver = opened()
    names = "return [...document.querySelectorAll('[aria-labelledby=distributions] tbody th')].map(e => e.textContent)"
    assert driver.execute_script(names) == ["other", "pure"]
    for expected in (["pure", "other"], ["other", "pure"]):
        heading = driver.find_element("css selector", "[aria-labelledby=distributions] th:nth-child(4) button")
        driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", heading)
        heading.click()
        assert driver.execute_script(names) == expected


def test_every_part_of_the_page_has_a_name_that_is_read_out(opened):
    """Landmarks, headings, controls."""
    driver = opened()
    unnamed = """return [...document.querySelectorAll('section, button, input, [role=application], [role=img]')].filter(
        one => !(one.textContent.trim() || one.labels?.length || one.ariaLabel || one.getAttribute('aria-labelledby'))
    ).length"""
    assert driver.execute_script(unnamed) == 0
    dangling = """return [...document.querySelectorAll('[aria-labelledby], [aria-describedby]')].filter(one =>
        !document.getElementById(one.getAttribute('aria-labelledby') ?? one.getAttribute('aria-describedby'))).length"""
    assert driver.execute_script(dangling) == 0
    assert driver.execute_script("return document.documentElement.lang") == "en"
    assert driver.execute_script("return document.querySelectorAll('h1').length") == 1
