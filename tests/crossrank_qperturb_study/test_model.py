"""The tiny model's scores are those of ``forward``; it is saved as others load it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import crossrank as cr
import tiny_blip2_model as tiny
from crossrank_blip2 import Blip2Reranker
from tiny_blip2_scenes import Fact, Scene, caption, gallery


@pytest.fixture(scope="module")
def model() -> Any:
    torch.manual_seed(0)
    return tiny.make_model().eval()


@pytest.fixture(scope="module")
def pictures() -> list[tuple[Scene, Fact]]:
    return gallery("test", 5, 0)


@pytest.fixture(scope="module")
def told(pictures: list[tuple[Scene, Fact]]) -> Any:
    texts = [caption(fact) for _, fact in pictures]
    return tiny.make_tokenizer()(texts, padding=True, return_tensors="pt")


def test_every_word_of_a_caption_is_known(told: Any) -> None:
    assert not (told["input_ids"] == tiny.VOCABULARY["[UNK]"]).any()
    assert (told["input_ids"][:, 0] == tiny.VOCABULARY["[CLS]"]).all()


@torch.inference_mode()
def test_scores_are_those_of_forward(
    model: Any, pictures: list[tuple[Scene, Fact]], told: Any
) -> None:
    images = [scene.picture for scene, _ in pictures]
    vision = tiny.vision_features(model, images)
    ids, mask = told["input_ids"], told["attention_mask"]
    given = {"pixel_values": tiny.pixels(images), "input_ids": ids, "attention_mask": mask}

    itm = tiny.itm_logits(model, vision, ids, mask)
    forward = model(**given, use_image_text_matching_head=True).logits_per_image
    torch.testing.assert_close(itm, forward, atol=1e-5, rtol=0)

    words = tiny.text_embeddings(model, ids, mask)
    itc = (tiny.picture_embeddings(model, vision) @ words.T).amax(dim=1)
    for row in range(len(images)):
        one = {**given, "pixel_values": given["pixel_values"][row : row + 1]}
        forward = model(**one, use_image_text_matching_head=False).logits_per_image
        torch.testing.assert_close(itc[row], forward.flatten(), atol=1e-5, rtol=0)


def test_queries_differ_from_the_start(model: Any) -> None:
    assert torch.cdist(model.query_tokens[0], model.query_tokens[0]).fill_diagonal_(9).min() > 0.1


@torch.inference_mode()
def test_a_saved_model_is_reranked_with_by_its_folder(
    model: Any, pictures: list[tuple[Scene, Fact]], told: Any, tmp_path: Path
) -> None:

    tiny.save_model(model, tmp_path / "model")
    paths = []
    for row, (scene, _) in enumerate(pictures):
        paths.append(tmp_path / f"{row}.png")
        Image.fromarray(scene.picture).save(paths[-1])
    texts = [caption(fact) for _, fact in pictures]
    reranker = Blip2Reranker(model=str(tmp_path / "model"), score="itm")
    found = cr.rerank(texts[0], paths, reranker)
    ids, mask = told["input_ids"][:1], told["attention_mask"][:1]
    vision = tiny.vision_features(model, [scene.picture for scene, _ in pictures])
    rows = np.zeros(len(paths), np.int64)
    wanted = tiny.itm_logits(model, vision, ids[rows], mask[rows])[:, 1]
    order = {Path(hit.id).stem: hit.score for hit in found}
    for row, score in enumerate(wanted.tolist()):
        assert order[str(row)] == pytest.approx(score, abs=1e-4)
