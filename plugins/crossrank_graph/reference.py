"""What a picture of no particular kind answers to a phrase."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank.errors import FeatureMismatchError, InputError, StoreError
from crossrank_graph.responses import Floats, answers

SHIPPED = Path(__file__).with_name("lite_cells.safetensors")
REACH = 1.65
"""Deviations by which the best of a picture's cells exceeds the mean, on average over phrases."""
CELLS = 1 << 13


@dataclass(frozen=True, slots=True)
class CellStatistics:
    """Mean and covariance of the cells of many pictures.

    The best of a picture's cells answers to a vector ``v`` with about ``m·v + 1.65 √(vᵀ C v)``:
    enough to put phrases on one scale without a picture at hand.

    Parameters
    ----------
    mean
        ``[D]``.
    covariance
        ``[D, D]``.
    maker
        The encoder whose cells they are.
    """

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]
    maker: str

    @classmethod
    def of(cls, pictures: cr.Collection) -> CellStatistics:
        """Return the statistics of a collection's ``tokens``."""
        cells = np.asarray(pictures["tokens"].flat, np.float64)
        if len(cells) < 2:
            raise InputError("graph: statistics need two cells or more; give more pictures")
        return cls(cells.mean(axis=0), np.cov(cells.T), pictures.encoder or "")

    @classmethod
    def shipped(cls) -> CellStatistics:
        """Return those of ``lite`` on the Flickr8k train split."""
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(SHIPPED, "np") as file:
                maker = (file.metadata() or {}).get("encoder", "")
                tables = [file.get_tensor(name) for name in ("mean", "covariance")]
        except (OSError, SafetensorError) as error:
            raise StoreError(f"graph: {SHIPPED} cannot be read: {error}; install again") from error
        return cls(tables[0].astype(np.float64), tables[1].astype(np.float64), maker)

    def expected(self, words: cr.Ragged) -> Floats:
        """Return ``[P]`` the expected response to phrases of ``words`` (ragged ``[P]``)."""
        if not len(words.lengths):
            return np.zeros(0, np.float32)
        vectors = np.add.reduceat(words.flat.astype(np.float64), words.offsets[:-1], axis=0)
        vectors /= words.lengths[:, None]
        variance = np.einsum("pd,de,pe->p", vectors, self.covariance, vectors)
        spread = np.sqrt(np.maximum(variance, 0.0))
        found: Floats = (vectors @ self.mean + REACH * spread).astype(np.float32)
        return found


def measured(words: cr.Ragged, pictures: cr.Collection, binding: bool) -> Floats:
    """Return ``[P]`` the mean response of a collection's pictures to phrases.

    Raises
    ------
    InputError
        If no picture has a token.
    FeatureMismatchError
        If its tokens have another size than the phrases'.
    """
    tokens: cr.Ragged = pictures["tokens"]
    rows = np.flatnonzero(tokens.lengths > 0)
    if not len(rows):
        raise InputError("graph: no picture of the reference has a token; give one with tokens")
    if not len(words.lengths):
        return np.zeros(0, np.float32)
    if tokens.trailing != words.trailing:
        raise FeatureMismatchError(
            f"graph: the tokens of the reference have size {tokens.trailing}, those of phrases "
            f"{words.trailing}; encode both with the same encoder"
        )
    total = np.zeros(len(words.lengths))
    flat = np.ascontiguousarray(words.flat, np.float32)
    most = max(1, CELLS // int(tokens.lengths[rows].max()))
    for start in range(0, len(rows), most):
        part = tokens.take(rows[start : start + most])
        cells = np.asarray(part.flat, np.float32)
        for first in range(0, len(words.lengths), 1024):
            some = slice(first, first + 1024)
            span = slice(words.offsets[some][0], words.offsets[1:][some][-1])
            found = answers(cells, part.lengths, flat[span], words.lengths[some], binding, None)
            total[some] += found.best.astype(np.float64).sum(axis=0)
    return (total / len(rows)).astype(np.float32)
