"""The page in Chromium: search, sliders, heat map, keyboard, a narrow screen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import crossrank as cr
from toys.basic import DotReranker, ToyEncoder
from toys.serving import WordsReranker, listening, picture

STAGES = (
    cr.Stage(WordsReranker(), fusion=cr.WeightedSum(0.7)),
    cr.Stage(DotReranker(), fusion=cr.WeightedSum(0.5, normalise="rank")),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    rng = np.random.default_rng(0)
    for number in range(14):
        pixels = rng.integers(0, 256, (2, 2, 3), np.uint8)
        image = Image.fromarray(pixels).resize((120, 90), Image.Resampling.NEAREST)
        image.save(folder / f"p{number:02}.png")
    return folder


@pytest.fixture(scope="module")
def url(folder: Path) -> Iterator[str]:
    with listening(*STAGES, gallery=folder, suggestions=["green field"]) as found:
        yield found


@pytest.fixture
def page(browser: Any, url: str) -> Any:
    browser.set_window_size(1280, 1000)
    browser.get(url)
    until(browser, lambda: "14 pictures" in text(browser, "#about"))
    browser.get_log("browser")  # of the page before, whose server may have ended under it
    return browser


def until(browser: Any, holds: Callable[[], Any]) -> Any:
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(browser, 20, 0.05).until(lambda _: holds())


def one(browser: Any, selector: str) -> Any:
    return browser.find_element("css selector", selector)


def text(browser: Any, selector: str) -> str:
    return str(one(browser, selector).text)


def cards(browser: Any, which: str) -> list[str]:
    script = "return [...document.querySelectorAll(arguments[0])].map((c) => c.dataset.id)"
    return list(browser.execute_script(script, f"#{which} .card"))


def look_for(browser: Any, words: str) -> None:
    field = one(browser, "#words")
    field.clear()
    field.send_keys(words + "\n")
    until(browser, lambda: cards(browser, "new"))


def complaints(browser: Any) -> list[Any]:
    return [each for each in browser.get_log("browser") if each["level"] == "SEVERE"]


def slide(browser: Any, stage: str, value: float) -> None:
    script = """
        const input = document.querySelector(`[data-stage="${arguments[0]}"] input`);
        input.value = arguments[1];
        input.dispatchEvent(new Event("input"));
    """
    browser.execute_script(script, stage, value)


def orders(
    folder: Path, weights: tuple[float, float], depth: int | None = None
) -> tuple[list[str], list[float]]:
    names = ("embedding", "tokens")
    gallery = cr.encode(ToyEncoder(), folder, "image", names)
    queries = cr.encode(ToyEncoder(), ["red bus"], features=names)
    stages = [
        cr.Stage(STAGES[0].scorer, fusion=cr.WeightedSum(weights[0])),
        cr.Stage(
            STAGES[1].scorer, depth=depth, fusion=cr.WeightedSum(weights[1], normalise="rank")
        ),
    ]
    candidates = cr.search(queries, gallery, 50)
    (ranking,) = cr.Pipeline(stages).rerank(candidates, queries, gallery).values()
    return [hit.id for hit in ranking], [hit.score for hit in ranking]


def test_both_orders_stand_side_by_side_and_the_page_fuses_as_the_library(
    page: Any, folder: Path
) -> None:
    look_for(page, "red bus")
    ids, scores = orders(folder, (0.7, 0.5))
    assert cards(page, "new") == ids[:12]
    found = page.execute_script("return window.crossrank.hits.map((h) => [h.id, h.score])")
    served = page.execute_script("return window.crossrank.served.map((h) => [h.id, h.score])")
    assert [id for id, _ in found] == ids
    assert [score for _, score in found] == pytest.approx(scores, abs=1e-6)
    assert [score for _, score in served] == pytest.approx(scores, abs=1e-6)
    assert len(cards(page, "base")) == 12
    base = page.execute_script(
        "return window.crossrank.hits.map((h) => [h.base_rank, h.base_score])"
    )
    shown = page.find_elements("css selector", "#base .card")
    values = [each.text.split() for each in shown]
    assert [[line[0], line[-1]] for line in values] == [
        [str(rank), f"{score:.2f}"] for rank, score in sorted(base)[:12]
    ]
    until(
        page,
        lambda: [
            i for i in page.find_elements("css selector", "#new img") if i.get_attribute("alt")
        ],
    )
    assert not complaints(page)


@pytest.mark.parametrize("weights", [(0.0, 0.0), (3.0, 0.5), (0.7, 3.0), (0.35, 1.25)])
def test_sliders_fuse_again_at_once(page: Any, folder: Path, weights: tuple[float, float]) -> None:
    look_for(page, "red bus")
    asked = page.execute_script("return performance.getEntriesByType('resource').length")
    for stage, weight in zip(("words", "dot"), weights, strict=True):
        slide(page, stage, weight)
    ids, scores = orders(folder, weights)
    assert cards(page, "new") == ids[:12]
    found = page.execute_script("return window.crossrank.hits.map((h) => h.score)")
    assert found == pytest.approx(scores, abs=1e-6)
    searches = page.execute_script(
        "return performance.getEntriesByType('resource').slice(arguments[0])"
        ".filter((e) => e.name.endsWith('/v1/search')).length",
        asked,
    )
    assert searches == 0
    one(page, "#sliders button").click()
    assert cards(page, "new") == orders(folder, (0.7, 0.5))[0][:12]


def test_a_stage_with_a_depth_and_other_fusions(browser: Any, folder: Path) -> None:
    deep = cr.Stage(STAGES[1].scorer, depth=8, fusion=STAGES[1].fusion)
    with listening(STAGES[0], deep, gallery=folder) as url:
        browser.get(url)
        look_for(browser, "red bus")
        found = browser.execute_script("return window.crossrank.hits.map((h) => h.score)")
        assert found == pytest.approx(orders(folder, (0.7, 0.5), 8)[1], abs=1e-6)
    fusions: tuple[cr.Fusion, ...] = (
        cr.RRF(7.0),
        cr.Replace(),
        cr.WeightedSum(0.4, normalise="minmax"),
        cr.WeightedSum(0.4, normalise="softmax"),
        cr.WeightedSum(0.4, normalise="none"),
    )
    stages = [
        cr.Stage(STAGES[place % 2].scorer, depth=13 - place, fusion=fusion)
        for place, fusion in enumerate(fusions)
    ]
    with listening(*stages, gallery=folder) as url:
        browser.get(url)
        look_for(browser, "red bus")
        for which in ("hits", "served"):
            script = f"return window.crossrank.{which}.map((h) => [h.id, h.score])"
            rows = dict(browser.execute_script(script))
            if which == "hits":
                fused = rows
        assert fused == pytest.approx(rows, abs=1e-6)


def test_a_heat_map_per_word_and_boxes(page: Any) -> None:
    look_for(page, "red bus")
    one(page, "#new .card").click()
    until(page, lambda: page.find_elements("css selector", ".words-row button"))
    words = page.find_elements("css selector", ".words-row button")
    assert [word.text for word in words] == ["red", "bus"]
    canvas = one(page, "dialog canvas")
    assert canvas.is_displayed()
    size = page.execute_script("return [arguments[0].width, arguments[0].height]", canvas)
    assert size == [2, 2]
    assert "place" in text(page, ".why") and "words" in text(page, ".why table")
    assert not page.find_elements("css selector", ".box:not([hidden])")
    page.switch_to.active_element.send_keys("b")
    boxes = page.find_elements("css selector", ".box:not([hidden])")
    named = [word for box in boxes for word in box.text.split(", ")]
    assert sorted(named) == ["bus", "red"]
    places = [(box.location["x"], box.location["y"]) for box in boxes]
    assert len(set(places)) == len(places)  # one frame a place, whatever points there
    over = "return document.elementFromPoint(arguments[0], arguments[1]).className"
    middle = [places[0][0] + boxes[0].size["width"] / 2, places[0][1] + 8]
    assert page.execute_script(over, *middle) == "box"  # above the heat map
    pressed = [word.get_attribute("aria-pressed") for word in words]
    page.switch_to.active_element.send_keys(str(1 + pressed.index("false")))
    assert [word.get_attribute("aria-pressed") for word in words] == pressed[::-1]
    assert not complaints(page)


def test_everything_by_keyboard(page: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    one(page, "body").send_keys("/")
    field = page.switch_to.active_element
    assert field.get_attribute("id") == "words"
    field.send_keys("red bus" + Keys.ENTER)
    until(page, lambda: cards(page, "new"))
    field.send_keys(Keys.ARROW_DOWN)

    def here() -> tuple[str, str]:
        script = """
            const card = document.activeElement;
            return [card.closest("ol").id, card.dataset.id];
        """
        which, id = page.execute_script(script)
        return which, id

    assert here() == ("new", cards(page, "new")[0])
    page.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    assert here() == ("new", cards(page, "new")[1])
    page.switch_to.active_element.send_keys(Keys.ARROW_LEFT)
    page.switch_to.active_element.send_keys(Keys.ARROW_LEFT)
    assert here()[0] == "base"
    where = here()
    page.switch_to.active_element.send_keys(Keys.ENTER)
    until(page, lambda: one(page, "dialog").get_attribute("open"))
    page.switch_to.active_element.send_keys(Keys.ESCAPE)
    until(page, lambda: not one(page, "dialog").get_attribute("open"))
    assert here() == where


def test_a_picture_asks_alone_and_with_words(page: Any, tmp_path: Path) -> None:
    (tmp_path / "red.png").write_bytes(picture())
    one(page, "#picture").send_keys(str(tmp_path / "red.png"))
    until(page, lambda: cards(page, "new"))
    alone = cards(page, "new")
    assert text(page, "#picture-name") == "red.png"
    look_for(page, "bus zzz")
    until(page, lambda: page.execute_script("return window.crossrank.hits.length") == 14)
    one(page, "#clear").click()
    look_for(page, "bus zzz")
    assert alone and not complaints(page)


def test_a_suggestion_is_a_search(page: Any) -> None:
    one(page, "#suggestions button").click()
    until(page, lambda: cards(page, "new"))
    assert one(page, "#words").get_attribute("value") == "green field"


def test_a_narrow_screen_in_the_dark(page: Any) -> None:
    metrics = {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": True}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = [{"name": "prefers-color-scheme", "value": "dark"}]
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    try:
        look_for(page, "red bus")
        width = "return document.documentElement.scrollWidth"
        assert page.execute_script(width) <= 360
        one(page, "#new .card").click()
        until(page, lambda: page.find_elements("css selector", ".words-row button"))
        assert page.execute_script(width) <= 360
        dark = page.execute_script("return getComputedStyle(document.body).backgroundColor")
        assert sum(map(int, dark.removeprefix("rgb(").removesuffix(")").split(","))) < 150
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_a_token_is_asked_for(browser: Any, folder: Path) -> None:
    with listening(*STAGES, gallery=folder, tokens=(b"right",)) as url:
        browser.get(url)
        until(browser, lambda: one(browser, "#token-row").is_displayed())
        one(browser, "#token").send_keys("right\t")
        until(browser, lambda: "14 pictures" in text(browser, "#about"))
        look_for(browser, "red bus")
        until(browser, lambda: one(browser, "#new img").get_attribute("src"))
