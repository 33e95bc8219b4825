"""Pictures become what the image processor makes of them, to the bit, and go together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import crossrank as cr
from crossrank_vlm.pixels import Pixels
from crossrank_vlm.prompts import Prompter
from crossrank_vlm.vision import BATCH
from toys.tiny_tokenizers import transformers

from .conftest import images, texts

SIZES = [(40, 60), (61, 33), (7, 5), (3, 200), (640, 427), (224, 224)]
CROPPED = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
SQUARE = {"size": {"height": 24, "width": 32}, "do_center_crop": False}
PADDED = {"size": {"shortest_edge": 16}, "crop_size": {"height": 32, "width": 32}}


def clip(**settings: Any) -> Any:
    return transformers.CLIPImageProcessorPil(**settings)


def picture(size: tuple[int, int]) -> Image.Image:
    rng = np.random.default_rng(size)
    return Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), np.uint8))


def made(pixels: Pixels, *shown: Image.Image) -> Any:
    return pixels.inputs([pixels.seen(each) for each in shown])["pixel_values"].numpy()


def processed(processor: Any, shown: Image.Image) -> Any:
    return processor([shown], return_tensors="np")["pixel_values"]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("settings", [CROPPED, SQUARE, PADDED])
def test_pixels_are_those_of_the_processor(settings: Any, size: tuple[int, int]) -> None:
    processor = clip(**settings)
    found = made(Pixels(processor), picture(size))
    np.testing.assert_array_equal(found, processed(processor, picture(size)))


def test_a_plain_processor_is_not_asked_for_each_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = Pixels(clip(**CROPPED))
    pixels.seen(picture((9, 9)))
    monkeypatch.setattr(pixels, "_processor", None)
    assert made(pixels, picture((40, 60)), picture((9, 7))).shape == (2, 3, 32, 32)


@pytest.mark.parametrize("settings", [CROPPED, SQUARE])
def test_pictures_together_are_those_alone(settings: Any) -> None:
    pixels, shown = Pixels(clip(**settings)), [picture(size) for size in SIZES]
    alone = np.concatenate([made(pixels, each) for each in shown])
    np.testing.assert_array_equal(made(pixels, *shown), alone)


def test_pictures_that_the_processor_made_go_with_the_others() -> None:
    processor = clip(**CROPPED)
    pixels, shown = Pixels(processor), [picture((40, 60)), picture((50, 40))]
    ready = pixels._processed(shown[1])
    found = pixels.inputs([pixels.seen(shown[0]), ready])["pixel_values"].numpy()
    np.testing.assert_array_equal(found, made(pixels, *shown))


def test_a_processor_that_does_something_else_is_asked() -> None:
    class Other(transformers.CLIPImageProcessorPil):  # type: ignore[misc]
        def normalize(self, image: Any, *others: Any, **named: Any) -> Any:
            return super().normalize(image, *others, **named)[:, ::-1]

    processor = Other(**CROPPED)
    found = made(Pixels(processor), picture((40, 60)))
    np.testing.assert_array_equal(found, processed(processor, picture((40, 60))))


def test_small_pictures_go_through_the_tower_together(checkpoint: Path, tmp_path: Path) -> None:
    paths = [str(tmp_path / f"{number}.png") for number in range(3 * BATCH)]
    for number, path in enumerate(paths):
        picture((32, 40 + number)).save(path)
    calls: list[int] = []
    stage = cr.Stage("vlm", fusion=cr.Replace(), params={"model": checkpoint})
    queries, gallery = texts().take([0]), images(paths)
    lists = cr.Candidates.from_lists(
        {id: list(gallery.ids) for id in queries.ids}, candidate_ids=gallery.ids
    )
    scorer: Any = stage.scorer
    model = scorer.loaded("cpu", "float32").model.model
    whole = model.get_image_features

    def counted(*given: Any, **named: Any) -> Any:
        calls.append(1)
        return whole(*given, **named)

    model.get_image_features = counted
    one = cr.Pipeline(stage).rerank(lists, queries, gallery, threads=1).to_similarity()
    assert len(calls) == 1
    assert scorer.encoded_images == len(paths)
    scorer._memory = None
    two = cr.Pipeline(stage).rerank(lists, queries, gallery, threads=2).to_similarity()
    np.testing.assert_allclose(one, two, atol=2e-6)


def test_an_output_that_is_not_finite_names_its_picture(qwen3: Path, paths: list[str]) -> None:
    stage = cr.Stage("vlm", fusion=cr.Replace(), params={"model": qwen3})
    queries, gallery = texts().take([0]), images(paths)
    lists = cr.Candidates.from_lists(
        {id: list(gallery.ids) for id in queries.ids}, candidate_ids=gallery.ids
    )
    scorer: Any = stage.scorer
    model = scorer.loaded("cpu", "float32").model.model
    whole = model.get_image_features

    def spoiled(*given: Any, **named: Any) -> Any:
        output = whole(*given, **named)
        min(output.pooler_output, key=len)[0, 0] = torch.nan  # the smallest picture's
        return output

    model.get_image_features = spoiled
    with pytest.raises(cr.errors.PluginError, match=r"2\.png is not finite in torch\.float32"):
        cr.Pipeline(stage).rerank(lists, queries, gallery)


def test_tokens_are_those_of_the_tokenizer(checkpoint: Path) -> None:
    stage = cr.Stage("vlm", params={"model": checkpoint})
    scorer: Any = stage.scorer
    prompter: Prompter = scorer.loaded("cpu", "float32").prompter
    said = ["a dog", "  two\n\ncats ", "ein Baum 樹", ""]
    whole = prompter._tokenizer(said, add_special_tokens=False)["input_ids"]
    assert prompter._quick is not None
    assert prompter._numbers(said) == whole
    vars(prompter)["_quick"] = None  # a tokenizer that is written in Python
    assert prompter._numbers(said) == whole
