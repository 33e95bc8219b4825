"""The page in Chromium: somebody talks, and the pictures follow."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from crossrank_dialogue import Chat, DropQuestioner, LabelTopics
from crossrank_dialogue.server import ChatServer
from toys.dialogue import ToyEncoder, captions, gallery

pytest.importorskip("jinja2")
UNSAFE = "brown <img src=x onerror=\"document.title='bad'\">"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ChatServer]:
    paths = []
    for number, caption in enumerate(captions()):
        paths.append(str(tmp_path / f"{number}.png"))
        Image.new("RGB", (8, 6), caption.split()[0]).save(paths[-1])
    Path(paths[-1]).unlink()
    labels = [[caption.split()[1]] for caption in captions()]
    pictures = gallery(labels=labels, path=paths)
    chat = Chat(None, pictures, "fuse", DropQuestioner(LabelTopics()), encoder=ToyEncoder())
    with ChatServer(chat, save=tmp_path / "talk.json") as made:
        threading.Thread(target=made.serve_forever, args=(0.02,), daemon=True).start()
        yield made
        made.shutdown()


@pytest.fixture
def page(browser: Any, server: ChatServer) -> Any:
    browser.set_window_size(1280, 1000)
    browser.get(server.address)
    return browser


def css(page: Any, selector: str) -> list[Any]:
    found: list[Any] = page.find_elements("css selector", selector)
    return found


def until(page: Any, rounds: int) -> None:
    """Wait for the page after so many answers."""
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(page, 20).until(lambda _: len(css(page, ".said > li")) == rounds)


def typed(page: Any, text: str, rounds: int) -> None:
    css(page, "#answer")[0].send_keys(text + "\n")
    until(page, rounds)


def test_a_conversation(page: Any, server: ChatServer, tmp_path: Path) -> None:
    assert "token" not in page.current_url
    assert css(page, "label")[0].text == "What are you looking for?"
    assert page.switch_to.active_element.get_attribute("id") == "answer"
    typed(page, "brown", 1)
    ids = [each.text for each in css(page, ".tiles .id")]
    assert ids == list(server.chat.ranking.ids[:12]) and "brown" in ids[0]
    assert all(each.get_property("naturalWidth") == 8 for each in css(page, ".tiles img"))
    asked = css(page, "label")[0].text
    assert asked == server.chat.ask()
    (yes,) = (each for each in css(page, ".choices button") if each.text == "yes")
    yes.click()
    until(page, 2)
    assert [each.text for each in css(page, ".said .asked")][1] == asked
    assert css(page, ".tiles .move")
    page.refresh()
    assert len(css(page, ".said > li")) == 2
    again = Chat.resume(
        tmp_path / "talk.json", None, server.chat.gallery, "fuse", None, encoder=ToyEncoder()
    )
    assert [each.answer for each in again.trace] == ["brown", "yes"]
    for button, rounds in (("undo", 1), ("unknown", 2), ("another", 2), ("restart", 0)):
        css(page, f"button[value={button}]")[0].click()
        until(page, rounds)
    assert not server.chat.trace and not css(page, ".tiles")


def test_enter_in_the_field_answers_with_what_is_typed(page: Any, server: ChatServer) -> None:
    typed(page, "brown", 1)
    assert css(page, ".choices button")
    typed(page, "a cat", 2)
    assert server.chat.trace[-1].answer == "a cat"


def test_nothing_that_is_typed_runs(page: Any, server: ChatServer) -> None:
    typed(page, UNSAFE, 1)
    typed(page, UNSAFE, 2)
    assert css(page, ".said .answer")[0].text == UNSAFE and page.title != "bad"
    assert not css(page, ".said img")
    logged = [entry for entry in page.get_log("browser") if entry["level"] == "SEVERE"]
    assert [entry for entry in logged if "favicon" not in entry["message"]] == []


def test_a_picture_that_is_gone(page: Any) -> None:
    typed(page, captions()[-1], 1)
    assert css(page, ".tiles li")[0].text.startswith("no picture")


def test_a_small_screen_scrolls_in_one_direction(page: Any) -> None:
    typed(page, "brown " + "w" * 500, 1)
    page.set_window_size(500, 800)
    width, seen = page.execute_script(
        "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    assert width <= seen
