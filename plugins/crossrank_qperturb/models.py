"""Where the supported models keep what is needed: their cross-attentions and their patches."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from crossrank.errors import InputError
from crossrank_blip2.checks import is_compiled
from crossrank_qperturb.attentional_pooler import PooledQueries
from crossrank_qperturb.coverage import Grid
from crossrank_qperturb.cross_attention import CrossAttention, LinearQueries

Sizes: TypeAlias = tuple[tuple[int, int], tuple[int, int]]
"""Height and width of the input, and of a patch."""


def cross_attentions(model: Any) -> dict[int, CrossAttention]:
    """Return the cross-attentions of a model by the number of their layer.

    Parameters
    ----------
    model
        A BLIP-2 of transformers (``qformer``) or LAVIS (``Qformer.bert``), an open_clip CoCa
        (``visual.attn_pool``), one of its attentional poolers, or, for any other model, a mapping
        of `CrossAttention` objects.

    Raises
    ------
    InputError
        If nothing of this is found, or if the model was compiled by torch: what is compiled takes
        no notice of hooks.
    """
    if isinstance(model, Mapping):
        if not model:
            raise InputError("qperturb: the mapping of CrossAttention objects is empty")
        return dict(model)
    if is_compiled(model):
        raise InputError(
            "qperturb: the model was compiled by torch, which takes no notice of hooks; give, and "
            "run, the model before torch.compile()"
        )
    for name in ("qformer.encoder.layer", "Qformer.bert.encoder.layer"):
        layers = _attribute(model, name)
        if layers is not None:
            return _of_qformer(layers, name)
    poolers = _poolers(model)
    if poolers:
        return {number: PooledQueries(pooler) for number, pooler in enumerate(poolers)}
    raise InputError(
        f"qperturb: found no cross-attention in a {type(model).__name__}; looked for "
        "qformer.encoder.layer (transformers), Qformer.bert.encoder.layer (LAVIS), "
        "visual.attn_pool (open_clip) and a pooler with query, attn and ln_k; for another model "
        "give a mapping of CrossAttention objects"
    )


def patch_grid(model: Any, tokens: int, grid: tuple[int, int] | None = None) -> Grid:
    """Return how the patches among the tokens of a vision output lie; they are its last tokens.

    Parameters
    ----------
    model
        As for `cross_attentions`; one that tells the sizes of its input and patches also tells
        which rim of the input no patch covers.
    tokens
        N of the vision output ``[B, N, D]``.
    grid
        Rows and columns, where they are not as many and the model does not tell.

    Raises
    ------
    InputError
        If the tokens are not a square of patches, with or without a class token, and no grid is
        given, or if the grid has more patches than there are tokens.
    """
    sizes = _input_sizes(model)
    if grid is None:
        grid = _grid_of_sizes(sizes, tokens) or _square(tokens)
    rows, columns = grid
    if rows < 1 or columns < 1 or rows * columns > tokens:
        raise InputError(
            f"qperturb: a grid of {rows} × {columns} patches does not fit {tokens} tokens; give "
            "the rows and columns of the vision output"
        )
    for image, patch in sizes:
        if (image[0] // patch[0], image[1] // patch[1]) == (rows, columns):
            covered = (columns * patch[1] / image[1], rows * patch[0] / image[0])
            return Grid(rows, columns, covered, image)
    return Grid(rows, columns)


def _of_qformer(layers: Any, path: str) -> dict[int, CrossAttention]:
    found: dict[int, CrossAttention] = {}
    for number, layer in enumerate(layers):
        around = getattr(layer, "crossattention", None)
        if around is None:
            continue
        inner = getattr(around, "attention", None) or getattr(around, "self", None)
        for name in ("query", "key", "num_attention_heads", "attention_head_size"):
            if not hasattr(inner, name):
                raise InputError(
                    f"qperturb: the cross-attention of {path}[{number}] has no {name!r}; "
                    "transformers and LAVIS models have it"
                )
        found[number] = LinearQueries(inner)
    if not found:
        raise InputError(f"qperturb: no layer of {path} has a crossattention")
    return found


def _poolers(model: Any) -> list[Any]:
    """Return the poolers that attend to patches: one, or two where CoCa pools in parallel."""
    if _is_pooler(model):
        return [model]
    visual = getattr(model, "visual", model)
    poolers = [getattr(visual, "attn_pool", None)]
    if getattr(visual, "attn_pool_type", "") == "parallel":
        poolers.append(getattr(visual, "attn_pool_contrastive", None))
    return [pooler for pooler in poolers if _is_pooler(pooler)]


def _is_pooler(module: Any) -> bool:
    attention = getattr(module, "attn", None)
    return hasattr(module, "query") and hasattr(module, "ln_k") and hasattr(attention, "kdim")


def _grid_of_sizes(sizes: Sequence[Sizes], tokens: int) -> tuple[int, int] | None:
    """Return the grid that a model tells of, if this is an output of it."""
    for image, patch in sizes:
        rows, columns = image[0] // patch[0], image[1] // patch[1]
        if rows * columns in (tokens, tokens - 1):
            return rows, columns
    return None


def _square(tokens: int) -> tuple[int, int]:
    for patches in (tokens - 1, tokens):
        side = math.isqrt(max(patches, 0))
        if side and side * side == patches:
            return side, side
    raise InputError(
        f"qperturb: {tokens} tokens are no square of patches, with or without a class token; give "
        "grid=(rows, columns)"
    )


def _input_sizes(model: Any) -> list[Sizes]:
    """Return height and width of input and patch, as far as the model tells."""
    found = []
    for image, patch in (
        ("config.vision_config.image_size", "config.vision_config.patch_size"),
        ("visual_encoder.patch_embed.img_size", "visual_encoder.patch_embed.patch_size"),
        ("visual.image_size", "visual.patch_size"),
    ):
        sizes = (_attribute(model, image), _attribute(model, patch))
        if None not in sizes:
            found.append((_pair(sizes[0]), _pair(sizes[1])))
    return found


def _pair(size: Any) -> tuple[int, int]:
    height, width = (size, size) if isinstance(size, int) else size
    return int(height), int(width)


def _attribute(model: Any, path: str) -> Any:
    for name in path.split("."):
        model = getattr(model, name, None)
        if model is None:
            return None
    return model
