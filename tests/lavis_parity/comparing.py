"""How both sides compute and compare."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

TOLERANCE = 1e-5

logger = logging.getLogger("lavis_parity")


def of_backend(backend: Any, pixels: Tensor, tokens: Any) -> dict[str, Tensor]:
    """Return all that a backend computes of pictures and of as many texts."""
    embeds = backend.image_embeds(pixels)
    return {
        "image_embeds": embeds,
        "image_queries": backend.image_queries(embeds),
        "text_embedding": backend.text_embedding(tokens),
        "itm_logits": backend.itm_logits(embeds, tokens),
    }


def compare(what: str, found: Mapping[Any, Tensor], expected: Mapping[Any, Tensor]) -> None:
    """Report how far results lie apart, and stop where one is too far."""
    for name, value in expected.items():
        away = float(torch.abs(found[name] - value).max() / value.abs().max().clamp(min=1.0))
        logger.info("%-38s %-16s %.1e", what, name, away)
        if not away <= TOLERANCE:
            raise SystemExit(f"{what}: {name} differs by {away:.2e}, more than {TOLERANCE}")
