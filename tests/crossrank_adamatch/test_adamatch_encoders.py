"""Grids of real encoders: a CLIP checkpoint of two layers, with the patches of a centre crop."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import crossrank as cr
from crossrank_adamatch.grids import grid_of_boxes
from toys.adamatch import naive_score, naive_windows
from toys.rounding import assert_same_sums

pytest.importorskip("transformers")


def test_windows_over_the_patches_of_a_clip_checkpoint(tmp_path: Path) -> None:
    from toys import tiny_clip

    folder = tiny_clip.build("clip", tmp_path / "clip")
    pixels = np.random.default_rng(0).integers(0, 256, (40, 64, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    images = cr.encode("clip", [tmp_path / "wide.png"], model=str(folder))
    texts = cr.encode("clip", ["a dog", "two cats on a mat"], model=str(folder))
    grid = grid_of_boxes(images["token_boxes"][0])
    assert grid is not None and grid[0] * grid[1] == len(images["tokens"][0]) > 1
    pipeline = cr.Pipeline(cr.Stage("adamatch", fusion=cr.Replace(), params={"sizes": [1, 2]}))
    lists = cr.Candidates.from_lists(
        {text: list(images.ids) for text in texts.ids}, direction="t2i"
    )
    rankings = pipeline.rerank(lists, texts, images)
    patches = naive_windows(images["tokens"][0], *grid, [1, 2])
    expected = np.array([[naive_score(words, patches)] for words in texts["tokens"]])
    assert_same_sums(rankings.scores("adamatch"), expected, 200, 2.0)
    ((evidence,),) = pipeline.explain(texts, images, texts.ids[1], images.ids).values()
    low = images["token_boxes"][0][:, 0].min()
    assert low > 0  # the crop leaves the sides of a wide picture out, and so do the boxes
    boxes = np.array([link.candidate_box for link in evidence.links])
    assert boxes[:, 0].min() >= low - 1e-6
