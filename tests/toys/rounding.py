"""How far two computations of the same sums may differ, on any processor: the tests' tolerances.

Kernels add the same products in another order, with other widths and with or without fused
multiply-add.  In whatever order, a sum of n products differs from the exact one by at most
``γ(n) Σ|a||b|`` with ``γ(n) = n u / (1 - n u)`` and u the unit roundoff (Higham, Accuracy and
Stability of Numerical Algorithms, 2nd ed., 2002, section 3.1).  Nothing else bounds a comparison
of float32: a number that happens to hold on one processor fails on the next.

Where formulas are claimed to be equal, both are computed in float64.  What is left then is so much
smaller than any mistake, and than float32's rounding, that only equal formulas pass.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

FLOAT32, FLOAT64 = 2.0**-24, 2.0**-53
"""Unit roundoffs."""
LONGEST = 20_000
"""Roundings in the longest chain of a toy model: 40 products of 50 terms, each times the ten by
which a perturbation with α = 9 multiplies what came before."""


def rounding(terms: int, size: Any = 1.0, *, sides: int = 1) -> Any:
    """Return how far a float32 sum may be from the exact one.

    Parameters
    ----------
    terms
        How many products are added, and how many roundings each number had before.
    size
        The sum of their absolute values, or a bound on it: for a product of two vectors that of
        their norms.
    sides
        2 where both numbers that are compared were computed in float32.
    """
    return sides * size * terms * FLOAT32 / (1 - terms * FLOAT32)


def assert_same_sums(
    found: Any, expected: Any, terms: int, size: Any = 1.0, *, sides: int = 1
) -> None:
    """Hold float32 sums against exact ones, or other float32 ones; see `rounding`."""
    one, other = _numbers(found), _numbers(expected)
    assert one.shape == other.shape, f"{one.shape} is not {other.shape}"
    share = np.abs(one - other) / np.maximum(
        rounding(terms, size, sides=sides), np.finfo(float).tiny
    )
    assert (share <= 1).all(), f"{np.abs(one - other).max():g} is {share.max():.3g} of the bound"


def assert_same_formula(found: Any, expected: Any) -> None:
    """Hold against each other what two formulas give in float64."""
    assert "float64" in str(found.dtype) and "float64" in str(expected.dtype)
    one, other = _numbers(found), _numbers(expected)
    assert one.shape == other.shape, f"{one.shape} is not {other.shape}"
    away, bound = (
        np.abs(one - other),
        2 * LONGEST * FLOAT64 * max(1.0, np.abs(other).max(initial=0)),
    )
    assert (away <= bound).all(), f"{away.max():g} is {away.max() / bound:.3g} of the bound"


def _numbers(values: Any) -> NDArray[np.float64]:
    detached = values.detach().cpu() if hasattr(values, "detach") else values
    return np.asarray(detached, np.float64)
