"""From a tower's hidden states to the joint space: one vector per item, one per patch or word.

The models of the CLIP family end in one of two ways:

- *CLIP* (also MetaCLIP, ChineseCLIP, AltCLIP): a linear projection of the class token's state (of
  a text, the end token's) after the last layer norm.  Each patch's and word's state goes through
  the same layer norm and projection.
- *SigLIP* (also SigLIP 2): images are pooled by an attention head.  What stands for the projection
  of a patch is what that head returns for the patch alone: attention over a single token is its
  value path, so this is the patch's own share in the pooled embedding (the idea of MaskCLIP, Zhou
  et al., ECCV 2022, carried over).  Texts end in a linear head, applied to each word.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from crossrank import Ragged


@dataclass(frozen=True, slots=True)
class Seen:
    """What a tower makes of a batch.

    Parameters
    ----------
    pooled
        ``[N, D]``, in the joint space, not normalised: what the model's ``get_image_features`` or
        ``get_text_features`` give.
    states
        ``[N, L, H]``: the hidden states of all positions but an image's class token.
    """

    pooled: Tensor
    states: Tensor


@torch.inference_mode()
def see_images(model: Any, inputs: Mapping[str, Tensor]) -> Seen:
    """Run the image tower of one of `FAMILIES` on what its image processor returns."""
    # In this order, not by name: transformers 4 and 5 call SigLIP 2's mask differently.
    names = ("pixel_values", "pixel_attention_mask", "spatial_shapes")
    output = model.vision_model(*(inputs[name] for name in names if name in inputs))
    if hasattr(model, "visual_projection"):
        pooled = model.visual_projection(output.pooler_output)
        return Seen(pooled, output.last_hidden_state[:, 1:])
    return Seen(output.pooler_output, output.last_hidden_state)


@torch.inference_mode()
def project_patches(model: Any, states: Tensor) -> Tensor:
    """Carry the states of patches to the joint space, ``[N, L, H]`` to ``[N, L, D]``."""
    tower = model.vision_model
    if hasattr(model, "visual_projection"):
        projected: Tensor = model.visual_projection(tower.post_layernorm(states))
        return projected
    alone: Tensor = tower.head(states.reshape(-1, 1, states.shape[-1]))
    return alone.reshape(*states.shape[:2], -1)


@torch.inference_mode()
def see_texts(model: Any, inputs: Mapping[str, Tensor]) -> Seen:
    """Run the text tower of one of `FAMILIES` on ids, and a mask where it was trained with one."""
    output = model.text_model(**inputs)
    if not hasattr(model, "text_projection"):
        return Seen(output.pooler_output, output.last_hidden_state)
    states = output.last_hidden_state
    # ChineseCLIP has no pooler: its BERT speaks through the first token.
    summary = states[:, 0] if output.pooler_output is None else output.pooler_output
    return Seen(model.text_projection(summary), states)


@torch.inference_mode()
def project_words(model: Any, states: Tensor) -> Tensor:
    """Carry the states of words to the joint space, ``[N, L, H]`` to ``[N, L, D]``."""
    last = getattr(model, "text_projection", None)
    projected: Tensor = (model.text_model.head if last is None else last)(states)
    return projected


def unit(vectors: Tensor) -> Tensor:
    """Return rows of unit length, in float32."""
    return functional.normalize(vectors.float(), dim=-1)


def to_array(vectors: Tensor) -> NDArray[np.float32]:
    """Bring a tensor back as float32."""
    return vectors.float().cpu().numpy()


def to_ragged(vectors: Tensor, mask: NDArray[np.bool_]) -> Ragged:
    """Keep the positions that count.

    Parameters
    ----------
    vectors
        ``[N, L, D]``.
    mask
        ``[N, L]``; True for a patch or word, False for padding and special tokens.
    """
    return Ragged(to_array(vectors)[mask], mask.sum(axis=1))
