"""``projector="reference_rows"`` with ``coverage="reference"``: the released code, transcribed.

Runs beside `lavis_side`, on LAVIS's own Q-Former with the sizes of 364 pixels: 26 × 26 patches and
a class token are 677 keys, in twelve heads of 64.  The transcription is of ALGORITHMS.md §3: it
shares no code with the package.
"""

from __future__ import annotations

import logging
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from lavis_parity import stubs

stubs.install()

from crossrank_qperturb import perturbation, perturbed  # noqa: E402

qformer: Any = import_module("lavis.models.blip2_models.Qformer")
bert: Any = import_module("transformers.models.bert")

SIDE, PATCH = 364, 14
PATCHES = SIDE // PATCH
VISION_WIDTH, WIDTH, HEADS, LAYERS, QUERIES = 1408, 768, 12, 4, 32
ALPHA = 8.0
PIXELS = (
    [[30, 40, 250, 300]],
    [[0, 0, 364, 364], [100, 120, 133, 141], [5, 300, 360, 363]],
    [[200, 10, 262, 71]],
)
"""Corners per image; some cover fewer patches than a head has dimensions.  (Of a box that no weight
is left of, the released code takes an arbitrary direction, ours none.)"""
TOLERANCE = 1e-6

logger = logging.getLogger("lavis_parity")


def make_model() -> Any:
    """Return what `perturbation` looks at in a model of LAVIS, with random weights."""
    torch.manual_seed(0)
    config = bert.BertConfig(
        vocab_size=8,
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        intermediate_size=64,
    )
    config.encoder_width = VISION_WIDTH
    config.add_cross_attention = True
    config.cross_attention_freq = 2
    config.query_length = QUERIES
    patches = SimpleNamespace(img_size=(SIDE, SIDE), patch_size=(PATCH, PATCH))
    return SimpleNamespace(
        Qformer=qformer.BertLMHeadModel(config=config).eval(),
        visual_encoder=SimpleNamespace(patch_embed=patches),
    )


def released(attention: Any, embeds: Tensor, boxes: list[list[int]], n_pc: float) -> Tensor:
    """Return M ``[heads, d, d]`` of one image, as the released code computes it."""
    keys = attention.transpose_for_scores(attention.key(embeds))[0]
    total = torch.zeros(HEADS, WIDTH // HEADS, WIDTH // HEADS)
    for left, top, right, bottom in boxes:
        mask = torch.zeros(1, 1, SIDE, SIDE)
        mask[..., top:bottom, left:right] = 1.0
        weights = functional.interpolate(mask, size=(PATCHES, PATCHES), mode="bilinear").flatten()
        weights = torch.cat([torch.zeros(1), weights])
        weighted = keys * weights[None, :, None]
        values, vectors = torch.linalg.eigh(weighted.transpose(1, 2) @ weighted)
        values, vectors = values.flip(-1), vectors.flip(-1)
        share = values.cumsum(-1) / values.sum(-1, keepdim=True)
        keep = share < n_pc
        keep[:, 0] = True
        rows = vectors * keep[:, :, None].float()  # the defect: rows, not columns
        total += ALPHA * (rows.transpose(1, 2) @ rows)
    return total / len(boxes)


def passed(model: Any, queries: Tensor, embeds: Tensor) -> Tensor:
    """Return what the queries become."""
    found: Tensor = model.Qformer.bert(
        query_embeds=queries, encoder_hidden_states=embeds, return_dict=True
    ).last_hidden_state
    return found


@torch.no_grad()
def main() -> None:
    """Compare matrices, and what the queries become under them."""
    model = make_model()
    embeds = torch.randn(len(PIXELS), PATCHES**2 + 1, VISION_WIDTH)
    queries = torch.randn(1, QUERIES, WIDTH).expand(len(PIXELS), -1, -1)
    boxes = [torch.tensor(each).float().div(SIDE).numpy() for each in PIXELS]
    plain = passed(model, queries, embeds)
    for n_pc in (0.99, 0.9):
        settings: dict[str, Any] = {"alpha": ALPHA, "n_pc": n_pc, "projector": "reference_rows"}
        made = perturbation(model, embeds, boxes, coverage="reference", **settings)
        exact = perturbation(model, embeds, boxes, **settings)
        for number, matrices in made.matrices.items():
            attention = model.Qformer.bert.encoder.layer[number].crossattention.self
            for image, corners in enumerate(PIXELS):
                expected = released(attention, embeds[image : image + 1], corners, n_pc)
                away = float((matrices[image] - expected).abs().max())
                other = float((exact.matrices[number][image] - expected).abs().max())
                logger.info(
                    "released code, n_pc %g, layer %d, image %d: M differs by %.1e (exact areas: "
                    "%.2f)",
                    *(n_pc, number, image, away, other),
                )
                if not away <= TOLERANCE:
                    raise SystemExit(f"M differs by {away:.2e}, more than {TOLERANCE}")
        with perturbed(model, made):
            changed = passed(model, queries, embeds) - plain
        if float(changed.abs().max()) < 1e-2:
            raise SystemExit("the perturbation changes the queries hardly at all")


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    main()
