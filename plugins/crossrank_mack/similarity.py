"""MACK's arithmetic on arrays: word vectors, region vectors, and pooling what they have in common.

A *concept* is a noun with its adjective, or without one.  Everything is float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crossrank.plugin.unit_rows import unit
from crossrank_knowledge import KnowledgeBank

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ConceptVectors:
    """The unit vectors of some concepts.

    Parameters
    ----------
    unit
        ``[P, D]`` one row per prototype, those of a concept together.
    starts
        ``[C]`` the first row of each concept.
    pooling
        ``"max"`` or ``"mean"`` over the prototypes of a concept.
    """

    unit: Floats
    starts: Integers
    pooling: str = "max"


def concept_vectors(
    bank: KnowledgeBank,
    concepts: Sequence[tuple[int, int]],
    *,
    adjective: float = 1.0,
    center: bool = False,
    pooling: str = "max",
) -> ConceptVectors:
    """Return ``u / ‖u‖`` with ``u = p_noun + adjective · p_adj``, summed before normalising.

    Where words have several prototypes, each of the noun's with each of the adjective's.

    Parameters
    ----------
    bank
        Where the prototypes are.
    concepts
        Rows of the bank: noun and adjective, the latter −1 for none; a noun of −1 stands for the
        first unit vector, the authors' stand-in for a text without nouns.
    adjective, center, pooling
        See `MackParameters`.
    """
    mean = np.asarray(bank.mean, np.float32) if center else np.float32(0)
    rows: list[Floats] = []
    for noun, adj in concepts:
        if noun < 0:
            vectors = np.eye(1, bank.size, dtype=np.float32)
        else:
            vectors = np.asarray(bank.prototypes_of(noun), np.float32) - mean
            if adj >= 0:
                added = np.asarray(bank.prototypes_of(adj), np.float32) - mean
                both = vectors[:, None] + np.float32(adjective) * added
                vectors = both.reshape(-1, bank.size)
        rows.append(vectors)
    lengths = np.array([len(each) for each in rows], np.int64)
    flat = np.concatenate(rows) if rows else np.zeros((0, bank.size), np.float32)
    return ConceptVectors(unit(flat), np.cumsum(lengths) - lengths, pooling)


def similarities(regions: Floats, concepts: ConceptVectors) -> Floats:
    """Return ``[R, C]`` cosines of unit regions and concepts: S transposed, regions first."""
    cosines: Floats = regions @ concepts.unit.T
    if len(concepts.starts) == len(concepts.unit):
        return cosines
    if concepts.pooling == "max":
        return np.maximum.reduceat(cosines, concepts.starts, axis=1)
    lengths = np.diff(np.append(concepts.starts, len(concepts.unit)))
    mean: Floats = np.add.reduceat(cosines, concepts.starts, axis=1)
    mean /= lengths
    return mean


def best_of_groups(rows: Floats, lengths: Integers, k: int) -> Floats:
    """Return ``[G, C]`` the mean of the k largest values per column in each group of rows.

    Parameters
    ----------
    rows
        ``[ΣL, C]``, the rows of a group together.
    lengths
        ``[G]`` rows per group, at least 1.
    k
        How many; a group that has fewer takes all of them.
    """
    starts = np.cumsum(lengths) - lengths
    if k == 1:
        return np.maximum.reduceat(rows, starts, axis=0)
    pooled = np.empty((len(lengths), rows.shape[1]), np.float32)
    for length in np.unique(lengths):
        groups = np.flatnonzero(lengths == length)
        members: Floats = rows[starts[groups, None] + np.arange(length)]
        if k < length:
            members = np.partition(members, length - k, axis=1)[:, -k:]
        pooled[groups] = members.mean(axis=1)
    return pooled
