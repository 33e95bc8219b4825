"""Boxes, labels and the regions under them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import crossrank as cr
from crossrank.errors import (
    InputError,
    MissingFeatureError,
    ParameterError,
    PluginError,
    StoreError,
)
from crossrank_detect.coco import COCO_CLASSES
from crossrank_detect.detections import Detections, best_detections, suppress
from crossrank_detect.encoder import DetectEncoder
from crossrank_detect.yolox import decode, letterbox


class Halves(cr.Encoder):
    """Two cells, left and right, with their mean colour."""

    info = cr.EncoderInfo("halves", "", {"image": ("regions", "token_boxes")})

    def encode_batch(
        self, items: Sequence[cr.Item], modality: str, features: Sequence[str]
    ) -> Mapping[str, Any]:
        cells, boxes = [], np.array([[0, 0, 0.5, 1], [0.5, 0, 1, 1]], np.float32)
        for item in items:
            assert item.image is not None
            picture = cr.open_image(item.image)
            cells.append(np.asarray(picture.resize((2, 1), Image.Resampling.BOX), np.float32)[0])
        return {
            "regions": cr.Ragged.from_list(cells),
            "token_boxes": cr.Ragged.from_list([boxes] * len(items)),
        }


class Fixed:
    """Finds a dog on the left, and nothing in a grey picture."""

    def detect(self, picture: Image.Image) -> Detections:
        if np.ptp(np.asarray(picture)) == 0:
            return Detections(np.zeros((0, 4), np.float32), (), np.zeros(0, np.float32))
        box = np.array([[0, 0, 0.5, 1], [0.25, 0, 0.75, 1]], np.float32)
        return Detections(box, ("dog", "ball"), np.array([0.9, 0.5], np.float32))


@pytest.fixture
def encoder() -> DetectEncoder:
    made = DetectEncoder(model="none.onnx", encoder=Halves())
    made.__dict__["detector"] = Fixed()
    return made


def red_and_blue() -> Image.Image:
    pixels = np.zeros((10, 20, 3), np.uint8)
    pixels[:, :10, 0] = 100
    pixels[:, 10:, 2] = 200
    return Image.fromarray(pixels)


def test_regions_are_pooled_under_the_boxes(encoder: DetectEncoder) -> None:
    grey = Image.new("RGB", (8, 8), "grey")
    features = ("regions", "boxes", "labels", "box_scores", "size")
    images = cr.encode(encoder, [red_and_blue(), grey], "image", features)
    np.testing.assert_allclose(images["regions"][0], [[100, 0, 0], [50, 0, 100]])
    assert images["regions"].lengths.tolist() == images["boxes"].lengths.tolist() == [2, 0]
    assert images["regions"].trailing == (3,)
    assert list(images["labels"][0]) == ["dog", "ball"] and list(images["labels"][1]) == []
    assert images["size"].tolist() == [[20, 10], [8, 8]]
    only = cr.encode(encoder, [grey], "image", ("labels",))
    assert only.features == ("labels",)


def test_suppression_is_greedy_within_a_class() -> None:
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [1, 0, 11, 10], [20, 20, 30, 30]], np.float32)
    scores = np.array([0.8, 0.9, 0.7, 0.1], np.float32)
    assert suppress(boxes, scores, np.array([0, 0, 1, 0]), 0.5) == [1, 2, 3]
    assert suppress(boxes, scores, np.array([0, 0, 1, 0]), 0.9) == [1, 0, 2, 3]
    assert suppress(boxes[:0], scores[:0], np.zeros(0, np.int64), 0.5) == []


def test_boxes_are_clipped_ordered_and_counted() -> None:
    boxes = np.array([[-1, 0, 0.5, 2], [0.2, 0.2, 0.4, 0.4], [2, 2, 3, 3]], np.float32)
    found = best_detections(
        boxes, np.array([0.1, 0.3, 0.9], np.float32), np.array([0, 7, 0]), {0: "cat"}, 5
    )
    assert found.labels == ("7", "cat")
    assert found.boxes[1].tolist() == [0, 0, 0.5, 1]
    assert best_detections(boxes, np.ones(3, np.float32), np.zeros(3, np.int64), {}, 1).labels


def test_decoding_follows_the_formula() -> None:
    output = np.zeros((64 // 8 * 32 // 8 + 4 * 2 + 2 * 1, 5 + 3), np.float32)
    cell = 9  # second row, second column of the stride 8 grid of 8 columns
    output[cell] = [0.5, 0.25, np.log(2), np.log(3), 0.5, 0.1, 0.8, 0.2]
    boxes, scores, classes = decode(output, 64, 32)
    centre, half = (1.5 * 8, 1.25 * 8), (8.0, 12.0)
    np.testing.assert_allclose(
        boxes[cell],
        [centre[0] - half[0], centre[1] - half[1], centre[0] + half[0], centre[1] + half[1]],
        rtol=1e-5,
    )
    assert scores[cell] == pytest.approx(0.4) and classes[cell] == 1
    assert len(boxes) == 32 + 8 + 2


def test_letterbox_keeps_the_shape_and_turns_to_bgr() -> None:
    pixels, ratio = letterbox(Image.new("RGB", (40, 20), (10, 20, 30)), 80, 60)
    assert ratio == 2.0 and pixels.shape == (1, 3, 60, 80)
    assert pixels[0, :, 39, 79].tolist() == [30, 20, 10]
    assert (pixels[0, :, 40:] == 114).all()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"model": 3}, "model is 3"),
        ({"model": "x", "threshold": 1.0}, "threshold is 1.0"),
        ({"model": "x", "overlap": float("nan")}, "overlap is nan"),
        ({"model": "x", "most": 0}, "most is 0"),
    ],
)
def test_bad_parameters(params: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        DetectEncoder(**params)


def test_bad_models(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    (tmp_path / "bad.onnx").write_bytes(b"nonsense")
    for name, message in (("missing.onnx", "is not a file"), ("bad.onnx", "not an ONNX network")):
        encoder = DetectEncoder(model=tmp_path / name, encoder=Halves())
        with pytest.raises(InputError, match=message):
            cr.encode(encoder, [red_and_blue()], "image", ("labels",))
    encoder = DetectEncoder(model=str(tmp_path / "nowhere"), encoder=Halves())
    pytest.importorskip("transformers")
    with pytest.raises(StoreError, match="nowhere is no folder"):
        cr.encode(encoder, [red_and_blue()], "image", ("labels",))
    (tmp_path / "empty").mkdir()
    encoder = DetectEncoder(model=tmp_path / "empty", encoder=Halves())
    with pytest.raises(StoreError, match="empty holds no complete checkpoint"):
        cr.encode(encoder, [red_and_blue()], "image", ("labels",))


def test_without_a_network_a_model_of_the_hub_is_asked_for_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """transformers asked for every file five times: 28 seconds and 23 lines."""
    transformers = pytest.importorskip("transformers")
    hub = pytest.importorskip("huggingface_hub")
    asked: list[str] = []

    def unreachable(self: Any, name: str, **options: Any) -> None:
        asked.append(name)
        raise ConnectionError("no route to host")

    def read(name: str, **options: Any) -> None:
        assert options["local_files_only"] is True
        raise OSError("not in the cache")

    monkeypatch.setattr(hub.HfApi, "model_info", unreachable)
    monkeypatch.setattr(transformers.AutoModelForObjectDetection, "from_pretrained", read)
    encoder = DetectEncoder(model="somebody/detector", encoder=Halves())
    with pytest.raises(PluginError, match=r"hub cannot be reached \(ConnectionError") as caught:
        cr.encode(encoder, [red_and_blue()], "image", ("labels",))
    assert asked == ["somebody/detector"] and "\n" not in str(caught.value)


def test_an_encoder_without_cells_is_refused(encoder: DetectEncoder) -> None:
    class Blind(Halves):
        info = cr.EncoderInfo("blind", "", {"image": ("embedding",)})

    blind = DetectEncoder(model="none.onnx", encoder=Blind())
    blind.__dict__["detector"] = Fixed()
    with pytest.raises(MissingFeatureError, match="'blind' gives no"):
        cr.encode(blind, [red_and_blue()], "image", ("regions",))


def test_the_fingerprint_follows_the_content_of_the_model(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(b"one")
    first = DetectEncoder(model=path, encoder=Halves()).fingerprint()
    assert DetectEncoder(model=path, encoder=Halves(), most=3).fingerprint() != first
    path.write_bytes(b"two")
    assert DetectEncoder(model=path, encoder=Halves()).fingerprint() != first


def test_a_detector_of_transformers(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    config = transformers.YolosConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        image_size=[32, 32],
        patch_size=8,
        num_detection_tokens=5,
        id2label={0: "cat", 1: "dog"},
    )
    transformers.YolosForObjectDetection(config).save_pretrained(tmp_path)
    processor = getattr(transformers, "YolosImageProcessorPil", transformers.YolosImageProcessor)
    processor(size={"height": 32, "width": 32}).save_pretrained(tmp_path)
    encoder = DetectEncoder(model=tmp_path, encoder=Halves(), threshold=0.05, most=3)
    images = cr.encode(encoder, [red_and_blue()], "image")
    assert images["boxes"].lengths.tolist() == [3] == images["regions"].lengths.tolist()
    assert set(images["labels"][0]) <= {"cat", "dog"}
    assert (images["box_scores"][0] > 0.05).all()
    assert (images["boxes"].flat >= 0).all() and (images["boxes"].flat <= 1).all()


def test_it_is_installed_by_name() -> None:
    from crossrank.plugin.registry import load_encoder

    assert load_encoder("detect") is DetectEncoder


@pytest.mark.data
def test_yolox_nano_finds_animals_where_captions_say_so() -> None:
    root = os.environ.get("CROSSRANK_DATA")
    if not root:
        pytest.skip("CROSSRANK_DATA is not set")
    pytest.importorskip("onnxruntime")
    import json

    folder = Path(root)
    lines = (folder / "flickr8k" / "captions.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    test = [row for row in rows if row["split"] == "test"]

    def sample(words: tuple[str, ...]) -> list[Path]:
        chosen = [row for row in test if all(any(w in c for w in words) for c in row["captions"])]
        return [folder / "flickr8k" / "images" / row["filename"] for row in chosen[:10]]

    model = folder / "yolox_nano" / "yolox_nano.onnx"
    encoder = DetectEncoder(model=model, encoder=Halves(), threshold=0.3)
    dogs = cr.encode(encoder, sample((" dog",)), "image", ("labels", "boxes"))
    animals = {"dog", "horse", "cow", "sheep", "cat", "bear"}
    hits = sum(bool(animals & set(labels)) for labels in dogs["labels"])
    people = cr.encode(encoder, sample((" man ", " boy ", " woman ")), "image", ("labels",))
    assert hits >= 7
    assert sum("person" in labels for labels in people["labels"]) >= 6
    assert len(COCO_CLASSES) == 80
