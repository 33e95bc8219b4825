"""What a candidate's tokens can rebuild, factorised once so that a pair costs one product."""

from __future__ import annotations

import numpy as np

from crossrank.errors import InputError
from crossrank_hosa.folding import Floats, slices_of

EPSILON = float(np.finfo(np.float32).eps)


def factorise(vectors: Floats, fold: int, ridge: float) -> Floats:
    """Return the filters B of one item.

    With the slice V ``[n1, R]``, ``P = V (VᴴV + λI)⁻¹ Vᴴ`` and ``VᴴV = W S² Wᴴ``, the filters are
    ``B = (S² + λ)^-½ Wᴴ Vᴴ``, so that ``P = BᴴB``.  A vector t and its reconstruction ``t̃ = P t``
    have ``⟨t, t̃⟩ = ‖B t‖²`` and ``‖t̃‖² = Σ_r ‖B_r‖² |B_r t|²``.

    Parameters
    ----------
    vectors
        ``[R, D]`` in Fourier coordinates, float64 for an accurate result.
    fold
        n3.
    ridge
        λ relative to ``‖V‖² / R``.

    Returns
    -------
    ndarray
        ``[R, D]``, laid out as `vectors` are.

    Raises
    ------
    InputError
        If λ is 0 and the vectors depend on each other in some slice.
    """
    filters = np.zeros_like(vectors)
    penalty = ridge * float((vectors**2).mean(axis=0).sum()) / fold
    if ridge > 0 and penalty == 0:
        return filters  # nothing but zeros, which rebuild nothing
    for rows, out in zip(slices_of(vectors, fold), slices_of(filters, fold), strict=True):
        # A complex slice is stored times √2, and so is the root of its λ.
        shift = penalty * (2 if np.iscomplexobj(rows) else 1)
        squares, eigenvectors = np.linalg.eigh(rows.conj() @ rows.T)
        squares = np.maximum(squares, 0)
        if shift == 0 and (squares <= len(rows) * EPSILON**2 * squares.max(initial=0)).any():
            raise InputError(
                f"the {len(rows)} tokens depend on each other, so without a ridge the system is "
                "singular; give ridge > 0"
            )
        out[:] = (eigenvectors / np.sqrt(squares + shift)).conj().T @ rows.conj()
    return filters


def reconstruction(filters: Floats, tokens: Floats, fold: int) -> Floats:
    """Return ``[M]``: the cosine of each token and its reconstruction.

    Parameters
    ----------
    filters
        ``[R, D]``, see `factorise`.
    tokens
        ``[M, D]`` unit rows, in Fourier coordinates.
    fold
        n3.
    """
    agreement = np.zeros((2, len(tokens)), filters.dtype)
    for slice_, given in zip(slices_of(filters, fold), slices_of(tokens, fold), strict=True):
        found = slice_ @ given.T
        energies = np.square(found.real)
        if np.iscomplexobj(found):
            energies += np.square(found.imag)
        gains = np.einsum("rn,rn->r", slice_, slice_.conj()).real
        agreement += np.stack([np.ones_like(gains), gains]) @ energies
    inner, squares = agreement
    return np.divide(inner, np.sqrt(squares), out=np.zeros_like(inner), where=squares > 0)
