"""Hubness corrections: candidates that are near to everything, put where they belong.

Each method stands here twice: as a function on matrices of similarities, which computes and returns
float64, and as a reranker over the feature ``embedding``, which never holds such a matrix.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crossrank.plugin.optional import lazy_names

if TYPE_CHECKING:
    from crossrank_hubness.balance import sinkhorn
    from crossrank_hubness.biases import csls, dn, nnn
    from crossrank_hubness.occurrence import Occurrence, k_occurrence
    from crossrank_hubness.reporting import HubReport, hub_report
    from crossrank_hubness.softmaxes import dsl, dualis, invsoftmax, qbnorm

__getattr__ = lazy_names(__name__)

__all__ = [
    "HubReport",
    "Occurrence",
    "csls",
    "dn",
    "dsl",
    "dualis",
    "hub_report",
    "invsoftmax",
    "k_occurrence",
    "nnn",
    "qbnorm",
    "sinkhorn",
]
