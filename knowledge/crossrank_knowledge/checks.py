"""What a bank is held against when it is made and used."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crossrank import Collection, Ragged
from crossrank.errors import FeatureMismatchError, InputError

if TYPE_CHECKING:
    from crossrank_knowledge.bank import KnowledgeBank

CHUNK = 8192


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


def as_weight(values: ArrayLike, size: int) -> NDArray[np.float32]:
    """Return the map ``[F, D]`` of regions to the space of the prototypes."""
    array = np.asarray(values)
    if array.ndim != 2 or array.shape[0] == 0 or array.shape[1] != size:
        raise InputError(f"KnowledgeBank: weight has shape {array.shape}; give [F, {size}]")
    return as_finite("weight", array, array.shape)


def same_space(who: str, bank: KnowledgeBank, images: Collection) -> None:
    """Refuse pictures whose regions are not of the bank's encoder."""
    regions = images["regions"]
    if len(regions.flat) and regions.trailing != (bank.region_size,):
        raise FeatureMismatchError(
            f"{who}: the bank is for regions of {bank.region_size} dimensions, those of the images "
            f"have {', '.join(map(str, regions.trailing))}; encode the images with the encoder of "
            "the bank"
        )
    if None not in (bank.encoder, images.encoder) and bank.encoder != images.encoder:
        raise FeatureMismatchError(
            f"{who}: the bank was built with {bank.encoder}, the images were encoded with "
            f"{images.encoder}; between two encoders the scores are near chance, so encode the "
            "images again or build another bank"
        )


def finite_regions(who: str, images: Collection) -> None:
    """Refuse pictures with a region that is not finite, reading them piece by piece."""
    rows = images["regions"].flat
    for start in range(0, len(rows), CHUNK):
        if not np.isfinite(rows[start : start + CHUNK]).all():
            raise InputError(f"{who}: the regions of the images are not all finite")


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
