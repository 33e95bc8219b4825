"""Random banks, texts and images, and MACK written out as loops in float64."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import crossrank as cr
from crossrank_knowledge import KnowledgeBank

WORDS = ("dog", "ball", "red", "man", "grass", "old", "tree")


def vector_bank() -> KnowledgeBank:
    """The bank of the published vectors."""
    return KnowledgeBank(
        ["dog", "ball", "red"], [[3.0, 4.0, 0.0], [0.0, 0.0, 2.0], [1.0, 0.0, 0.0]]
    )


def random_bank(rng: np.random.Generator, size: int = 6, clusters: bool = False) -> KnowledgeBank:
    prototypes = rng.normal(size=(len(WORDS), size)) + 1.0
    several = None
    if clusters:
        several = cr.Ragged.from_list(
            [rng.normal(size=(rng.integers(1, 4), size)).astype(np.float32) for _ in WORDS]
        )
    return KnowledgeBank(WORDS, prototypes, rng.integers(1, 9, len(WORDS)), clusters=several)


def random_texts(rng: np.random.Generator, count: int, empty: bool = True) -> cr.Collection:
    vocabulary = (*WORDS, "unknown")
    concepts = []
    for number in range(count):
        words = int(rng.integers(0 if empty and number else 1, 6))
        concepts.append(
            [
                (
                    str(rng.choice(vocabulary)),
                    None if rng.random() < 0.5 else str(rng.choice(WORDS)),
                )
                for _ in range(words)
            ]
        )
    return cr.Collection([f"t{n}" for n in range(count)], "text", concepts=concepts)


def random_images(
    rng: np.random.Generator, count: int, size: int = 6, empty: bool = True
) -> cr.Collection:
    lengths = rng.integers(0 if empty else 1, 7, count)
    regions = cr.Ragged(rng.normal(size=(lengths.sum(), size)).astype(np.float32) + 0.5, lengths)
    return cr.Collection([f"i{n}" for n in range(count)], "image", regions=regions)


def raw(
    candidates: cr.Candidates,
    queries: cr.Collection,
    gallery: cr.Collection,
    device: str = "cpu",
    cache_folder: Path | None = None,
    memory_budget: int | str = "1GB",
    **params: Any,
) -> np.ndarray[Any, Any]:
    """``[queries, gallery]`` raw scores, NaN where the plugin abstained."""
    rankings = cr.Pipeline(cr.Stage("mack", fusion=cr.Replace(), params=params)).rerank(
        candidates,
        queries,
        gallery,
        device=device,
        cache_folder=cache_folder,
        memory_budget=memory_budget,
    )
    scores = np.full((len(queries), len(gallery)), np.nan)
    for row, id in enumerate(queries.ids):
        for hit in rankings[id]:
            if hit.trace[0].score is not None:
                scores[row, hit.index] = hit.trace[0].score
    return scores


def naive(
    bank: KnowledgeBank,
    concepts: list[tuple[str, str | None]],
    regions: np.ndarray[Any, Any],
    pooling: str,
    k_max: int = 1,
    center: bool = False,
    prototypes: str = "max",
) -> float | None:
    """One pair, in float64 loops; None where nothing is known."""
    mean = bank.mean.astype(np.float64) if center else np.zeros(bank.size)
    rows = []
    for noun, adjective in concepts:
        if noun not in bank:
            continue
        row = []
        for prototype in bank.prototypes_of(bank.row(noun)):
            u = prototype.astype(np.float64) - mean
            known = adjective is not None and adjective in bank
            added = bank.prototypes_of(bank.row(str(adjective))) if known else [mean]
            for each in added:
                both = u + each.astype(np.float64) - mean
                row.append([_cosine(both, region.astype(np.float64) - mean) for region in regions])
        pooled = np.max(row, axis=0) if prototypes == "max" else np.mean(row, axis=0)
        rows.append(pooled)
    if not rows or len(regions) == 0:
        return None
    similarity = np.array(rows)
    if pooling == "i2t":
        similarity = similarity.T
    best = [sorted(line, reverse=True)[:k_max] for line in similarity.tolist()]
    return float(np.mean([np.mean(line) for line in best]))


def _cosine(u: np.ndarray[Any, Any], v: np.ndarray[Any, Any]) -> float:
    return float(u @ v / np.sqrt((u @ u) * (v @ v)))
