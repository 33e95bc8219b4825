"""What `QPerturbReranker.explain` shows of a pair: where the queries look, without and with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import crossrank as cr
from crossrank_qperturb.attention import attention_maps
from crossrank_qperturb.coverage import Grid, patch_coverage
from crossrank_qperturb.matrices import Perturbation
from crossrank_qperturb.models import patch_grid
from crossrank_qperturb.picture import PERTURBED, PLAIN

Floats = NDArray[np.float64]
Looks = tuple[Floats, Floats]
"""Without and with the perturbation ``[B, rows, columns]``: how much of the attention a patch has,
on average over layers, heads and queries; the class token has the rest."""


def looks(
    model: Any, image_embeds: Tensor, run: Callable[[], Any], perturbation: Perturbation
) -> Looks:
    """Run a model without and with a perturbation, and return where its queries looked."""
    grid = patch_grid(model, image_embeds.shape[1])
    plain, perturbed = (
        _averaged(attention_maps(model, image_embeds, run, each).values(), grid)
        for each in (None, perturbation)
    )
    return plain, perturbed


def links(
    plain: Floats, perturbed: Floats, boxes: Floats, names: Sequence[str], text_first: bool
) -> tuple[cr.Link, ...]:
    """Return two links per box: the part of the attention in it, without and with.

    Parameters
    ----------
    plain, perturbed
        ``[rows, columns]``.
    boxes, names
        ``[n, 4]`` and what they show.
    text_first
        Whether the text is the query.
    """
    found = []
    coverage = patch_coverage(boxes, Grid(*plain.shape))
    for name, corners, covered in zip(names, boxes.tolist(), coverage, strict=True):
        box = (corners[0], corners[1], corners[2], corners[3])
        for what, attention in ((PLAIN, plain), (PERTURBED, perturbed)):
            weight = float(covered @ attention.ravel())
            if text_first:
                found.append(cr.Link(what, name, weight, candidate_box=box))
            else:
                found.append(cr.Link(name, what, weight, query_box=box))
    return tuple(found)


def maps(plain: Floats, perturbed: Floats) -> tuple[tuple[str, tuple[tuple[float, ...], ...]], ...]:
    """Return ``[rows, columns]`` without and with as `crossrank.Evidence` holds them."""
    return tuple(
        (what, tuple(tuple(row) for row in attention.tolist()))
        for what, attention in ((PLAIN, plain), (PERTURBED, perturbed))
    )


def _averaged(layers: Any, grid: Grid) -> Floats:
    mean = torch.stack([each.mean(dim=(1, 2)) for each in layers]).mean(dim=0)
    patches = mean[:, -grid.rows * grid.columns :].double().cpu().numpy()
    shaped: Floats = patches.reshape(-1, grid.rows, grid.columns)
    return shaped
