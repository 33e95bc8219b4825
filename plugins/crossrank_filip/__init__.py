"""FILIP token-wise late interaction as a crossrank plugin (Yao et al., ICLR 2022).

Importing this package does not import torch; the training modules `crossrank_filip.loss` and
`crossrank_filip.heads` do, and so does scoring, where torch is installed.
"""

from __future__ import annotations

from crossrank.plugin.hookspecs import gives

crossrank_reranker = gives("crossrank_filip.reranker:FilipReranker")
