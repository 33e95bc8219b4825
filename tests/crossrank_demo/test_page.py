from __future__ import annotations

import importlib.util
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from crossrank.errors import MissingPackageError
from crossrank.evaluation import evaluate
from crossrank.report import Card, Picture, Said, Story, Word, check_jinja, overlays
from crossrank_demo import DemoResult
from crossrank_demo.page import Page, lines, opened, render
from crossrank_demo.scenes import Photograph, Query
from crossrank_demo.story import SHOWN, Chapter

NASTY = '<script>alert("1")</script>&\'"><img src=x onerror=alert(2)>'
PIXEL = "data:image/png;base64,AA=="


class Seen(HTMLParser):
    """Collects the elements and the visible text of a page."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(content)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return "".join(self.words)

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.elements)


def card(id: str, rank: int, base_rank: int, relevant: bool, word: str = "cup") -> Card:
    words = (
        Word(word, "0", 0.4, (0.0, 0.0, 0.5, 0.5), ((-0.1, 0.4),)),
        Word("of", "1", 0.1, None, ((0.1, 0.2),)),
    )
    said = Said("filip", 0.25, -0.75, 1.0, "", words)
    return Card(id, "", id, base_rank, rank, 0.5, 1.25, relevant, (said,))


def story(first: tuple[Card, ...], last: tuple[Card, ...], text: str = "a cup") -> Story:
    cards = {each.id: each for each in (*last, *first)}
    shown = tuple(sorted(cards.values(), key=lambda each: each.rank))
    return Story("q", text, None, 2, 1, first, last, shown)


def page(text: str = "a cup", title: str = "Title") -> Page:
    first, second = card("coffee/cup", 1, 2, True, text), card("cat/ear", 2, 1, False, text)
    chapter = Chapter(
        query=Query("q", text, frozenset(), frozenset()),
        relevant=1,
        story=story((second, first), (first, second), text),
    )
    runs = {
        "base": {"q": {"cat/ear": 1.0, "coffee/cup": 0.5}},
        "reranked": {"q": {"coffee/cup": 1.0, "cat/ear": 0.5}},
    }
    return Page(
        title=title,
        summary=[text],
        encoder="lite",
        reranker="filip",
        depth=20,
        evaluation=evaluate(runs, {"q": {"coffee/cup"}}, ["R@1", "MRR"]),
        chapters=[chapter],
        photographs=[
            Photograph("x", "skimage", "x.png", text, text, text, "https://example.org/", ())
        ],
        pictures={"coffee/cup": Picture(PIXEL, 4, 3), "cat/ear": Picture(PIXEL, 3, 4)},
        steps=[text],
        versions={"crossrank": text},
    )


def test_whatever_a_text_holds_it_stays_text() -> None:
    plain, nasty = Seen(render(page())), Seen(render(page(NASTY, NASTY)))
    assert [tag for tag, _ in nasty.elements] == [tag for tag, _ in plain.elements]
    assert NASTY in nasty.text
    assert not any("onerror" in attributes for _, attributes in nasty.elements)


def test_the_page_needs_nothing_from_outside(toy_run: DemoResult) -> None:
    content = toy_run.page.read_text("utf-8")
    for tag, attributes in Seen(content).elements:
        assert tag not in ("link", "iframe", "object", "embed", "base"), tag
        assert "srcset" not in attributes
        if "src" in attributes:
            assert str(attributes["src"]).startswith("data:")
        if "href" in attributes:
            assert tag == "a", "only links that a reader follows"
    assert "@import" not in content
    addresses = re.findall(r"url\(\s*['\"]?(.{5})", content)
    assert addresses
    assert set(addresses) == {"data:"}
    assert "default-src 'none'" in content
    assert len(content.encode()) < 5_000_000


def test_links_carry_attribution(toy_run: DemoResult) -> None:
    seen = Seen(toy_run.page.read_text("utf-8"))
    links = {attributes["href"] for tag, attributes in seen.elements if tag == "a"}
    assert "https://www.flickr.com/photos/danielbuechele/6061409035/" in links
    assert "https://creativecommons.org/licenses/by/2.0/" in links
    assert "danielbuechele (Flickr), CC BY 2.0" in seen.text


def test_every_picture_is_embedded_once(toy_run: DemoResult) -> None:
    content = toy_run.page.read_text("utf-8")
    assert content.count("data:image/jpeg") == 62


def test_every_control_can_be_reached_by_keyboard(toy_run: DemoResult) -> None:
    seen = Seen(toy_run.page.read_text("utf-8"))
    for tag, attributes in seen.elements:
        if "data-show" in attributes:
            assert tag == "button"
        assert "tabindex" not in attributes
        assert not any(name.startswith("on") for name in attributes)
    assert seen.count("summary") == seen.count("details") == seen.count("fieldset")


def test_each_sentence_has_one_chosen_word(toy_run: DemoResult) -> None:
    seen = Seen(toy_run.page.read_text("utf-8"))
    radios = [a for tag, a in seen.elements if tag == "input" and a.get("type") == "radio"]
    names = {radio["name"] for radio in radios}
    assert len(names) == seen.count("details")
    for name in names:
        assert sum("checked" in radio for radio in radios if radio["name"] == name) == 1


def test_the_numbers_of_the_page() -> None:
    text = Seen(render(page())).text
    assert "95 % interval" in text
    for figure in ("100.0", "+100.0", "2 → 1", "better", "−0.75 × 1.0", "+1.25", "0.250", "−0.10"):
        assert figure in text, figure


def test_a_stage_that_abstained_says_why() -> None:
    given = page()
    (chapter,) = given.chapters

    def without(card: Card) -> Card:
        (said,) = card.said
        note = "no noun in the sentence"
        return replace(card, said=(replace(said, score=None, normalised=None, note=note),))

    told = chapter.story
    first, last = (tuple(map(without, each)) for each in (told.first, told.last))
    silent = replace(chapter, story=story(first, last))
    text = Seen(render(replace(given, chapters=[silent]))).text
    assert "no noun in the sentence" in text


def test_lines_join_the_places_and_leave_the_drawing_where_a_list_ends() -> None:
    (chapter,) = page().chapters
    assert lines(chapter) == [
        {"start": 1.5, "end": 0.5, "relevant": True},
        {"start": 0.5, "end": 1.5, "relevant": False},
    ]
    lists = (card("a/b", 17, 1, False),), (card("c/d", 1, 12, True),)
    far = replace(chapter, story=story(*lists))
    assert [(line["start"], line["end"]) for line in lines(far)] == [
        (SHOWN + 0.5, 0.5),
        (0.5, SHOWN + 0.5),
    ]


def test_the_first_query_whose_first_place_changed_hands_is_unfolded() -> None:
    (changed,) = page().chapters
    kept = replace(changed, story=story(changed.story.last, changed.story.last))
    assert opened([changed]) == opened([kept]) == 0
    assert opened([kept, changed, changed]) == 1
    both = Seen(render(replace(page(), chapters=[kept, changed])))
    assert ["open" in a for tag, a in both.elements if tag == "details"] == [False, True]


def test_overlays_are_json() -> None:
    (chapter,) = page().chapters
    written = json.loads(json.dumps(overlays(chapter.story)))
    ((cup, of),) = written[0]
    assert cup.pop("heat").startswith("data:image/png;base64,")
    assert cup == {"box": [0.0, 0.0, 0.5, 0.5], "extent": [0.0, 0.0, 1.0, 1.0]}
    assert of["box"] is None


def test_without_jinja_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match=r'jinja2.*pip install "crossrank\[demo\]"'):
        check_jinja("demo", "the demo")
