"""Visual Genome, COCO, a folder per class: what is read, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import crossrank as cr
from crossrank.errors import FormatError, InputError, MissingFeatureError
from crossrank_knowledge import Coco, FolderPerClass, RegionSource, VisualGenome, build
from crossrank_knowledge.jsonarray import BrokenArrayError, stream_array
from crossrank_knowledge.regions import pool_under_box
from crossrank_knowledge.sharpen import sharpened
from toys.knowledge import ColourGrid, half_red


def vg_object(name: str, x: int, y: int, w: int, h: int) -> dict[str, Any]:
    return {"names": [name, "second name"], "x": x, "y": y, "w": w, "h": h, "object_id": 1}


@pytest.fixture
def genome(tmp_path: Path) -> VisualGenome:
    half_red(tmp_path / "images" / "1.jpg")
    half_red(tmp_path / "images" / "VG_100K_2" / "2.jpg")
    entries = [
        {
            "image_id": 1,
            "objects": [vg_object("red wall", 0, 0, 40, 40), vg_object("sky", 40, 0, 40, 20)],
        },
        {"image_id": 7, "objects": [], "image_url": "http://x/]},{"},
        {"image_id": 2, "objects": [vg_object("wall", 60, 0, 200, 40)]},
    ]
    (tmp_path / "objects.json").write_text(json.dumps(entries, indent=1))
    return VisualGenome(tmp_path / "objects.json", tmp_path / "images")


def test_visual_genome_takes_the_first_name_and_streams(genome: VisualGenome) -> None:
    images = list(genome)
    assert [image.id for image in images] == ["1", "2"]
    assert images[0].labels == ("red wall", "sky")
    assert images[0].boxes == ((0, 0, 40, 40), (40, 0, 80, 20))
    assert images[1].path.parent.name == "VG_100K_2"
    assert list(genome) == images


@pytest.mark.parametrize("how", ["grid", "crop"])
def test_a_bank_from_visual_genome(genome: VisualGenome, how: Any) -> None:
    bank = build(RegionSource(genome, ColourGrid(), how))
    assert bank.lookup("red").tolist() == pytest.approx([200, 0, 0], abs=1e-3)
    assert bank.lookup("wall").tolist() == pytest.approx([100, 0, 50], abs=1e-3)
    assert bank.lookup("sky").tolist() == pytest.approx([0, 0, 100], abs=1e-3)
    assert bank.counts[bank.row("wall")] == 2 and bank.regions == 3
    assert bank.encoder is not None and bank.encoder.startswith("colourgrid:")


@pytest.mark.parametrize("how", ["grid", "crop"])
def test_a_source_starts_anywhere(genome: VisualGenome, how: Any) -> None:
    for size in (1, 2, 5):
        source = RegionSource(genome, ColourGrid(), how, batch_size=size)
        whole = list(source)
        for start in range(5):
            rest = list(source.from_item(start))
            assert [label for label, _ in rest] == [label for label, _ in whole[start:]]
            for (_, feature), (_, expected) in zip(rest, whole[start:], strict=True):
                np.testing.assert_array_equal(feature, expected)


def test_a_finished_build_of_a_source_is_opened(genome: VisualGenome, tmp_path: Path) -> None:
    first = build(RegionSource(genome, ColourGrid()), tmp_path / "bank")
    assert build(RegionSource(genome, ColourGrid()), tmp_path / "bank") == first


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[{"image_id": 5, "objects": [{"names": ["a"], "x": 1}]}]', "image_id 5 .*'y'"),
        ('[{"image_id": 5, "objects": [{"names": [3], "x":1,"y":1,"w":1,"h":1}]}]', "image_id 5"),
        ('[{"image_id": 5, "objects": 3}]', "image_id 5"),
        ('[{"image_id": 4, "objects": []}, {"objects": []}]', "after image_id 4 has no image_id"),
        (
            '[{"image_id": 4, "objects": []}, {"image_id": 9, "objects": [',
            "image_id 9 is malformed",
        ),
        ('[{"image_id": 4, "objects": []} {"image_id": 9}]', "image_id 9 is malformed: ',' or"),
        ('[{"image_id": 4, "objects": []}, ', "what follows image_id 4"),
        ('{"image_id": 4}', "does not start with"),
        ('[{"image_id": 5, "objects": [{"names": ["a"],"x":1e999,"y":1,"w":1,"h":1}]}]', "5"),
    ],
)
def test_malformed_objects_name_the_image(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "objects.json").write_text(text)
    with pytest.raises(FormatError, match=message):
        list(VisualGenome(tmp_path / "objects.json", tmp_path))


@pytest.mark.parametrize("chunk", [1, 3, 7, 1000])
def test_arrays_are_streamed_whatever_the_chunk(tmp_path: Path, chunk: int) -> None:
    values = [{"a": ']},{[\u00e9\\"'}, [], 12, "x", None, [1, [2]]]
    path = tmp_path / "array.json"
    for indent in (None, 2):
        path.write_text(f"\n {json.dumps(values, indent=indent)} ", encoding="utf-8")
        assert list(stream_array(path, chunk)) == values


def test_a_defect_in_the_middle_is_found_without_reading_to_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crossrank_knowledge.jsonarray.GIVE_UP", 100)
    path = tmp_path / "array.json"
    path.write_text('[{"image_id": 1}, {"image_id" 2}' + ", {}" * 5000 + "]")
    with pytest.raises(BrokenArrayError) as caught:
        list(stream_array(path, chunk=100))
    assert caught.value.element == 1 and len(caught.value.text) <= 100


def test_coco(tmp_path: Path) -> None:
    half_red(tmp_path / "a.png")
    content = {
        "images": [{"id": 3, "file_name": "a.png"}, {"id": 4, "file_name": "b.png"}],
        "categories": [{"id": 9, "name": "traffic light"}],
        "annotations": [
            {"id": 1, "image_id": 3, "category_id": 9, "bbox": [0, 0, 20, 40]},
            {"id": 2, "image_id": 3, "category_id": 9, "bbox": [0, 0, 80, 40], "iscrowd": 1},
        ],
    }
    path = tmp_path / "instances.json"
    path.write_text(json.dumps(content))
    bank = build(RegionSource(Coco(path, tmp_path), ColourGrid()))
    assert set(bank.words) == {"traffic", "light"}
    assert bank.lookup("light").tolist() == pytest.approx([200, 0, 0], abs=1e-3)
    content["annotations"].append({"id": 77, "image_id": 3, "category_id": 8, "bbox": [0, 0, 1, 1]})
    path.write_text(json.dumps(content))
    with pytest.raises(FormatError, match="annotation 77"):
        list(Coco(path, tmp_path))
    path.write_text("[]")
    with pytest.raises(FormatError, match="not a COCO"):
        list(Coco(path, tmp_path))


def test_a_folder_per_class(tmp_path: Path) -> None:
    half_red(tmp_path / "flag" / "a.png")
    half_red(tmp_path / "wall" / "b.png")
    bank = build(RegionSource(FolderPerClass(tmp_path), ColourGrid()))
    assert bank.words == ("flag", "wall")
    assert bank.lookup("flag").tolist() == pytest.approx([100, 0, 50], abs=1e-3)
    with pytest.raises(InputError, match="no subfolder"):
        list(FolderPerClass(tmp_path / "flag"))


def test_an_encoder_without_regions_is_refused(genome: VisualGenome) -> None:
    class Blind(cr.Encoder):
        info = cr.EncoderInfo("blind", "", {"image": ("embedding",)})

        def encode_batch(self, items: Any, modality: str, features: Any) -> dict[str, Any]:
            return {}

    with pytest.raises(MissingFeatureError, match="'blind' does not give regions"):
        RegionSource(genome, Blind())
    with pytest.raises(InputError, match="give 'grid' or 'crop'"):
        RegionSource(genome, ColourGrid(), "other")  # type: ignore[arg-type]  # bad on purpose


def test_cells_are_weighted_by_their_share_of_the_box() -> None:
    cells = np.array([[1.0], [5.0]], np.float32)
    boxes = np.array([[0, 0, 0.5, 1], [0.5, 0, 1, 1]], np.float32)
    assert pool_under_box(cells, boxes, (0.4, 0, 0.8, 1)).tolist() == pytest.approx([4.0])
    assert pool_under_box(cells, boxes, (0.9, 0.5, 0.9, 0.5)).tolist() == [5.0]
    assert pool_under_box(cells, boxes, (-3, 0, -2, 1)).tolist() == [1.0]


def test_sharpening_keeps_the_cells_that_agree() -> None:
    rng = np.random.default_rng(0)
    looks = {"dog": np.array([5.0, 0, 0]), "sky": np.array([0, 5.0, 0])}
    images = []
    for n in range(30):
        words = ["dog", "sky"] if n % 3 else [("dog", "sky")[n % 2]]
        cells = [looks[word] for word in words] + [np.array([0, 0, 5.0])] * 4
        images.append((words, np.array(cells) + 0.1 * rng.normal(size=(len(cells), 3))))
    plain = build((" ".join(words), cells.mean(0)) for words, cells in images)
    sharp = build(sharpened(plain, images, keep=1))
    np.testing.assert_allclose(sharp.lookup("dog"), looks["dog"], atol=0.2)
    assert sharp.counts[sharp.row("sky")] == plain.counts[plain.row("sky")]
    with pytest.raises(InputError, match="at least 1"):
        list(sharpened(plain, images, keep=0))
