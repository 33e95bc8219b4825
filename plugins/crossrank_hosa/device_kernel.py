"""HOSA on a device of torch: factorising many candidates at once, scoring many pairs at once."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import crossrank as cr
from crossrank.plugin.torch_device import in_chunks
from crossrank.plugin.torch_pairs import Padded, score_pairs
from crossrank_hosa.bases import EPSILON
from crossrank_hosa.folding import Floats, real_slices
from crossrank_hosa.scoring import Integers, LocalScores

BYTES_OF_AN_ENTRY = 8 * 8
"""What factorising takes per number in float64, with its slices and what they are solved in."""
PRODUCTS = 4
"""How often a product of two rows is held while a reconstruction is scored, real numbers all."""


def factorise_on(
    device: str, vectors: cr.Ragged, fold: int, ridge: float
) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the filters of many items, see `crossrank_hosa.bases.factorise`.

    Parameters
    ----------
    device
        What `crossrank.plugin.torch_device.device_of` returned for float64.
    vectors
        ``[R, D]`` each, in Fourier coordinates, float64.
    fold, ridge
        As there.

    Returns
    -------
    tuple
        ``[ΣR, D]`` filters, rows of zeros for an item without length; and per item whether its
        vectors depend on each other where λ is 0, by which its filters mean nothing.
    """
    filters = np.zeros_like(vectors.flat)
    singular = np.zeros(len(vectors), np.bool_)
    for length in np.unique(vectors.lengths[vectors.lengths > 0]):
        items = np.flatnonzero(vectors.lengths == length)
        rows = vectors.offsets[items][:, None] + np.arange(length)
        cost = BYTES_OF_AN_ENTRY * int(length) * (vectors.trailing[0] + 2 * int(length))

        def work(chunk: slice, items: Integers = items, rows: Integers = rows) -> None:
            given = torch.tensor(vectors.flat[rows[chunk]], device=device)
            found, dependent = _factorise(given, fold, ridge)
            filters[rows[chunk]] = found.cpu().numpy()
            singular[items[chunk]] = dependent.cpu().numpy()

        in_chunks("hosa", device, np.full(len(items), cost), work)
    return filters, singular


def _factorise(vectors: Tensor, fold: int, ridge: float) -> tuple[Tensor, Tensor]:
    """Factorise ``[n, R, D]``, items of one length, as `crossrank_hosa.bases.factorise` does."""
    length = vectors.shape[1]
    penalty = ridge * vectors.square().mean(dim=1).sum(dim=1) / fold
    zero = (ridge > 0) & (penalty == 0)  # nothing but zeros, which rebuild nothing
    singular = torch.zeros_like(zero)
    made = []
    for rows in slices_of(vectors, fold):
        shift = penalty * (2 if rows.is_complex() else 1)
        squares, eigenvectors = torch.linalg.eigh(rows.conj() @ rows.transpose(1, 2))
        squares = squares.clamp_min(0)
        rounding = length * EPSILON**2 * squares.amax(dim=1, keepdim=True)
        singular |= (shift == 0) & (squares <= rounding).any(dim=1) & ~zero
        divisors = (squares + shift[:, None]).sqrt()
        divisors = divisors.masked_fill(zero[:, None], torch.inf)
        made.append((eigenvectors / divisors[:, None]).mH @ rows.conj())
    return _joined(made), singular


def score_pairs_on(
    device: str,
    queries: cr.Ragged,
    gallery: cr.Ragged,
    of_queries: Integers,
    of_gallery: Integers,
    fold: int,
) -> LocalScores:
    """Score pairs; see `crossrank_hosa.scoring.score_pairs`.

    Raises
    ------
    BudgetError
        If the device has not enough memory for the queries or for a single pair.
    """
    rebuilds = gallery.trailing[0] > 1
    alignment, rebuilt = score_pairs(
        "hosa",
        device,
        queries,
        gallery,
        of_queries,
        of_gallery,
        partial(local_scores, fold=fold, rebuilds=rebuilds),
        outputs=2,
        entry_bytes=4 * PRODUCTS,
    ).astype(np.float64)
    return LocalScores(alignment, rebuilt)


def local_scores(asked: Padded, listed: Padded, fold: int, rebuilds: bool) -> Tensor:
    """Return ``[2, n]``: both scores of n pairs, averaged over the query's tokens.

    Parameters
    ----------
    asked, listed
        ``[n, L, D]`` tokens, and ``[n, R, 1 or 2, D]`` tokens and filters.
    fold
        n3.
    rebuilds
        Whether there are filters.
    """
    tokens = listed.rows[:, :, 0]
    best = torch.bmm(asked.rows, tokens.transpose(1, 2)).amax(dim=2)
    if not rebuilds:
        return torch.stack([asked.mean(best), torch.zeros_like(best[:, 0])])
    filters = listed.rows[:, :, 1] * listed.own[..., None]
    cosines = reconstruction(filters, asked.rows, fold)
    return torch.stack([asked.mean(best), asked.mean(cosines)])


def reconstruction(filters: Tensor, tokens: Tensor, fold: int) -> Tensor:
    """Return ``[n, L]``: the cosine of each token and its reconstruction.

    Parameters
    ----------
    filters
        ``[n, R, D]``, see `crossrank_hosa.bases.factorise`; rows of zeros add nothing.
    tokens
        ``[n, L, D]`` unit rows, in Fourier coordinates.
    fold
        n3.
    """
    inner = torch.zeros_like(tokens[..., 0])
    squares = torch.zeros_like(inner)
    for slice_, given in zip(slices_of(filters, fold), slices_of(tokens, fold), strict=True):
        energies = _energies(given @ slice_.transpose(1, 2))
        inner += energies.sum(dim=2)
        squares += torch.bmm(energies, _energies(slice_).sum(dim=2, keepdim=True))[..., 0]
    some = squares > 0
    return torch.where(some, inner / squares.where(some, 1).sqrt(), 0)


def slices_of(rows: Tensor, fold: int) -> list[Tensor]:
    """Return the Fourier slices ``[n, L, n1]`` of rows ``[n, L, D]``: real ones, then complex."""
    n1 = rows.shape[-1] // fold
    real = real_slices(fold)
    slices = [rows[..., n1 * at : n1 * (at + 1)] for at in range(real)]
    for start in range(n1 * real, rows.shape[-1], 2 * n1):
        pairs = rows[..., start : start + 2 * n1]
        slices.append(torch.complex(pairs[..., 0::2], pairs[..., 1::2]))
    return slices


def _joined(slices: list[Tensor]) -> Tensor:
    """Undo `slices_of`."""
    parts = [torch.view_as_real(each).flatten(-2) if each.is_complex() else each for each in slices]
    return torch.cat(parts, dim=-1)


def _energies(values: Tensor) -> Tensor:
    """Return the squared magnitudes of real or complex values."""
    if values.is_complex():
        return values.real.square() + values.imag.square()
    return values.square()
