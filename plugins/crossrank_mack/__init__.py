"""MACK as a crossrank plugin: what the words of a text look like, compared with the regions.

Huang et al., "MACK: Multimodal Aligned Conceptual Knowledge for Unpaired Image-text Matching",
NeurIPS 2022.  Importing this package loads neither spaCy nor torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import crossrank as cr

if TYPE_CHECKING:
    from crossrank_mack.reranker import MackReranker


@cr.hookimpl
def crossrank_reranker() -> type[MackReranker]:
    """Return the reranker ``mack``."""
    from crossrank_mack.reranker import MackReranker

    return MackReranker
