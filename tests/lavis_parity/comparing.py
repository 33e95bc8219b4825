"""How both sides compute and compare."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from crossrank_blip2.shared_keys import SharedKeys

TOLERANCE = 1e-5

SHARED = "itm_logits by shared keys"

logger = logging.getLogger("lavis_parity")


def of_backend(backend: Any, pixels: Tensor, tokens: Any) -> dict[str, Tensor]:
    """Return all that a backend computes of pictures and of as many texts.

    The matching logits twice: by the model alone, and with keys that the pairs of an image share.
    """
    embeds = backend.image_embeds(pixels)
    shared = SharedKeys(backend.cross_attentions, embeds, keep=True)
    with shared.pairs(np.arange(len(pixels))) as given:
        by_shared_keys = backend.itm_logits(given, tokens)
    if not backend.cross_attentions:
        raise SystemExit("the adapter found no cross-attention whose keys can be shared")
    return {
        "image_embeds": embeds,
        "image_queries": backend.image_queries(embeds),
        "text_embedding": backend.text_embedding(tokens),
        "itm_logits": backend.itm_logits(embeds, tokens),
        SHARED: by_shared_keys,
    }


def compare(what: str, found: Mapping[Any, Tensor], expected: Mapping[Any, Tensor]) -> None:
    """Report how far results lie apart, and stop where one is too far."""
    expected = {**expected, SHARED: expected["itm_logits"]} if SHARED in found else expected
    for name, value in expected.items():
        away = float(torch.abs(found[name] - value).max() / value.abs().max().clamp(min=1.0))
        logger.info("%-38s %-26s %.1e", what, name, away)
        if not away <= TOLERANCE:
            raise SystemExit(f"{what}: {name} differs by {away:.2e}, more than {TOLERANCE}")
