"""Q-Perturbation: strengthen, in the queries, what lies along the keys of the objects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from crossrank.errors import InputError, ParameterError
from crossrank_qperturb.boxes import MOST_BOXES, areas, checked_boxes
from crossrank_qperturb.coverage import Grid, patch_coverage, reference_coverage
from crossrank_qperturb.cross_attention import CrossAttention
from crossrank_qperturb.interventions import intervening
from crossrank_qperturb.matrices import Perturbation
from crossrank_qperturb.models import cross_attentions, patch_grid
from crossrank_qperturb.settings import Settings
from crossrank_qperturb.subspaces import projectors


@torch.no_grad()
def perturbation(
    model: Any,
    image_embeds: Tensor,
    boxes: Iterable[ArrayLike],
    *,
    alpha: float = 8.0,
    n_pc: float | int = 0.99,
    weighting: str = "constant",
    projector: str = "pca",
    preserve_norm: bool = False,
    coverage: str = "exact",
    grid: tuple[int, int] | None = None,
    most_boxes: int = MOST_BOXES,
) -> Perturbation:
    """Compute the perturbation of some images from their objects.

    Per cross-attention and head, with the keys K of the image, an object o with the patch weights
    ``w_o`` has ``A_o = (diag(w_o) K)ᵀ (diag(w_o) K)`` and the projector ``P_o`` onto its principal
    components; then ``M = mean over o of weight_o P_o``.

    Parameters
    ----------
    model
        See `cross_attentions`.  It is not run: only its key projections are.
    image_embeds
        ``[B, N, D]`` the vision output that the cross-attentions get: for BLIP-2 class token and
        patches, for CoCa what its pooler gets.
    boxes
        Per image ``[n, 4]`` x0, y0, x1, y1 in [0, 1] of the model's input (see
        `boxes_to_input`); empty for an image without boxes.  A box of no area has P = 0, and counts
        as an object.
    alpha, n_pc, weighting, projector, preserve_norm, coverage
        See `Settings`.
    grid
        Rows and columns of patches, where they are not as many and the model does not tell.
    most_boxes
        How many boxes an image may have.

    Returns
    -------
    Perturbation
        Of B images.  That of an image depends on this image alone, to the bit.

    Raises
    ------
    InputError
        For boxes or a vision output that cannot be used; nothing has been computed then.
    ParameterError
        For a setting that cannot be used.
    """
    settings = Settings(alpha, n_pc, weighting, projector, preserve_norm, coverage)
    layers = cross_attentions(model)
    _check_embeds(image_embeds, layers)
    _check_components(n_pc, layers)
    patches = patch_grid(model, image_embeds.shape[1], grid)
    objects = [
        _Objects(
            _coverage(each, patches, image_embeds.shape[1], settings),
            settings.object_weights(areas(each)),
        )
        for each in checked_boxes(boxes, len(image_embeds), most_boxes)
    ]
    return Perturbation(
        {
            number: _of_layer(layer, image_embeds, objects, settings)
            for number, layer in layers.items()
        },
        preserve_norm,
    )


@contextmanager
def perturbed(model: Any, perturbation: Perturbation) -> Iterator[None]:
    """Perturb the queries of a model in every forward pass inside the block.

    Afterwards, also after an exception, the model is what it was: nothing of it is ever replaced.
    The model is locked meanwhile: nested use is refused, another thread that wants to perturb it
    waits, and what other threads run through the model is not perturbed.

    It works by hooks, of which a copy made by ``torch.compile`` or tracing takes no notice: run the
    model itself.

    Parameters
    ----------
    model
        The one that the perturbation was computed with.
    perturbation
        One row per row of the batches that will run.

    Raises
    ------
    InputError
        If the perturbation is of another model, if the model is perturbed already, and from within
        the model for a batch of another size.
    """
    layers = cross_attentions(model)
    shapes = {number: (layer.heads, layer.head_size) for number, layer in layers.items()}
    given = {number: (m.shape[1], m.shape[3]) for number, m in perturbation.matrices.items()}
    if shapes != given:
        raise InputError(
            f"qperturb: the perturbation has layers with heads and sizes {given}, the model has "
            f"{shapes}; compute it with this model"
        )
    with intervening(layers, {number: perturbation.change(number) for number in layers}):
        yield


@dataclass(frozen=True, slots=True, eq=False)
class _Objects:
    """The n objects of an image: how far each covers the last keys ``[n, K]``, weights ``[n]``."""

    coverage: NDArray[np.float64]
    weights: NDArray[np.float64]


def _coverage(boxes: ArrayLike, grid: Grid, keys: int, settings: Settings) -> NDArray[np.float64]:
    if settings.coverage == "exact":
        return patch_coverage(boxes, grid)
    found = reference_coverage(boxes, grid)
    return np.pad(found, ((0, 0), (keys - found.shape[1], 0)))


def _of_layer(
    layer: CrossAttention, image_embeds: Tensor, images: Sequence[_Objects], settings: Settings
) -> Tensor:
    """Return M ``[B, heads, d, d]``, image by image: batched products round by batch size."""
    shape = (len(image_embeds), layer.heads, layer.head_size, layer.head_size)
    # half precision is too coarse for eigenvectors; a model in float64 is left what it knows
    wide = torch.promote_types(layer.keys(image_embeds[:0]).dtype, torch.float32)
    matrices = image_embeds.new_zeros(shape, dtype=wide)
    for row, objects in enumerate(images):
        if not len(objects.weights):
            continue
        keys = layer.keys(image_embeds[row : row + 1])[0].to(wide)
        patches = objects.coverage.shape[1]
        spans = projectors(
            keys[:, -patches:],
            _like(keys, objects.coverage),
            settings.n_pc,
            settings.projector,
            every_key=settings.coverage == "reference",
        )
        matrices[row] = (_like(keys, objects.weights)[:, None, None, None] * spans).mean(dim=0)
    return matrices


def _like(keys: Tensor, values: NDArray[np.float64]) -> Tensor:
    return torch.from_numpy(values).to(keys.dtype).to(keys.device)


def _check_embeds(image_embeds: Tensor, layers: Mapping[int, CrossAttention]) -> None:
    width = next(iter(layers.values())).width
    if image_embeds.dim() != 3 or image_embeds.shape[2] != width:
        raise InputError(
            f"qperturb: image_embeds has shape {list(image_embeds.shape)}; give the vision output "
            f"[images, tokens, {width}]"
        )
    if not bool(torch.isfinite(image_embeds).all()):
        raise InputError("qperturb: image_embeds has NaN or infinity; encode the images again")


def _check_components(n_pc: float | int, layers: Mapping[int, CrossAttention]) -> None:
    size = min(layer.head_size for layer in layers.values())
    if isinstance(n_pc, int) and n_pc > size:
        raise ParameterError(f"qperturb: n_pc is {n_pc}, but a head has {size} dimensions")
