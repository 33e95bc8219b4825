"""Whitening a bank: the principal axes of the regions, each scaled to the same spread."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from crossrank import Collection, Ragged
from crossrank.errors import InputError
from crossrank.plugin.parameters import at_least, checked, integer
from crossrank_knowledge.bank import KnowledgeBank
from crossrank_knowledge.checks import CHUNK, finite_regions, same_space

NOTHING = 1e-6
"""The share of the largest variance that rounding can feign."""


def whitened(
    bank: KnowledgeBank, images: Collection, size: int = 256, shrinkage: float = 0.03
) -> KnowledgeBank:
    """Return the bank mapped to the `size` strongest principal axes of some regions, whitened.

    With the covariance ``Σ = Q diag(λ) Qᵀ`` of the regions, λ falling,
    ``W = Q[:, :size] diag(1 / √(λ + shrinkage · λ̄))``, λ̄ the mean of the λ that are kept.  A few
    strong directions that all pictures share no longer rule every cosine.  It needs pictures, but
    no words and no training.  Ours, not the paper's; use it with ``center=True``.

    Parameters
    ----------
    bank
        What to whiten.
    images
        Pictures with finite ``regions`` of the bank's encoder.
    size
        Dimensions to keep, at most those of the bank.
    shrinkage
        Keeps weak axes from being blown up; 0 whitens fully.

    Returns
    -------
    KnowledgeBank
        Prototypes, clusters and mean mapped by W, W itself as `weight`, `parent` the fingerprint
        of `bank`.

    Raises
    ------
    FeatureMismatchError
        If the regions are not of the bank's space.
    InputError
        If they are fewer than two, all the same, or not all finite.
    ParameterError
        If `size` or `shrinkage` is out of range.
    """
    checked("whitened", "size", size, integer(1, bank.size))
    checked("whitened", "shrinkage", shrinkage, at_least(0))
    same_space("whitened", bank, images)
    finite_regions("whitened", images)
    values, axes = np.linalg.eigh(_covariance(bank, images["regions"]))
    kept, strongest = values[::-1][:size], axes[:, ::-1][:, :size]
    # an axis along which regions do not differ says nothing: it becomes 0 and is not blown up
    differs = kept > NOTHING * kept[0]
    if not differs.any():
        raise InputError("whitened: the regions of the images are all the same")
    scale = np.where(differs, kept + shrinkage * kept.mean(), np.inf)
    weight = strongest / np.sqrt(scale)
    return mapped(bank, weight.astype(np.float32), {"whitened": {"shrinkage": float(shrinkage)}})


def mapped(
    bank: KnowledgeBank, weight: NDArray[np.float32], data: dict[str, object]
) -> KnowledgeBank:
    """Return the bank with everything mapped by ``[D, D']``, which names `bank` as its parent."""
    clusters = bank.clusters
    return KnowledgeBank(
        bank.words,
        bank.prototypes @ weight,
        bank.counts,
        mean=bank.mean @ weight,
        regions=bank.regions,
        clusters=None if clusters is None else Ragged(clusters.flat @ weight, clusters.lengths),
        weight=weight if bank.weight is None else bank.weight @ weight,
        encoder=bank.encoder,
        data={**bank.data, **data},
        parent=bank.fingerprint(),
    )


def _covariance(bank: KnowledgeBank, regions: Ragged) -> NDArray[np.float64]:
    """Return ``[D, D]`` of the regions in the bank's space, in one pass."""
    rows = regions.flat
    if len(rows) < 2:
        raise InputError(f"whitened: the images have {len(rows)} regions; give two or more")
    products, total = np.zeros((bank.size, bank.size)), np.zeros(bank.size)
    # the covariance does not depend on it, but the sums stay small
    origin = _in_space(bank, rows[:CHUNK]).mean(axis=0)
    for start in range(0, len(rows), CHUNK):
        part = _in_space(bank, rows[start : start + CHUNK]) - origin
        products += part.T @ part
        total += part.sum(axis=0, dtype=np.float64)
    mean = total / len(rows)
    return products / len(rows) - np.outer(mean, mean)


def _in_space(bank: KnowledgeBank, rows: NDArray[np.floating]) -> NDArray[np.float32]:
    vectors = np.asarray(rows, np.float32)
    return vectors if bank.weight is None else vectors @ bank.weight
