"""Pictures and texts are found in whatever metadata hold."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from crossrank_hosts._contents import is_encoded_picture, picture_in, shown, shown_in


def encoded(kind: str) -> str:
    file = io.BytesIO()
    Image.new("RGB", (16, 16), "red").save(file, kind)
    return base64.b64encode(file.getvalue()).decode()


@pytest.mark.parametrize(
    "metadata",
    [
        {"source": "a/b.pdf"},
        {"source": Path("a/b.pdf")},
        {"source": "https://example.org/page"},
        {"source": 7, "path": ["x.jpg"], "image": None},
        {"image_path": "", "image": 3.5, "blob": {}},
        {"caption": "x.jpg"},
        {},
    ],
    ids=str,
)
def test_what_names_no_picture(metadata: dict[str, Any]) -> None:
    assert picture_in(metadata) is None


@pytest.mark.parametrize(
    "value", ["a/b.JPG", Path("b.png"), b"bytes", "data:image/png;base64,AAAA"], ids=str
)
@pytest.mark.parametrize("key", ["image_path", "source", "uri"])
def test_what_names_or_holds_a_picture(key: str, value: Any) -> None:
    assert picture_in({"page": 1, key: value}) == value


def test_a_key_for_pictures_needs_no_ending() -> None:
    assert picture_in({"image_path": "store/17", "source": "b.jpg"}) == "store/17"
    assert picture_in({"image": Path("store/17")}) == Path("store/17")
    assert picture_in({"thumb": "store/17", "image": "b.jpg"}, "thumb") == "store/17"
    assert picture_in({"image": "b.jpg"}, "thumb") is None
    array = np.zeros((2, 2, 3), np.uint8)
    assert picture_in({"image": array}) is array


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF"])
def test_base64_of_a_picture_is_one(kind: str) -> None:
    assert is_encoded_picture(encoded(kind))
    assert shown(None, encoded(kind)) == (encoded(kind), None)


@pytest.mark.parametrize("text", ["a dog", "/9j/", "R0lGOD is a magic number", "iVBORw0KGgo"])
def test_a_text_is_no_picture(text: str) -> None:
    assert shown(None, text) == (None, text)


def test_a_text_that_names_a_picture_is_one() -> None:
    assert shown(None, "photos/dog.jpg") == (Path("photos/dog.jpg"), None)
    assert shown("cat.jpg", "photos/dog.jpg") == ("cat.jpg", "photos/dog.jpg")
    assert shown(None, "  ") == (None, None)
    assert shown(None, None) == (None, None)


def test_rows_have_a_text_where_stores_keep_one() -> None:
    assert shown_in({"n": 1, "content": "a dog", "body": "b"}) == (None, "a dog")
    assert shown_in({"title": "a dog", "text": "b"}, text_key="title") == (None, "a dog")
    assert shown_in({"text": "a dog", "path": "x.png"}) == ("x.png", "a dog")
