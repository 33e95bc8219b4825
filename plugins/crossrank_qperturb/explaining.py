"""What `QPerturbReranker.explain` shows of a pair: where the queries look, without and with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import crossrank as cr
from crossrank.plugin.parts import Part, as_box, link
from crossrank_qperturb.attention import attention_maps
from crossrank_qperturb.coverage import Grid, patch_coverage
from crossrank_qperturb.matrices import Perturbation
from crossrank_qperturb.models import patch_grid
from crossrank_qperturb.picture import PERTURBED, PLAIN

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Look:
    """How much of the attention each patch of an image has.

    Parameters
    ----------
    plain, perturbed
        ``[rows · columns]`` without and with the perturbation, on average over layers, heads and
        queries; the class token has the rest.
    grid
        Where the patches lie.
    """

    plain: Floats
    perturbed: Floats
    grid: Grid

    def links(self, boxes: Floats, names: Sequence[str], text_asks: bool) -> tuple[cr.Link, ...]:
        """Return two links per box: the part of the attention in it, without and with.

        Parameters
        ----------
        boxes, names
            ``[n, 4]`` and what they show.
        text_asks
            Whether the text is the query.
        """
        covered = patch_coverage(boxes, self.grid)
        return tuple(
            link(Part(what), Part(name, as_box(corners)), shares @ attention, asks=text_asks)
            for name, corners, shares in zip(names, boxes, covered, strict=True)
            for what, attention in self._both()
        )

    def maps(self) -> tuple[tuple[str, tuple[tuple[float, ...], ...]], ...]:
        """Return ``[rows][columns]`` without and with, as `crossrank.Evidence` holds them."""
        shape = (self.grid.rows, self.grid.columns)
        return tuple(
            (what, tuple(tuple(row) for row in attention.reshape(shape).tolist()))
            for what, attention in self._both()
        )

    def _both(self) -> tuple[tuple[str, Floats], tuple[str, Floats]]:
        return (PLAIN, self.plain), (PERTURBED, self.perturbed)


def looks(
    model: Any, image_embeds: Tensor, run: Callable[[], Any], perturbation: Perturbation
) -> list[Look]:
    """Run a model without and with a perturbation, and return where its queries looked.

    Parameters
    ----------
    model, image_embeds, run, perturbation
        See `attention_maps`.

    Returns
    -------
    list
        One per image of the batch.
    """
    grid = patch_grid(model, image_embeds.shape[1])
    plain, perturbed = (
        _averaged(attention_maps(model, image_embeds, run, each).values(), grid)
        for each in (None, perturbation)
    )
    return [Look(before, after, grid) for before, after in zip(plain, perturbed, strict=True)]


def _averaged(layers: Iterable[Tensor], grid: Grid) -> Floats:
    """Return ``[B, rows · columns]``."""
    mean = torch.stack([each.mean(dim=(1, 2)) for each in layers]).mean(dim=0)
    return mean[:, -grid.rows * grid.columns :].double().cpu().numpy()
