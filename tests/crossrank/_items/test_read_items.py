"""Reading what is to be encoded: ids, paths, and errors that name file and line."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from crossrank._items.read_items import read_items
from crossrank._text import is_blank
from crossrank.errors import CrossrankError, DuplicateIdError, FormatError, InputError

lines = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\r\n")).filter(
    lambda line: not is_blank(line) and not line.startswith("\ufeff")
)


def picture(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (2, 2)).save(path)
    return path


def test_a_folder_gives_its_pictures_in_order_with_suffix_and_without_blanks(
    tmp_path: Path,
) -> None:
    for name in ["b.PNG", "a.jpg", "a.png", "sub dir/c d.jpeg", "sub/über.gif"]:
        picture(tmp_path / name)
    picture(tmp_path / ".hidden" / "x.png")
    (tmp_path / ".y.png").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("no picture")
    items = read_items(tmp_path)
    assert [item.id for item in items] == [
        "a.jpg",
        "a.png",
        "b.PNG",
        "sub/über.gif",
        "sub%20dir/c%20d.jpeg",
    ]
    assert items[-1].image == tmp_path / "sub dir/c d.jpeg"


def test_pictures_keep_an_absolute_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture(tmp_path / "photos" / "a.png")
    monkeypatch.chdir(tmp_path)
    assert read_items(Path("photos"))[0].image == tmp_path / "photos" / "a.png"


def test_an_escape_that_meets_its_own_name(tmp_path: Path) -> None:
    picture(tmp_path / "a b.png")
    picture(tmp_path / "a%20b.png")
    with pytest.raises(DuplicateIdError, match=r"a%20b\.png has the id 'a%20b\.png', which .*a b"):
        read_items(tmp_path)


def test_a_file_name_that_is_no_text(tmp_path: Path) -> None:
    try:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.png")).write_bytes(b"x")
    except OSError:
        pytest.skip("this file system only takes UTF-8 names")
    with pytest.raises(FormatError, match="not valid UTF-8"):
        read_items(tmp_path)


@given(st.lists(lines, min_size=1, max_size=5), st.sampled_from(["\n", "\r\n"]), st.booleans())
@settings(max_examples=50)
def test_a_text_file_gives_one_item_a_line(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], end: str, last: bool
) -> None:
    file = tmp_path_factory.mktemp("texts") / "a.TXT"
    file.write_bytes((end.join(texts) + (end if last else "")).encode("utf-8-sig"))
    items = read_items(file)
    assert [(item.id, item.text) for item in items] == [
        (str(number), text) for number, text in enumerate(texts, 1)
    ]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"a\n\nb\n", ":2 has an empty text"),
        (b"a\n \t\n", ":2 has an empty text"),
        (b"a\n\xff\n", ":2 is not UTF-8"),
        (b"", "is empty"),
    ],
)
def test_a_bad_text_file(tmp_path: Path, content: bytes, says: str) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes(content)
    with pytest.raises(CrossrankError) as caught:
        read_items(file)
    assert f"{file}" in str(caught.value)
    assert says in str(caught.value)


def test_json_lines_of_texts_and_of_pictures(tmp_path: Path) -> None:
    picture(tmp_path / "img" / "a.png")
    file = tmp_path / "items.jsonl"
    records = [
        {"id": "x", "text": "a dog", "split": "test"},
        {"id": 7, "image": "img/a.png"},
        {"id": "both", "image": str(tmp_path / "img/a.png"), "text": "ein Hund"},
    ]
    file.write_text("\n\n".join(json.dumps(record) for record in records))
    items = read_items(file)
    assert [(item.id, item.text, item.image) for item in items] == [
        ("x", "a dog", None),
        ("7", None, tmp_path / "img/a.png"),
        ("both", "ein Hund", tmp_path / "img/a.png"),
    ]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "not a JSON value"),
        ("[1]", "is no object"),
        ('{"id": "a"}', "neither"),
        ('{"text": "a"}', 'needs an "id"'),
        ('{"id": true, "text": "a"}', 'needs an "id"'),
        ('{"id": 1.5, "text": "a"}', 'needs an "id"'),
        ('{"id": "", "text": "a"}', "the id ''"),
        ('{"id": "a b", "text": "a"}', "white space"),
        ('{"id": "\\ud800", "text": "a"}', "valid Unicode"),
        ('{"id": "a", "text": ""}', "empty text"),
        ('{"id": "a", "text": 3}', "empty text"),
        ('{"id": "a", "text": "\\ud800"}', "valid Unicode"),
        ('{"id": "a", "image": 3}', "path of a picture"),
        ('{"id": "a", "image": "gone.png"}', "which is not there"),
        ('{"id": "a", "image": "a\\u0000b"}', "which is not there"),
        ('{"id": "first", "text": "a"}', "which .*:1 has already"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, says: str) -> None:
    file = tmp_path / "items.jsonl"
    file.write_text('{"id": "first", "text": "fine"}\n' + line + "\n")
    with pytest.raises(CrossrankError, match=says) as caught:
        read_items(file)
    assert f"{file}:2" in str(caught.value)


def test_a_source_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read_items(tmp_path / "gone.txt")
    (tmp_path / "a.csv").write_text("a")
    with pytest.raises(InputError, match="is none of these"):
        read_items(tmp_path / "a.csv")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no pictures"):
        read_items(tmp_path / "empty")
