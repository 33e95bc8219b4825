r"""The forward pass: image tokens inside a text encoder.

With the patches' states :math:`P`, :math:`V = \mathrm{Linear}(P) + \mathrm{position}[1 \ldots m]`,
then the LayerNorm of the embeddings; the text's tokens take the positions
:math:`[0, m+1, \ldots]`; all attend to all of ``[CLS] V t``, and the unit state of ``[CLS]`` is the
embedding.  A text alone is encoded as the text encoder does; a picture alone has an empty text.

References
----------
Zhou et al., "VISTA: Visualized Text Embedding for Universal Multi-Modal Retrieval", ACL 2024,
section 3.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional

from crossrank_vista.parts import Parts


def encode(
    parts: Parts, tokens: Any, pictures: Sequence[Image.Image] | None
) -> NDArray[np.float32]:
    """Return unit embeddings ``[N, H]`` of texts, or of pictures with their texts.

    Parameters
    ----------
    parts
        The model.
    tokens
        ``input_ids`` and ``attention_mask`` ``[N, L]`` of N texts, empty ones for pictures alone;
        see `cut`.
    pictures
        N upright RGB images, or None.
    """
    ids = tokens["input_ids"].to(parts.device)
    mask = tokens["attention_mask"].to(parts.device)
    with torch.inference_mode():
        if pictures is None:
            states = parts.text(input_ids=ids, attention_mask=mask).last_hidden_state
        else:
            stacked = torch.from_numpy(np.stack([parts.prepare(each) for each in pictures]))
            patches = parts.patches(stacked.to(parts.device, parts.dtype))
            states = _with_patches(parts, ids, mask, parts.projection(patches))
        unit: NDArray[np.float32] = functional.normalize(states[:, 0].float(), dim=-1).cpu().numpy()
    return unit


def patch_count(parts: Parts) -> int:
    """Return how many image tokens a picture becomes."""
    with torch.inference_mode():
        picture = torch.from_numpy(parts.prepare(Image.new("RGB", (8, 8))))[None]
        return int(parts.patches(picture.to(parts.device, parts.dtype)).shape[1])


def _with_patches(parts: Parts, ids: Tensor, mask: Tensor, patches: Tensor) -> Tensor:
    """Run ``[CLS] V t``; the model adds positions and the LayerNorm."""
    count = patches.shape[1]
    words = parts.text.get_input_embeddings()(ids)
    # the embedding layer adds a token type to everything, but image tokens are to have none
    kind = parts.text.embeddings.token_type_embeddings.weight[0]
    joined = torch.cat([words[:, :1], patches - kind, words[:, 1:]], dim=1)
    seen = torch.cat([mask[:, :1], mask.new_ones(len(ids), count), mask[:, 1:]], dim=1)
    positions = torch.arange(joined.shape[1], device=ids.device).expand(len(ids), -1)
    states: Tensor = parts.text(
        inputs_embeds=joined, attention_mask=seen, position_ids=positions
    ).last_hidden_state
    return states


def cut(parts: Parts, texts: Sequence[str], beside: int) -> tuple[Any, int]:
    """Cut texts into tokens, so many that they fit beside `beside` image tokens.

    Returns
    -------
    tuple
        ``input_ids`` and ``attention_mask``, and how many texts were too long.
    """
    limit = longest(parts) - beside if beside else longest_alone(parts)
    found = parts.tokenizer(
        list(texts), padding=True, truncation=True, max_length=limit, return_tensors="pt"
    )
    full = [
        text
        for text, used in zip(texts, found["attention_mask"].sum(dim=1).tolist(), strict=True)
        if used == limit
    ]
    whole = parts.tokenizer(full, truncation=False, verbose=False)["input_ids"] if full else []
    return found, sum(len(ids) > limit for ids in whole)


def longest(parts: Parts) -> int:
    """Return how many positions the text encoder has."""
    return int(parts.text.config.max_position_embeddings)


def longest_alone(parts: Parts) -> int:
    """Return how many tokens of a text it takes; RoBERTa counts from behind the padding."""
    config = parts.text.config
    positions = longest(parts)
    if "roberta" in config.model_type:
        positions -= int(config.pad_token_id) + 1
    return min(positions, int(parts.tokenizer.model_max_length))
