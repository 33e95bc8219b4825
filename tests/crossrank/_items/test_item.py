"""Reading queries and candidates as people pass them."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from crossrank import Item
from crossrank._items.item import as_item, as_parts
from crossrank.errors import InputError


def test_a_str_is_a_text_and_a_path_is_a_picture() -> None:
    assert as_item("a dog").text == "a dog"
    assert as_item(Path("dog.jpg")).image == Path("dog.jpg")
    assert as_item(Path("dog.jpg")).id == "dog.jpg"
    assert as_item(Image.new("RGB", (1, 1))).modality == "image"


@pytest.mark.parametrize("text", ["dog.jpg", "my photos/the dog.JPEG", "x.webp"])
def test_a_str_that_ends_like_a_picture_asks_for_a_path(text: str) -> None:
    with pytest.raises(InputError, match="use Path"):
        as_item(text)


def test_a_str_that_names_a_file_asks_for_a_path(tmp_path: Path) -> None:
    file = tmp_path / "notes"
    file.write_text("")
    with pytest.raises(InputError, match="use Path"):
        as_item(str(file))


@pytest.mark.parametrize("text", ["", "  \n"])
def test_an_empty_text_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="empty"):
        as_item(text)


@pytest.mark.parametrize("value", [3, None, object(), {"text": "dog"}])
def test_other_types_are_refused_by_name(value: object) -> None:
    with pytest.raises(InputError, match=type(value).__name__):
        as_item(value)


def test_a_long_text_is_a_text() -> None:
    assert as_item("word " * 10_000).text is not None
    assert as_item("line\nline").text == "line\nline"
    assert as_item("nul \0 byte").text == "nul \0 byte"


def test_a_sequence_is_a_query_of_several_parts() -> None:
    parts = as_parts([Path("a.png"), "but in red"])
    assert [part.modality for part in parts] == ["image", "text"]
    with pytest.raises(InputError, match="no items"):
        as_parts([])


def test_an_item_survives_pickle_and_refuses_to_be_nothing() -> None:
    item = Item("a", text="x", embedding=np.ones(2))
    again = pickle.loads(pickle.dumps(item))
    assert (again.id, again.text) == ("a", "x")
    np.testing.assert_array_equal(again.features["embedding"], np.ones(2))
    with pytest.raises(InputError):
        Item("only an id")


@pytest.mark.parametrize("text", [5, b"a dog", ["a dog"], float("nan")])
def test_a_text_is_a_str(text: Any) -> None:
    with pytest.raises(InputError, match=r"the text is .*; give a str"):
        Item(text=text)
