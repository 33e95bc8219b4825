"""Hubness corrections as their equations stand: loops over floats, nothing else."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

import crossrank as cr

Matrix = NDArray[np.float64]

S = np.array([[0.9, 0.8, 0.1], [0.7, 0.75, 0.2], [0.3, 0.6, 0.55]])
S_BANK = np.array([[0.8, 0.9, 0.1], [0.6, 0.7, 0.3], [0.2, 0.8, 0.4], [0.1, 0.5, 0.6]])


def mean_of_best(values: Sequence[float], k: int) -> float:
    best = sorted(values, reverse=True)[:k]
    return math.fsum(best) / len(best)


def pairwise(s: Matrix, score: Any) -> Matrix:
    return np.array([[score(q, g) for g in range(s.shape[1])] for q in range(len(s))])


def naive_nnn(s: Matrix, bank: Matrix, k: int, alpha: float) -> Matrix:
    return pairwise(s, lambda q, g: s[q, g] - alpha * mean_of_best(bank[:, g].tolist(), k))


def naive_csls(s: Matrix, bank: Matrix, k: int) -> Matrix:
    return pairwise(
        s,
        lambda q, g: (
            2 * s[q, g] - mean_of_best(s[q].tolist(), k) - mean_of_best(bank[:, g].tolist(), k)
        ),
    )


def naive_invsoftmax(s: Matrix, bank: Matrix, beta: float) -> Matrix:
    # the difference first: a plain quotient of exponentials overflows
    return pairwise(
        s, lambda q, g: 1 / math.fsum(math.exp(beta * (each - s[q, g])) for each in bank[:, g])
    )


def naive_qbnorm(s: Matrix, bank: Matrix, beta: float, k: int) -> Matrix:
    activated = set()
    for row in bank.tolist():
        activated |= set(sorted(range(len(row)), key=lambda g: (-row[g], g))[:k])
    shared = naive_invsoftmax(s, bank, beta)
    best = [max(range(len(row)), key=lambda g: (row[g], -g)) for row in s.tolist()]
    return np.array([shared[q] if best[q] in activated else s[q] for q in range(len(s))])


def naive_dsl(s: Matrix, beta: float) -> Matrix:
    return s * naive_invsoftmax(s, s, beta)


def naive_sinkhorn(s: Matrix, temperature: float, rounds: int = 20_000) -> Matrix:
    plan = np.exp(s / temperature)
    for _ in range(rounds):
        plan /= plan.sum(axis=1, keepdims=True) * len(plan)
        plan /= plan.sum(axis=0, keepdims=True) * plan.shape[1]
    return plan


def unit_rows(rng: np.random.Generator, count: int, size: int = 8) -> NDArray[np.float32]:
    """Vectors with a common part, so that there are hubs."""
    rows = rng.normal(size=(count, size)) + 0.7
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def world(
    queries: int = 9, gallery: int = 40, bank: int = 30, size: int = 8, seed: int = 0
) -> tuple[cr.Collection, cr.Collection, cr.Collection]:
    """Texts, pictures, and a bank of texts."""
    rng = np.random.default_rng(seed)
    return (
        collection("q", "text", unit_rows(rng, queries, size)),
        collection("g", "image", unit_rows(rng, gallery, size)),
        collection("b", "text", unit_rows(rng, bank, size)),
    )


def collection(prefix: str, modality: str, embedding: Any, **more: Any) -> cr.Collection:
    ids = [f"{prefix}{row}" for row in range(len(embedding))]
    return cr.Collection(ids, modality, embedding=embedding, **more)


def product(left: cr.Collection, right: cr.Collection) -> Matrix:
    """Every inner product, in float64."""
    found: Matrix = left["embedding"].astype(np.float64) @ right["embedding"].astype(np.float64).T
    return found


def whole_lists(queries: cr.Collection, gallery: cr.Collection) -> cr.Candidates:
    """Every query with the whole gallery."""
    shape = len(queries), len(gallery)
    return cr.Candidates(
        index=np.tile(np.arange(shape[1]), (shape[0], 1)),
        scores=product(queries, gallery),
        mask=np.ones(shape, np.bool_),
        query_ids=queries.ids,
        candidate_ids=gallery.ids,
    )


def raw_scores(
    name: str, queries: cr.Collection, gallery: cr.Collection, /, **params: Any
) -> Matrix:
    """``[queries, gallery]`` the raw scores of a reranker over the whole gallery."""
    options = {key: params.pop(key) for key in ("cache_folder", "memory_budget") if key in params}
    stage = cr.Stage(name, fusion=cr.Replace(), params=params)
    found = cr.Pipeline(stage).rerank(whole_lists(queries, gallery), queries, gallery, **options)
    scores = np.empty(found.index.shape)
    np.put_along_axis(scores, found.index, found.scores(name), axis=1)
    return scores


def naive_kreciprocal(items: Matrix, queries: int, k1: int, k2: int, mix: float) -> Matrix:
    """Minus the paper's final distance of the first items to the others, over dense tables."""
    count = len(items)
    squared = ((items[:, None] - items[None]) ** 2).sum(axis=2)
    distance = squared / squared.max(axis=1, keepdims=True)
    ranked = []
    for i, row in enumerate(distance.tolist()):
        nearest = sorted((away, j) for j, away in enumerate(row) if j != i)
        ranked.append([i, *(j for _, j in nearest)])

    def mutual(i: int, k: int) -> set[int]:
        return {j for j in ranked[i][: k + 1] if i in ranked[j][: k + 1]}

    weights = np.zeros((count, count))
    for i in range(count):
        whole = own = mutual(i, k1)
        for j in own:
            others = mutual(j, round(k1 / 2))
            if len(others & own) > 2 / 3 * len(others):
                whole = whole | others
        for j in whole:
            weights[i, j] = math.exp(-distance[i, j])
        weights[i] /= weights[i].sum()
    averaged = np.array([weights[ranked[i][:k2]].mean(axis=0) for i in range(count)])
    final = np.empty((queries, count - queries))
    for q in range(queries):
        for g in range(queries, count):
            least = np.minimum(averaged[q], averaged[g]).sum()
            jaccard = 1 - least / np.maximum(averaged[q], averaged[g]).sum()
            final[q, g - queries] = (1 - mix) * jaccard + mix * distance[q, g]
    return -final
