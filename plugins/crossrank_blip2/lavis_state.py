"""From the state dict of a LAVIS model to that of transformers' ``Blip2ForImageTextRetrieval``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from crossrank.errors import InputError

RULES: tuple[tuple[str, str | None], ...] = (
    (r"temp", None),
    (r"Qformer\.cls\..+", None),
    (r"Qformer\.bert\.embeddings\.position_ids", None),
    (r"query_tokens", r"query_tokens"),
    (r"itm_head\.(.+)", r"itm_head.\1"),
    (r"vision_proj\.(.+)", r"vision_projection.\1"),
    (r"text_proj\.(.+)", r"text_projection.\1"),
    (r"ln_vision\.(.+)", r"vision_model.post_layernorm.\1"),
    (r"visual_encoder\.cls_token", r"vision_model.embeddings.class_embedding"),
    (r"visual_encoder\.pos_embed", r"vision_model.embeddings.position_embedding"),
    (r"visual_encoder\.patch_embed\.proj\.(.+)", r"vision_model.embeddings.patch_embedding.\1"),
    (r"visual_encoder\.blocks\.(\d+)\.norm([12])\.(.+)", r"@.layer_norm\2.\3"),
    (r"visual_encoder\.blocks\.(\d+)\.attn\.qkv\.(weight)", r"@.self_attn.qkv.\2"),
    (r"visual_encoder\.blocks\.(\d+)\.attn\.proj\.(.+)", r"@.self_attn.projection.\2"),
    (r"visual_encoder\.blocks\.(\d+)\.mlp\.(fc[12]\..+)", r"@.mlp.\2"),
    (r"Qformer\.bert\.embeddings\.LayerNorm\.(.+)", r"qformer.layernorm.\1"),
    (r"Qformer\.bert\.embeddings\.((?:word|position)_embeddings\..+)", r"embeddings.\1"),
    (
        r"Qformer\.bert\.(encoder\.layer\.\d+\.(?:cross)?attention)\.self\.(.+)",
        r"qformer.\1.attention.\2",
    ),
    (r"Qformer\.bert\.(encoder\.layer\..+)", r"qformer.\1"),
)
"""Patterns of names and what they become; None for what transformers has no place for, and ``@``
for the vision layer of the number that the first group holds."""

LAYER = r"vision_model.encoder.layers.\1"

BIAS = re.compile(r"visual_encoder\.blocks\.(\d+)\.attn\.([qv])_bias")


def convert_lavis_state_dict(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return the weights of a LAVIS BLIP-2 under the names of transformers.

    Parameters
    ----------
    state
        ``model.state_dict()`` of LAVIS's ``Blip2Qformer`` or ``Blip2ITM`` with the vision encoder
        EVA ViT-g, or what such a checkpoint holds under ``"model"``.

    Returns
    -------
    dict
        For ``Blip2ForImageTextRetrieval.load_state_dict``; tensors are shared with `state` but for
        the biases of queries, keys and values, which LAVIS keeps in two parts (keys have none).

    Raises
    ------
    InputError
        For a name that no such model has, or one of two biases without the other.
    """
    if not any(isinstance(value, Tensor) for value in state.values()):
        inner = state.get("model")
        if not isinstance(inner, Mapping):
            raise InputError(
                "blip2: the state to convert holds no tensors; give model.state_dict(), or what "
                "the checkpoint holds under 'model'"
            )
        state = inner
    converted: dict[str, Tensor] = {}
    for name, value in state.items():
        if BIAS.fullmatch(name) is None:
            renamed = _renamed(name)
            if renamed is not None:
                converted[renamed] = value
    return converted | _biases(state)


def _renamed(name: str) -> str | None:
    for pattern, becomes in RULES:
        found = re.fullmatch(pattern, name)
        if found is not None:
            return None if becomes is None else found.expand(becomes.replace("@", LAYER))
    raise InputError(
        f"blip2: a LAVIS BLIP-2 with the vision encoder EVA ViT-g has no weight {name!r}; give the "
        "state of a Blip2Qformer or Blip2ITM model"
    )


def _biases(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Join the biases of queries and values, with zeros for the keys in between."""
    numbers = sorted({found[1] for found in map(BIAS.fullmatch, state) if found}, key=int)
    joined: dict[str, Tensor] = {}
    for number in numbers:
        parts = [state.get(f"visual_encoder.blocks.{number}.attn.{part}_bias") for part in "qv"]
        query, value = parts
        if query is None or value is None:
            raise InputError(
                f"blip2: block {number} of the vision encoder has only one of q_bias and v_bias; "
                "the state is not complete"
            )
        bias = torch.cat([query, torch.zeros_like(value), value])
        joined[LAYER.replace(r"\1", number) + ".self_attn.qkv.bias"] = bias
    return joined
