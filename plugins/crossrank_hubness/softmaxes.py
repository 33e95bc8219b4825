"""Corrections that share a candidate out among the queries that want it: inverted softmaxes."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from crossrank.plugin.parameters import checked, positive
from crossrank_hubness.matrices import Floats, held, largest, similarities, with_bank


def invsoftmax(s: ArrayLike, s_bank: ArrayLike, beta: float, *, log: bool = False) -> Floats:
    """Return the inverted softmax: ``exp(β s(q, g)) / Σ_b exp(β s(b, g))``.

    Parameters
    ----------
    s
        ``[queries, candidates]`` similarities.
    s_bank
        ``[bank, candidates]`` similarities of a bank of queries.
    beta
        The inverse temperature, above 0.
    log
        Whether to return logarithms, which hold for any β.

    Returns
    -------
    ndarray
        ``[queries, candidates]`` float64.

    Raises
    ------
    InputError
        If a matrix is not finite, or they do not go together.
    ParameterError
        On a β that is not a positive number, or under which scores overflow or a row vanishes.

    Notes
    -----
    Smith et al., Offline Bilingual Word Vectors, Orthogonal Transformations and the Inverted
    Softmax, ICLR 2017.
    """
    logarithms = _share("invsoftmax", "beta", s, s_bank, beta)
    return logarithms if log else held("invsoftmax", "beta", logarithms)


def qbnorm(
    s: ArrayLike, s_bank: ArrayLike, beta: float, k: int = 1, *, log: bool = False
) -> Floats:
    """Return querybank normalisation: `invsoftmax` for queries whose best candidate is activated.

    The other queries keep s.  A candidate is activated that is among the k best of an item of the
    bank; of equal ones the earlier are.

    Parameters
    ----------
    s, s_bank, beta, log
        As for `invsoftmax`; the rows that keep s do so under `log` too.
    k
        How many candidates each item of the bank activates; all of a smaller gallery, which is
        told.

    Returns
    -------
    ndarray
        ``[queries, candidates]`` float64.

    Raises
    ------
    InputError, ParameterError
        As for `invsoftmax`, and on k below 1.

    Notes
    -----
    Bogolin et al., Cross Modal Retrieval with Querybank Normalisation, CVPR 2022, equations 3 to 5,
    with the dynamic inverted softmax.
    """
    asked, bank = with_bank("qbnorm", s, s_bank)
    logarithms = _share("qbnorm", "beta", asked, bank, beta)
    if not asked.size:
        return asked
    count = largest("qbnorm", k, asked.shape[1], "gallery")
    activated = np.argsort(-bank, axis=1, kind="stable")[:, :count]
    rows = np.isin(np.argmax(asked, axis=1), activated)
    asked[rows] = logarithms[rows] if log else held("qbnorm", "beta", logarithms[rows])
    return asked


def dualis(
    s: ArrayLike,
    s_bank: ArrayLike,
    s_gallery_bank: ArrayLike,
    beta1: float,
    beta2: float,
    *,
    log: bool = False,
) -> Floats:
    """Return the dual inverted softmax over a bank of queries b and a bank of candidates h.

    ``exp(β₁ s) / Σ_b exp(β₁ s(b, g)) · exp(β₂ s) / Σ_h exp(β₂ s(h, g))``

    Parameters
    ----------
    s, s_bank, log
        As for `invsoftmax`.
    s_gallery_bank
        ``[gallery bank, candidates]`` similarities between candidates.
    beta1, beta2
        The inverse temperatures of the two banks, above 0.

    Returns
    -------
    ndarray
        ``[queries, candidates]`` float64.

    Raises
    ------
    InputError, ParameterError
        As for `invsoftmax`.

    Notes
    -----
    Wang, Jian and Xue, Balance Act: Mitigating Hubness in Cross-Modal Retrieval with Query and
    Gallery Banks, EMNLP 2023.
    """
    logarithms = _share("dualis", "beta1", s, s_bank, beta1)
    logarithms += _share("dualis", "beta2", s, s_gallery_bank, beta2, "s_gallery_bank")
    return logarithms if log else held("dualis", "beta1 and beta2", logarithms)


def dsl(s: ArrayLike, beta: float) -> Floats:
    """Return the dual softmax: ``s(q, g) · exp(β s(q, g)) / Σ_q exp(β s(q, g))``.

    It is transductive: the softmax runs over the queries.

    Parameters
    ----------
    s
        ``[queries, candidates]`` similarities.
    beta
        The inverse temperature, above 0.

    Returns
    -------
    ndarray
        ``[queries, candidates]`` float64.

    Raises
    ------
    InputError
        If the matrix is not finite.
    ParameterError
        On a β that is not a positive number, or under which a row vanishes.

    Notes
    -----
    Cheng et al., Improving Video-Text Retrieval by Multi-Stream Corpus Alignment and Dual Softmax
    Loss, arXiv 2109.04290.
    """
    asked = similarities("dsl", s)
    if not len(asked):
        return asked
    return held("dsl", "beta", _share("dsl", "beta", asked, asked, beta), asked)


def _share(
    who: str,
    parameter: str,
    s: ArrayLike,
    s_bank: ArrayLike,
    beta: float,
    what: str = "s_bank",
) -> Floats:
    asked, bank = with_bank(who, s, s_bank, what)
    factor = float(checked(who, parameter, beta, positive))
    from scipy.special import logsumexp  # a fifth of a second, too long for a mere look

    shared: Floats = factor * asked - logsumexp(factor * bank, axis=0)
    return shared
