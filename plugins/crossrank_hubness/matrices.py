"""Matrices of similarities from the caller: checked, and float64 from here on."""

from __future__ import annotations

import logging
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crossrank.errors import InputError, ParameterError
from crossrank.plugin.parameters import checked, integer

Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]

log = logging.getLogger(__name__)


def similarities(who: str, s: ArrayLike, what: str = "s") -> Floats:
    """Return a finite float64 copy of a matrix."""
    matrix = np.array(s, np.float64)
    if matrix.ndim != 2:
        raise InputError(f"{who}: {what} has shape {matrix.shape}; give a matrix, a row per query")
    if not np.isfinite(matrix).all():
        row, column = np.argwhere(~np.isfinite(matrix))[0]
        raise InputError(
            f"{who}: {what}[{row}, {column}] is {matrix[row, column]}; give finite similarities"
        )
    return matrix


def with_bank(
    who: str, s: ArrayLike, s_bank: ArrayLike, what: str = "s_bank"
) -> tuple[Floats, Floats]:
    """Return both matrices of one gallery, see `similarities`.

    Raises
    ------
    InputError
        If they have another number of columns, or the bank has no row.
    """
    asked, bank = similarities(who, s), similarities(who, s_bank, what)
    if asked.shape[1] != bank.shape[1]:
        raise InputError(
            f"{who}: s has {asked.shape[1]} candidates and {what} has {bank.shape[1]}; "
            "give the same candidates in the same order"
        )
    if not len(bank):
        raise InputError(f"{who}: {what} has no row; a bank holds at least one item")
    return asked, bank


def largest(who: str, k: int, there: int, of: str) -> int:
    """Return how many of the largest are averaged: k, or as many as there are, which is told."""
    checked(who, "k", k, integer(1))
    if k > there:
        log.warning("%s: k is %d, but the %s has only %d; all of them are used", who, k, of, there)
    return min(int(k), there)


def held(who: str, parameter: str, logarithms: Floats, factor: Floats | float = 1.0) -> Floats:
    """Return ``factor · exp(logarithms)``, unless float64 cannot hold it.

    Raises
    ------
    ParameterError
        If a score overflows, or all of a row vanish.
    """
    with np.errstate(over="ignore", under="ignore"):
        values = np.exp(logarithms)
    if not np.isfinite(values).all():
        raise ParameterError(f"{who}: scores overflow; lower {parameter}, or ask for log=True")
    lost = (values == 0).all(axis=1) & (values.shape[1] > 0)
    if lost.any():
        raise ParameterError(
            f"{who}: all scores of row {int(np.argmax(lost))} vanish; lower {parameter}, "
            "or ask for log=True"
        )
    return np.asarray(factor * values, np.float64)
