"""What `MackReranker.explain` shows of one pair."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from crossrank_knowledge import KnowledgeBank


def concept_text(bank: KnowledgeBank, noun: int, adjective: int) -> str:
    """Return a concept as people say it: ``"red ball"``."""
    if noun < 0:
        return "(no known noun)"
    return f"{bank.words[adjective]} {bank.words[noun]}" if adjective >= 0 else bank.words[noun]


def strongest(cosines: NDArray[np.float32], pooling: str) -> list[tuple[int, int]]:
    """Return the regions and words whose cosines average to the score (with ``k_max`` 1).

    Parameters
    ----------
    cosines
        ``[R, L]``, of regions and words.
    pooling
        ``"t2i"``: the best region of each word; ``"i2t"``: the best word of each region.
    """
    if pooling == "t2i":
        return [(region, word) for word, region in enumerate(cosines.argmax(axis=0).tolist())]
    return list(enumerate(cosines.argmax(axis=1).tolist()))
