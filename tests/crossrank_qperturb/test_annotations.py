"""The readers, on files written as the data sets describe theirs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossrank.errors import FormatError, StoreError
from crossrank_qperturb import coco_entities, flickr30k_entities

BOX = (
    "<object>{names}<bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox>"
    "</object>"
)
SCENE = "<object><name>7</name><scene>1</scene><nobndbox>0</nobndbox></object>"
UNSEEN = "<object><name>9</name><scene>0</scene><nobndbox>1</nobndbox></object>"


def annotate(
    folder: Path, id: str, *objects: str, size: str = "<width>200</width><height>100</height>"
) -> Path:
    path = folder / f"{id}.xml"
    path.write_text(
        f"<annotation><filename>{id}.jpg</filename><size>{size}<depth>3</depth></size>"
        f"{''.join(objects)}</annotation>"
    )
    return path


def box(*corners: float, names: tuple[str, ...] = ("1",)) -> str:
    return BOX.format(*corners, names="".join(f"<name>{name}</name>" for name in names))


def test_flickr30k_boxes_count_pixels_from_one(tmp_path: Path) -> None:
    annotate(tmp_path, "36979", box(1, 1, 200, 100), SCENE, box(51, 26, 100, 75), UNSEEN)
    annotate(tmp_path, "100", SCENE)
    found = flickr30k_entities(tmp_path)
    assert list(found) == ["100", "36979"]
    np.testing.assert_allclose(found["36979"], [[0.0, 0.0, 1.0, 1.0], [0.25, 0.25, 0.5, 0.75]])
    assert found["100"].shape == (0, 4) and found["100"].dtype == np.float32


def test_flickr30k_ids_are_names_of_files(tmp_path: Path) -> None:
    annotate(tmp_path, "1", box(1, 1, 100, 50, names=("3", "5")))
    annotate(tmp_path, "2", box(0, 1, 201, 100))
    found = flickr30k_entities(str(tmp_path), ["2.jpg", "1"])
    assert list(found) == ["2.jpg", "1"]
    np.testing.assert_allclose(found["2.jpg"], [[0, 0, 1, 1]])
    assert len(found["1"]) == 1, "one box of two phrases is one object"


def test_flickr30k_boxes_as_the_authors_read_them(tmp_path: Path) -> None:
    annotations, sentences = tmp_path / "Annotations", tmp_path / "Sentences"
    annotations.mkdir()
    sentences.mkdir()
    things = (
        box(51, 26, 100, 75, names=("28", "3")),
        box(1, 1, 20, 10, names=("2",)),
        box(1, 1, 1, 1, names=("31",)),
        SCENE,
    )
    annotate(annotations, "5", *things)
    said = "[/EN#28/people A man] on [/EN#0/notvisual it] .\n[/EN#31/other Dots] and #2 /2/ .\n"
    (sentences / "5.txt").write_text(said, encoding="utf-8")
    found = flickr30k_entities(annotations, sentences=sentences, last_pixel=False)["5"]
    np.testing.assert_allclose(found, [[0.25, 0.25, 0.495, 0.74], [0.0, 0.0, 0.0, 0.0]])
    whole = flickr30k_entities(annotations, sentences=sentences)["5"]
    np.testing.assert_allclose(whole, [[0.25, 0.25, 0.5, 0.75], [0.0, 0.0, 0.005, 0.01]])
    assert len(flickr30k_entities(annotations)["5"]) == 3

    (sentences / "5.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(FormatError, match=r"5\.txt: image '5' has captions that are not UTF-8"):
        flickr30k_entities(annotations, sentences=sentences)
    (sentences / "5.txt").unlink()
    with pytest.raises(StoreError, match=r"5\.txt: image '5' has no captions"):
        flickr30k_entities(annotations, sentences=sentences)


@pytest.mark.parametrize(
    ("objects", "size", "message"),
    [
        ([box(1, 1, 300, 50)], None, r"200 × 100, has the box \(0, 0, 300, 50\)"),
        ([box(100, 1, 50, 50)], None, r"has the box \(99, 0, 50, 50\)"),
        ([box(float("nan"), 1, 50, 50)], None, "has the box"),
        ([BOX.format("a", 1, 2, 3, names="")], None, "has 'a' for xmin"),
        ([box(1, 1, 2, 2)], "<width>200</width>", "has None for size/height"),
        ([box(1, 1, 2, 2)], "<width>0</width><height>9</height>", "has the size 0 × 9"),
        (["<object>"], None, "not XML"),
    ],
)
def test_flickr30k_errors_name_file_and_image(
    tmp_path: Path, objects: list[str], size: str | None, message: str
) -> None:
    path = annotate(tmp_path, "77", *objects, **({} if size is None else {"size": size}))
    with pytest.raises(FormatError, match=message) as caught:
        flickr30k_entities(tmp_path)
    assert str(path) in str(caught.value) and "image '77'" in str(caught.value)


def test_flickr30k_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no such folder"):
        flickr30k_entities(tmp_path / "Annotations")
    with pytest.raises(StoreError, match=r"image '5.jpg' has no annotation"):
        flickr30k_entities(tmp_path, ["5.jpg"])
    assert flickr30k_entities(tmp_path) == {}


def write(folder: Path, entities: Any) -> Path:
    path = folder / "coco_entities_release.json"
    path.write_text(json.dumps(entities))
    return path


def caption(**detections: Any) -> dict[str, Any]:
    return {
        "det_sequences": [None, "_"],
        "noun_chunks": [["a knife", "knife"]],
        "detections": detections,
        "split": "test",
    }


def test_coco_boxes_are_taken_once_however_many_captions_speak_of_them(tmp_path: Path) -> None:
    knife, cake = [11, [20.0, 10.0, 40.0, 30.0]], [3, [0.0, 0.0, 100.5, 50.0]]
    path = write(
        tmp_path,
        {
            "522418": {
                "a woman cuts a cake with a knife": caption(knife=[knife], cake=[cake]),
                "the back of a knife": caption(knife=[knife]),
            },
            "9": {"nothing": caption()},
        },
    )
    sizes = {"COCO_val2014_000000522418.jpg": (100, 50), "9": (10, 10), "77": (5, 5)}
    found = coco_entities(path, sizes)
    assert list(found) == list(sizes)
    np.testing.assert_allclose(
        found["COCO_val2014_000000522418.jpg"], [[0.2, 0.2, 0.4, 0.6], [0.0, 0.0, 1.0, 1.0]]
    )
    assert found["9"].shape == found["77"].shape == (0, 4)


@pytest.mark.parametrize(
    ("captions", "message"),
    [
        ({"a": caption(cup=[[1, [0, 0, 300, 20]]])}, r"has the box \(0, 0, 300, 20\)"),
        ({"a": caption(cup=[[1, [9, 0, 3, 20]]])}, r"has the box \(9, 0, 3, 20\)"),
        ({"a": caption(cup=[[1, [0, 0, 3]]])}, "captions that cannot be read"),
        ({"a": caption(cup=[[1, [0, 0, 3, "x"]]])}, "captions that cannot be read"),
        ({"a": caption(cup=[1])}, "captions that cannot be read"),
        ({"a": {"split": "test"}}, "KeyError: 'detections'"),
        (["a"], "AttributeError"),
    ],
)
def test_coco_errors_name_file_and_image(tmp_path: Path, captions: Any, message: str) -> None:
    path = write(tmp_path, {"5": captions})
    with pytest.raises(FormatError, match=message) as caught:
        coco_entities(path, {"5": (100, 50)})
    assert str(path) in str(caught.value) and "image '5'" in str(caught.value)


def test_coco_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="coco_entities_release"):
        coco_entities(tmp_path / "none.json", {})
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    with pytest.raises(FormatError, match="is not JSON"):
        coco_entities(broken, {})
    with pytest.raises(FormatError, match="has no images"):
        coco_entities(write(tmp_path, []), {})
