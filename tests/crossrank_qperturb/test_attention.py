"""Attention maps, held against the model's own, and the picture made of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import crossrank_qperturb as qperturb
from crossrank.errors import InputError
from crossrank_qperturb.interventions import intervening
from toys.qperturb import (
    HEADS,
    pooler,
    run_transformers,
    transformers_model,
    vision_output,
)
from toys.rounding import assert_same_formula
from toys.tiny_blip2 import QUERIES

BOXES = [[[0.1, 0.2, 0.6, 0.9]], [], [[0.0, 0.0, 0.5, 1.0], [0.2, 0.2, 0.4, 0.4]]]


def own_attention(model: Any, perturbation: qperturb.Perturbation | None) -> list[torch.Tensor]:
    """Ask the model itself, in eager mode, for the weights of its cross-attentions."""
    model.set_attn_implementation("eager")
    found = []
    hooks = [
        layer.crossattention.attention.register_forward_hook(
            lambda module, args, output: found.append(output[1])
        )
        for layer in model.qformer.encoder.layer
        if hasattr(layer, "crossattention")
    ]
    try:
        if perturbation is None:
            run_transformers(model, vision_output().double())
        else:
            with qperturb.perturbed(model, perturbation):
                run_transformers(model, vision_output().double())
    finally:
        for hook in hooks:
            hook.remove()
    return found


@pytest.mark.parametrize("perturb", [False, True])
def test_the_maps_are_the_models_own(perturb: bool) -> None:
    model, embeds = transformers_model().double(), vision_output().double()
    perturbation = qperturb.perturbation(model, embeds, BOXES) if perturb else None
    expected = own_attention(model, perturbation)
    found = qperturb.attention_maps(
        model, embeds, lambda: run_transformers(model, embeds), perturbation
    )
    assert list(found) == [0, 2] and len(expected) == 2
    for maps, own in zip(found.values(), expected, strict=True):
        assert maps.shape == (3, HEADS, QUERIES, 17)
        assert_same_formula(maps, own)


def test_the_maps_of_a_pooler() -> None:
    model, embeds = pooler().double(), vision_output().double()
    keys = model.ln_k(embeds)
    queries = model.ln_q(model.query).expand(3, -1, -1)
    perturbation = qperturb.perturbation(model, embeds, BOXES)
    options = {"average_attn_weights": False}
    with torch.no_grad():
        plain = model.attn(queries, keys, keys, **options)[1]
        with qperturb.perturbed(model, perturbation):
            moved = model.attn(queries, keys, keys, **options)[1]
    for expected, each in ((plain, None), (moved, perturbation)):
        found = qperturb.attention_maps(model, embeds, lambda: model(embeds), each)
        assert_same_formula(found[0], expected)


def test_watching_is_refused_while_the_model_is_perturbed() -> None:
    model = transformers_model()
    perturbation = qperturb.perturbation(model, vision_output(), BOXES)
    refused = pytest.raises(InputError, match="perturbed already")
    with qperturb.perturbed(model, perturbation), refused:
        qperturb.attention_maps(model, vision_output(), lambda: None)
    with intervening(qperturb.cross_attentions(model), {}):
        pass


def test_a_run_that_is_none_is_refused() -> None:
    model = transformers_model()
    for run in (lambda: None, lambda: run_transformers(model, vision_output(2))):
        with pytest.raises(InputError, match="on the batch of 3 images"):
            qperturb.attention_maps(model, vision_output(), run)


def test_the_picture(tmp_path: Path) -> None:
    image = Image.new("RGB", (80, 40), (200, 30, 30))
    plain, perturbed = np.zeros((4, 4)), np.zeros((4, 4))
    plain[0, 0], perturbed[3, 3] = 0.5, 1.0
    path = tmp_path / "attention.png"
    qperturb.attention_picture(
        path, image, plain, perturbed, [[0.5, 0.5, 1.0, 1.0]], ["cup"], "layer 0"
    )
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    panels = [slice(12 + 348 * number, 348 * (number + 1)) for number in range(4)]
    assert pixels.shape[1] == 12 + 4 * 348
    bright = [
        [int(pixels[64 + 168 * row // 4 + 5, panel][5 + 336 * row // 4].sum()) for row in range(4)]
        for panel in panels
    ]
    assert bright[1][0] > bright[1][1] and bright[2][0] == pytest.approx(bright[2][1], abs=9)
    reds = pixels[64 : 64 + 168, panels[3]]
    lost, gained = reds[8, 8], reds[-8, -8]
    assert lost[2] > lost[0] and gained[0] > gained[2]
    assert (pixels[:, panels[0]] == [90, 255, 160]).all(axis=-1).any(), "the box is drawn"


def test_maps_of_other_shapes_are_refused(tmp_path: Path) -> None:
    image = Image.new("RGB", (8, 8))
    for maps in ((np.zeros((2, 2)), np.zeros((3, 3))), (np.zeros(4), np.zeros(4))):
        with pytest.raises(InputError, match="attention_picture: the maps have shapes"):
            qperturb.attention_picture(tmp_path / "x.png", image, *maps)
    assert not list(tmp_path.iterdir())
