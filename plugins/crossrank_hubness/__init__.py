"""Hubness corrections: candidates that are near to everything, put where they belong.

Each method stands here twice: as a function on matrices of similarities, which computes and returns
float64, and as a reranker over the feature ``embedding``, which never holds such a matrix.
"""

from crossrank_hubness.balance import sinkhorn
from crossrank_hubness.biases import csls, dn, nnn
from crossrank_hubness.softmaxes import dsl, dualis, invsoftmax, qbnorm

__all__ = ["csls", "dn", "dsl", "dualis", "invsoftmax", "nnn", "qbnorm", "sinkhorn"]
