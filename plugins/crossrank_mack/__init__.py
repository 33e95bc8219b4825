"""MACK as a crossrank plugin: what the words of a text look like, compared with the regions.

Huang et al., "MACK: Multimodal Aligned Conceptual Knowledge for Unpaired Image-text Matching",
NeurIPS 2022.  Importing this package loads neither spaCy nor torch.
"""

from __future__ import annotations

from crossrank.plugin.hookspecs import gives

crossrank_reranker = gives("crossrank_mack.reranker:MackReranker")
