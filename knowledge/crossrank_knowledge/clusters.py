"""Several prototypes per word: k-means within a word."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crossrank import Ragged
from crossrank.errors import InputError
from crossrank_knowledge.bank import KnowledgeBank
from crossrank_knowledge.tokens import label_tokens


def with_clusters(
    bank: KnowledgeBank,
    stream: Iterable[tuple[str, ArrayLike]],
    k: int,
    *,
    most: int = 1000,
    rounds: int = 20,
    seed: int = 0,
) -> KnowledgeBank:
    """Return the bank with up to k prototypes per word beside the mean.

    A second pass over the stream keeps a uniform sample of at most `most` features per word
    (reservoir sampling), then k-means runs within each word.

    Parameters
    ----------
    bank
        Built from the same stream.
    stream
        ``(label, feature [D])``.
    k
        Prototypes per word, at least 1; words with fewer features get one for each.
    most
        Features per word to keep in memory.
    rounds
        Iterations of k-means.
    seed
        For the sample and the first centres.
    """
    if k < 1:
        raise InputError(f"with_clusters: k is {k}; give at least 1")
    sample: list[list[NDArray[np.float32]]] = [[] for _ in bank.words]
    seen = np.zeros(len(bank), np.int64)
    rng = np.random.default_rng(seed)
    for label, feature in stream:
        vector = np.asarray(feature, np.float32)
        for word in label_tokens(label):
            if word in bank and np.isfinite(vector).all():
                row = bank.row(word)
                seen[row] += 1
                _reserve(sample[row], vector, int(seen[row]), most, rng)
    centres = []
    for row, features in enumerate(sample):
        if not features:
            raise InputError(f"with_clusters: no feature of the stream carries {bank.words[row]!r}")
        centres.append(kmeans(np.stack(features), k, rounds, np.random.default_rng([seed, row])))
    return KnowledgeBank(
        bank.words,
        bank.prototypes,
        bank.counts,
        bank.spread,
        mean=bank.mean,
        regions=bank.regions,
        clusters=Ragged.from_list(centres),
        weight=bank.weight,
        encoder=bank.encoder,
        data={**bank.data, "clusters": k},
        parent=bank.parent,
    )


def kmeans(
    features: NDArray[np.float32], k: int, rounds: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return ``[≤ k, D]`` centres of ``[N, D]`` features by Lloyd's algorithm.

    The first centres are chosen far apart at random (k-means++); a centre that loses all its
    features is dropped.
    """
    centres = features[[int(rng.integers(len(features)))]]
    while len(centres) < min(k, len(features)):
        distances = _squared_distances(features, centres).min(axis=1)
        if distances.sum() <= 0:
            break
        chosen = int(rng.choice(len(features), p=distances / distances.sum()))
        centres = np.concatenate([centres, features[[chosen]]])
    for _ in range(rounds):
        nearest = _squared_distances(features, centres).argmin(axis=1)
        used = np.unique(nearest)
        moved = np.stack([features[nearest == c].mean(axis=0) for c in used])
        if moved.shape == centres.shape and np.array_equal(moved, centres):
            break
        centres = moved
    return centres


def _squared_distances(
    features: NDArray[np.float32], centres: NDArray[np.float32]
) -> NDArray[np.float64]:
    left, right = features.astype(np.float64), centres.astype(np.float64)
    squares = np.square(left).sum(1)[:, None] + np.square(right).sum(1)[None]
    distances: NDArray[np.float64] = np.maximum(squares - 2 * left @ right.T, 0.0)
    return distances


def _reserve(
    kept: list[NDArray[np.float32]],
    vector: NDArray[np.float32],
    seen: int,
    most: int,
    rng: np.random.Generator,
) -> None:
    if len(kept) < most:
        kept.append(vector)
        return
    place = int(rng.integers(seen))
    if place < most:
        kept[place] = vector
