"""Tokens folded into tubes, in real Fourier coordinates, and which folds make sense."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from crossrank.errors import ParameterError

Floats: TypeAlias = NDArray[np.floating]


def check_fold(fold: int, size: int, most: int, what: str) -> None:
    """Refuse a fold by which anything would rebuild anything.

    Parameters
    ----------
    fold
        n3.
    size
        D, the size of a token.
    most
        The largest number of tokens that something is rebuilt from.
    what
        Whose tokens these are, for the message.

    Raises
    ------
    ParameterError
        If n3 does not divide D, or n1 = D / n3 does not exceed `most`.
    """
    valid = [n3 for n3 in range(1, size + 1) if size % n3 == 0 and size // n3 > most]
    advice = (
        f"give a fold of {', '.join(map(str, valid))}"
        if valid
        else "no fold fits: "
        + (f"tokens of {size} numbers can only be rebuilt from fewer than {size} tokens")
    )
    if size % fold:
        raise ParameterError(
            f"hosa: fold={fold} does not divide {size}, the size of a token; {advice}"
        )
    if size // fold <= most:
        raise ParameterError(
            f"hosa: fold={fold} leaves slices of n1 = {size // fold} for {most} tokens of "
            f"{what}; with n1 not above their number they rebuild anything exactly, and the "
            f"reconstruction says nothing; {advice}"
        )


def to_fourier(rows: Floats, fold: int) -> Floats:
    """Return rows in orthonormal real Fourier coordinates along their tubes.

    Parameters
    ----------
    rows
        ``[N, D]``.
    fold
        n3; ``D = n1 · n3``.

    Returns
    -------
    ndarray
        ``[N, D]`` of the same dtype: slice after slice n1 numbers of each real slice, then n1 pairs
        (real, imaginary) of each complex one, times √2 for its conjugate.  Inner products stay as
        they are.
    """
    from scipy.fft import rfft  # a fifth of a second, too long for a mere look

    count, size = rows.shape
    n1 = size // fold
    slices = np.moveaxis(rfft(rows.reshape(count, n1, fold), axis=2, norm="ortho"), 2, 1)
    real = real_slices(fold)
    # The slices of an rfft: the mean, the complex ones, and the highest if n3 is even.
    lone = slices[:, [0, -1][:real]].real.reshape(count, -1)
    paired = np.ascontiguousarray(slices[:, 1 : 1 + (fold - 1) // 2]) * np.sqrt(rows.dtype.type(2))
    return np.concatenate([lone, paired.reshape(count, -1).view(rows.dtype)], axis=1)


def real_slices(fold: int) -> int:
    """Return how many Fourier slices are real."""
    return 1 if fold % 2 else min(2, fold)


def slices_of(rows: Floats, fold: int) -> list[NDArray[np.inexact]]:
    """Return the Fourier slices ``[N, n1]`` of rows ``[N, D]``, views: real ones, then complex."""
    n1 = rows.shape[1] // fold
    real = real_slices(fold)
    lone: list[NDArray[np.inexact]] = [rows[:, n1 * at : n1 * (at + 1)] for at in range(real)]
    as_complex = np.complex64 if rows.dtype == np.float32 else np.complex128
    starts = range(n1 * real, rows.shape[1], 2 * n1)
    return lone + [rows[:, start : start + 2 * n1].view(as_complex) for start in starts]
