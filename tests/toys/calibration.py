"""Judged results whose probabilities are known."""

from __future__ import annotations

import numpy as np

import crossrank as cr

METHODS = ("platt", "isotonic", "beta")


def judged(
    queries: int = 60, width: int = 12, seed: int = 0, shift: float = 0.0, scale: float = 1.0
) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, int]]]:
    """A run whose scores tell relevance by a logistic law."""
    rng = np.random.default_rng(seed)
    run: dict[str, dict[str, float]] = {}
    qrels: dict[str, dict[str, int]] = {}
    for q in range(queries):
        z = rng.normal(size=width)
        relevant = rng.random(width) < 1 / (1 + np.exp(-(3 * z - 2)))
        names = [f"d{q}-{n}" for n in range(width)]
        run[f"q{q}"] = dict(zip(names, (shift + scale * z).tolist(), strict=True))
        qrels[f"q{q}"] = {name: 1 for name, is_relevant in zip(names, relevant, strict=True)
                          if is_relevant} or {"elsewhere": 1}  # fmt: skip
    return run, qrels


def sides() -> tuple[cr.Collection, cr.Collection, cr.Candidates]:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(24, 6)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    queries = cr.Collection([f"q{n}" for n in range(8)], "text", embedding=rows[:8])
    gallery = cr.Collection([f"g{n}" for n in range(16)], "image", embedding=rows[8:])
    return queries, gallery, cr.search(queries, gallery, 12)


def judgements() -> dict[str, dict[str, int]]:
    found = {}
    for query, row in sides()[2].to_run().items():
        worth = {name: score + 0.3 * (name < "g3") for name, score in row.items()}
        found[query] = {max(worth, key=worth.__getitem__): 1}
    return found


QRELS = judgements()
