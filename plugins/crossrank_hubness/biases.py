"""Corrections that subtract from a similarity how near a candidate is to everything."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from crossrank.plugin.parameters import checked, finite
from crossrank_hubness.matrices import Floats, largest, similarities, with_bank


def mean_of_largest(values: Floats, count: int) -> Floats:
    """Return ``[n]`` the mean of the `count` largest of each row of ``[n, m]``."""
    if count < values.shape[1]:
        values = np.partition(values, values.shape[1] - count, axis=1)[:, -count:]
    return np.asarray(values.mean(axis=1), np.float64)


def nnn(s: ArrayLike, s_bank: ArrayLike, k: int, alpha: float = 0.75) -> Floats:
    """Return nearest neighbour normalisation: ``s(q, g) − α · mean of the k largest s(b, g)``.

    Parameters
    ----------
    s
        ``[queries, candidates]`` similarities.
    s_bank
        ``[bank, candidates]`` similarities of a bank of queries.
    k
        How many of the bank's items nearest to a candidate count; all of a smaller bank, which is
        told.
    alpha
        The weight of the bias.

    Returns
    -------
    ndarray
        ``[queries, candidates]`` float64.

    Raises
    ------
    InputError
        If a matrix is not finite, or they do not go together.
    ParameterError
        On k below 1 or an α that is not finite.

    Notes
    -----
    Chowdhury et al., Nearest Neighbor Normalization Improves Multimodal Retrieval, EMNLP 2024.
    """
    asked, bank = with_bank("nnn", s, s_bank)
    count = largest("nnn", k, len(bank), "bank")
    weight = float(checked("nnn", "alpha", alpha, finite))
    return asked - weight * mean_of_largest(bank.T, count)


def csls(s: ArrayLike, s_bank: ArrayLike, k: int) -> Floats:
    """Return cross-domain similarity local scaling: ``2 s(q, g) − r_G(q) − r_B(g)``.

    r is the mean of the k largest similarities: of the query to the candidates, and of the
    candidate to the bank.

    Parameters
    ----------
    s, s_bank, k
        As for `nnn`; k is cut to the candidates there are as well.

    Returns
    -------
    ndarray
        ``[queries, candidates]`` float64.

    Raises
    ------
    InputError, ParameterError
        As for `nnn`.

    Notes
    -----
    Conneau et al., Word Translation Without Parallel Data, ICLR 2018, equation 5.
    """
    asked, bank = with_bank("csls", s, s_bank)
    of_candidates = mean_of_largest(bank.T, largest("csls", k, len(bank), "bank"))
    if not asked.shape[1]:
        return asked
    of_queries = mean_of_largest(asked, largest("csls", k, asked.shape[1], "gallery"))
    return 2 * asked - of_queries[:, None] - of_candidates


def dn(
    queries: ArrayLike, gallery: ArrayLike, query_mean: ArrayLike, gallery_mean: ArrayLike
) -> Floats:
    """Return distribution normalisation: ``⟨q − ½ μ_q, g − ½ μ_g⟩``.

    Parameters
    ----------
    queries, gallery
        ``[queries, D]`` and ``[candidates, D]`` embeddings.
    query_mean, gallery_mean
        ``[D]`` the mean embeddings of a bank of queries and of a bank of candidates.

    Returns
    -------
    ndarray
        ``[queries, candidates]`` float64.

    Raises
    ------
    InputError
        If something is not finite, or sizes do not go together.

    Notes
    -----
    Zhou et al., Test-Time Distribution Normalization for Contrastively Learned Visual-language
    Models, NeurIPS 2023.
    """
    asked, listed = similarities("dn", queries, "queries"), similarities("dn", gallery, "gallery")
    means = similarities("dn", [np.ravel(query_mean), np.ravel(gallery_mean)], "the means")
    centred: Floats = (asked - means[0] / 2) @ (listed - means[1] / 2).T
    return centred
