"""Karpathy-style caption files: what is read of them, and what is wrong with them."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossrank import Collection, Item
from crossrank._items.captions import Captions, read_captions
from crossrank.errors import DuplicateIdError, FormatError, InputError, OrientationError


def image(name: str, split: str, *texts: str, **more: Any) -> dict[str, Any]:
    sentences = [{"raw": text, "tokens": text.split()} for text in texts]
    return {"filename": name, "split": split, "sentences": sentences, **more}


FLICKR = [
    image("1.jpg", "test", "A dog runs .", "A brown dog", sentids=[0, 1], imgid=0),
    image("2.jpg", "train", "Two men"),
    image("3.jpg", "test", " A red car ", imgid=2),
    image("4.jpg", "val", "A boat"),
]


def written(folder: Path, images: Any) -> Path:
    path = folder / "dataset.json"
    path.write_text(json.dumps({"images": images, "dataset": "toy"}), encoding="utf-8")
    return path


def test_a_split_is_read_in_the_order_of_the_file(tmp_path: Path) -> None:
    assert read_captions(written(tmp_path, FLICKR), "test") == Captions(
        image_ids=("1.jpg", "3.jpg"),
        paths=("1.jpg", "3.jpg"),
        text_ids=("1.jpg#0", "1.jpg#1", "3.jpg#0"),
        texts=("A dog runs .", "A brown dog", "A red car"),
        text_to_image=(0, 0, 1),
    )


def test_the_test_split_is_the_default_and_none_is_all(tmp_path: Path) -> None:
    path = written(tmp_path, FLICKR)
    assert read_captions(path) == read_captions(str(path), "test")
    assert read_captions(path, None).image_ids == ("1.jpg", "2.jpg", "3.jpg", "4.jpg")


def test_restval_counts_as_train_and_the_filepath_as_a_folder(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        [
            image("COCO_val2014_1.jpg", "restval", "A cat", filepath="val2014", cocoid=1),
            image("COCO_train2014_2.jpg", "train", "A bus", filepath="train2014", cocoid=2),
        ],
    )
    captions = read_captions(path, "train")
    assert captions.paths == ("val2014/COCO_val2014_1.jpg", "train2014/COCO_train2014_2.jpg")
    assert captions.image_ids == ("COCO_val2014_1.jpg", "COCO_train2014_2.jpg")
    with pytest.raises(InputError, match="split 'restval'"):
        read_captions(path, "restval")


def test_qrels_of_both_directions(tmp_path: Path) -> None:
    captions = read_captions(written(tmp_path, FLICKR))
    assert captions.qrels("t2i") == {
        "1.jpg#0": {"1.jpg": 1},
        "1.jpg#1": {"1.jpg": 1},
        "3.jpg#0": {"3.jpg": 1},
    }
    assert captions.qrels("i2t") == {
        "1.jpg": {"1.jpg#0": 1, "1.jpg#1": 1},
        "3.jpg": {"3.jpg#0": 1},
    }
    with pytest.raises(OrientationError, match="'t2i' or 'i2t'"):
        captions.qrels("i2i")


def test_items_carry_the_ids_of_the_qrels(tmp_path: Path) -> None:
    captions = read_captions(written(tmp_path, FLICKR))
    pictures, texts = captions.image_items(tmp_path), captions.text_items()
    assert [(item.id, item.image) for item in pictures] == [
        ("1.jpg", tmp_path / "1.jpg"),
        ("3.jpg", tmp_path / "3.jpg"),
    ]
    assert texts[1] == Item("1.jpg#1", "A brown dog")
    assert Collection([item.id for item in texts], "text").ids == tuple(captions.qrels("t2i"))


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["train", "val", "test", "restval"]),
            st.lists(st.sampled_from(["a dog", "a cat"]), min_size=1, max_size=6),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_splits_share_nothing_and_lose_nothing(
    tmp_path_factory: pytest.TempPathFactory, entries: list[tuple[str, list[str]]]
) -> None:
    images = [image(f"{row}.jpg", split, *texts) for row, (split, texts) in enumerate(entries)]
    path = written(tmp_path_factory.mktemp("captions"), images)
    whole = read_captions(path, None)
    used = {"train" if split == "restval" else split for split, _ in entries}
    parts = [read_captions(path, split) for split in used]
    assert sorted(id for part in parts for id in part.image_ids) == sorted(whole.image_ids)
    assert sorted(id for part in parts for id in part.text_ids) == sorted(whole.text_ids)
    assert len(whole.texts) == sum(len(texts) for _, texts in entries)
    for text, row in zip(whole.text_ids, whole.text_to_image, strict=True):
        assert text.startswith(f"{whole.image_ids[row]}#")


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        ("text", "image number 1 has a str"),
        ({"split": "test"}, "image number 1 has the filename None"),
        (image("", "test", "x"), "image number 1 has the filename ''"),
        (image("9.jpg", "", "x"), r"image '9\.jpg' has the split ''"),
        ({"filename": "9.jpg", "sentences": []}, r"image '9\.jpg' has the split None"),
        (image("9.jpg", "test"), r"image '9\.jpg' has no list of sentences"),
        ({"filename": "9.jpg", "split": "test"}, r"image '9\.jpg' has no list of sentences"),
        (image("9.jpg", "test", "x", " "), r"image '9\.jpg' has sentence 1 without a text"),
        (
            {"filename": "9.jpg", "split": "test", "sentences": ["x"]},
            r"image '9\.jpg' has sentence 0 without a text under 'raw'",
        ),
        (image("9.jpg", "test", "x", sentids=[1, 2]), r"sentids \[1, 2\] for 1 sentences"),
        (image("9.jpg", "test", "x", filepath=3), r"image '9\.jpg' has the filepath 3"),
    ],
)
def test_malformed_entries_are_named_by_image(tmp_path: Path, broken: Any, says: str) -> None:
    path = written(tmp_path, [FLICKR[0], broken])
    with pytest.raises(FormatError, match=says):
        read_captions(path)


def test_two_images_of_one_name(tmp_path: Path) -> None:
    with pytest.raises(DuplicateIdError, match=r"two images have the filename '1\.jpg'"):
        read_captions(written(tmp_path, [FLICKR[0], FLICKR[0]]))


def test_a_split_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="split 'tset'; did you mean 'test'"):
        read_captions(written(tmp_path, FLICKR), "tset")


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"images": []}', '{"images": {}}'])
def test_files_that_are_no_caption_file(tmp_path: Path, content: str) -> None:
    path = tmp_path / "dataset.json"
    path.write_text(content)
    with pytest.raises(FormatError, match=r"dataset\.json"):
        read_captions(path)
    with pytest.raises(FormatError, match=r"nowhere\.json"):
        read_captions(tmp_path / "nowhere.json")
