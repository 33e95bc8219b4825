"""The report in Chromium: it sorts, opens a query, and shows the numbers of the result."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import crossrank as cr
from crossrank_ablation import AblationResult
from toys.ablation import Noisy, split


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> tuple[AblationResult, Path]:
    folder = tmp_path_factory.mktemp("study")
    result = cr.ablate(
        cr.Pipeline([cr.Stage(Noisy, name=f"s{n}", params={"seed": n}) for n in (1, 2)]),
        split(folder=folder / "pictures"),
        variants="subsets",
        statistics={"resamples": 99},
        report={"queries": 2},
        output=folder / "out",
        cache=False,
    )
    return result, folder / "out" / "report.html"


@pytest.fixture
def page(browser: Any, study: tuple[AblationResult, Path]) -> Any:
    browser.set_window_size(1280, 1000)
    browser.get(study[1].as_uri())
    return browser


def css(node: Any, selector: str) -> list[Any]:
    found: list[Any] = node.find_elements("css selector", selector)
    return found


def test_the_table_sorts_by_any_column(page: Any, study: tuple[AblationResult, Path]) -> None:
    result, _ = study

    def column(place: int) -> list[str]:
        rows = css(page, "#table-t2i tbody tr")
        return [css(row, "th, td")[place].text.splitlines()[0] for row in rows]

    names = [cell.name for cell in result.cells]
    assert column(0) == names
    (head,) = css(page, "#table-t2i [data-column='1']")
    values = [cell.metrics["R@1"] for cell in result.cells]
    for order, falling in (("descending", True), ("ascending", False)):
        head.click()
        shown = [float(text.rstrip("*")) for text in column(1)]
        assert shown == pytest.approx(sorted(values, reverse=falling), abs=0.005)
        assert css(page, "#table-t2i [aria-sort]")[1].get_attribute("aria-sort") == order
    css(page, "#table-t2i [data-column='5']")[0].click()
    assert column(0)[-1] == "base"  # has no difference, and stays below
    css(page, "#table-t2i [data-column='0']")[0].click()
    assert column(0) == sorted(names)


def test_a_query_opens_and_shows_both_orders(page: Any, study: tuple[AblationResult, Path]) -> None:
    result, _ = study
    assert result.galleries is not None
    (gallery,) = result.galleries()
    story = gallery.improved[0]
    (shown,) = css(page, "#t2i-improved-0")
    assert css(shown, ".outcome b")[0].text == f"{story.before} → {story.after}"
    assert shown.get_attribute("open") is None
    css(shown, "summary")[0].click()
    assert shown.get_attribute("open") is not None
    ranks = [each.text for each in css(shown, ".before .rank")]
    assert ranks == [str(card.base_rank) for card in story.first]
    moved = [each.text.splitlines()[0] for each in css(shown, ".after .rank")]
    assert moved == [str(card.rank) for card in story.last]
    for place, card in enumerate(story.cards):
        buttons = css(shown, f"[data-show='{place}']")
        if not buttons:
            continue
        buttons[-1].click()
        (closer,) = css(shown, "[data-closer]:not([hidden])")
        assert css(closer, "h3 .id")[0].text == card.id
        scores = [each.text for each in css(closer, ".stage-score")]
        assert scores == [f"{said.score:.4f}".replace("-", "−") for said in card.said]
        assert css(closer, ".base-score")[0].text == f"{card.base_score:.4f}".replace("-", "−")
        assert buttons[-1].get_attribute("aria-pressed") == "true"


def test_a_word_lays_its_box_over_the_picture(page: Any) -> None:
    (shown,) = css(page, "#t2i-improved-0")
    css(shown, "summary")[0].click()
    (closer,) = css(shown, "[data-closer]:not([hidden])")
    (best,) = css(closer, ".best")
    assert not best.is_displayed()
    word = css(closer, ".word")[0]
    assert word.text.startswith("a <word>")
    word.click()
    assert best.is_displayed()
    picture = css(closer, ".picture")[0]
    assert best.size["width"] == pytest.approx(picture.size["width"] / 2, abs=2)
    word.click()
    assert not best.is_displayed()


def test_the_keyboard_is_enough(page: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    page.execute_script("document.querySelector('#table-t2i [data-column=\"1\"]').focus()")
    page.switch_to.active_element.send_keys(Keys.ENTER)
    assert css(page, "#table-t2i [aria-sort='descending']")
    page.execute_script("document.querySelector('#t2i-improved-0 summary').focus()")
    page.switch_to.active_element.send_keys(Keys.ENTER)
    page.switch_to.active_element.send_keys(Keys.TAB)
    assert page.switch_to.active_element.get_attribute("data-show") is not None
    page.switch_to.active_element.send_keys(Keys.TAB, Keys.SPACE)
    pressed = css(page, "#t2i-improved-0 .card[aria-pressed='true']")
    assert pressed


def test_a_small_screen_scrolls_in_one_direction(page: Any) -> None:
    page.set_window_size(500, 800)
    for each in css(page, "summary"):
        page.execute_script("arguments[0].parentElement.open = true", each)
    width, seen = page.execute_script(
        "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    assert width <= seen


def test_nothing_complains(page: Any) -> None:
    assert [entry for entry in page.get_log("browser") if entry["level"] == "SEVERE"] == []
