"""What a CLIP-family model says of a picture or text, by its own methods and by hand."""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank_clip.encoder import ClipEncoder
from toys.tiny_tokenizers import LONGEST_TEXT, transformers

Array = NDArray[np.float64]

LINEAR = ["altclip", "chinese_clip", "clip", "metaclip_2"]
SIGLIP = ["siglip", "siglip2"]
FAMILIES = sorted(LINEAR + SIGLIP)


def encode(encoder: ClipEncoder, items: list[cr.Item], modality: str) -> dict[str, Any]:
    """Return all features that the encoder gives."""
    return dict(encoder.encode_batch(items, modality, encoder.info.features[modality]))


@lru_cache
def load(folder: Path) -> Any:
    """Return the model as transformers loads it."""
    return transformers.AutoModel.from_pretrained(folder).eval()


def pixels(folder: Path, items: list[cr.Item]) -> Any:
    """Return what the checkpoint's own image processor makes of PIL images."""
    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    return processor([item.image for item in items], return_tensors="pt")


def token_ids(folder: Path, items: list[cr.Item], family: str) -> dict[str, Any]:
    """Return the inputs of the text tower, as the model cards say they should be made."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    found = tokenizer(
        [str(item.text).lower() if family in SIGLIP else str(item.text) for item in items],
        padding="max_length" if family in SIGLIP else True,
        max_length=LONGEST_TEXT,
        truncation=True,
        return_tensors="pt",
        padding_side="right",
    )
    names = ("input_ids",) if family in SIGLIP else ("input_ids", "attention_mask")
    return {name: found[name] for name in names}


def pooled(output: Any) -> Array:
    """Return unit rows; transformers 5 returns an output object where 4 returned the tensor."""
    return unit(getattr(output, "pooler_output", output).detach())


def unit(rows: Any) -> Array:
    """Return rows of unit length."""
    values = np.asarray(rows, np.float64)
    lengths: Array = np.linalg.norm(values, axis=-1, keepdims=True)
    return values / lengths


def numbers(module: Any, name: str) -> Array:
    """Return a parameter of a module."""
    return np.asarray(module.get_parameter(name).detach().numpy(), np.float64)


def layer_norm(rows: Array, module: Any) -> Array:
    """Apply a layer norm by hand."""
    centred = rows - rows.mean(axis=-1, keepdims=True)
    spread: Array = (centred**2).mean(axis=-1, keepdims=True)
    scaled: Array = centred / np.sqrt(spread + module.eps) * numbers(module, "weight")
    return scaled + numbers(module, "bias")


def linear(rows: Array, module: Any) -> Array:
    """Apply a linear layer by hand."""
    product: Array = rows @ numbers(module, "weight").T
    return product if module.bias is None else product + numbers(module, "bias")


def gelu(rows: Array) -> Array:
    """Apply the tanh form of GELU by hand."""
    curve: Array = np.tanh(math.sqrt(2 / math.pi) * (rows + 0.044715 * rows**3))
    return rows / 2 * (1 + curve)
