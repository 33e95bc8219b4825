"""What a bank is held against when it is made; each raises `InputError`."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crossrank import Ragged
from crossrank.errors import InputError


def as_prototypes(name: str, values: ArrayLike, count: int) -> NDArray[np.float32]:
    """Return ``[V, D]`` prototypes, one row per word."""
    vectors = np.asanyarray(values)
    if count == 0:
        raise InputError("KnowledgeBank: it has no words; build it from at least one label")
    if vectors.ndim != 2 or vectors.shape[0] != count or vectors.shape[1] == 0:
        raise InputError(
            f"KnowledgeBank: {name} have shape {vectors.shape} for {count} words; give [V, D]"
        )
    return as_finite(name, vectors, vectors.shape)


def as_finite(name: str, values: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return an array of the given shape, or say where it is not finite."""
    array = np.asarray(values).astype(np.float32, copy=False)
    if array.shape != shape:
        raise InputError(f"KnowledgeBank: {name} has shape {array.shape}, not {shape}")
    finite = np.isfinite(array)
    if not finite.all():
        raise InputError(
            f"KnowledgeBank: {name} is not finite at {np.argwhere(~finite)[0].tolist()}"
        )
    return array


def as_counts(words: tuple[str, ...], counts: ArrayLike | None) -> NDArray[np.int64]:
    """Return ``[V]`` counts, all at least 1."""
    if counts is None:
        return np.ones(len(words), np.int64)
    numbers = np.asarray(counts)
    if numbers.shape != (len(words),) or numbers.dtype.kind not in "iu":
        raise InputError(f"KnowledgeBank: counts must be {len(words)} integers, one per word")
    if (numbers < 1).any():
        row = int(np.argmax(numbers < 1))
        raise InputError(
            f"KnowledgeBank: the word {words[row]!r} has the count {numbers[row]}; "
            "leave out words that no region carries"
        )
    return numbers.astype(np.int64)


def as_clusters(clusters: Ragged, order: NDArray[np.int64], size: int) -> Ragged:
    """Return the clusters of the words in another order."""
    if len(clusters) != len(order) or clusters.trailing != (size,) or (clusters.lengths < 1).any():
        raise InputError(
            f"KnowledgeBank: clusters must hold {len(order)} times at least one row of {size}"
        )
    as_finite("clusters", clusters.flat, clusters.flat.shape)
    in_order = bool((order == np.arange(len(order))).all())
    return clusters if in_order else clusters.take(order)
