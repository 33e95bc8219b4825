"""A grid over fusion and weight of three scored stages, against scoring it cell by cell.

    OMP_NUM_THREADS=1 python benchmarks/ablation.py --queries Q --gallery G --qrels QRELS

Without collections it makes random tokens.  Cell by cell is the same stages through
`crossrank.Pipeline.rerank`, once for every cell, and `crossrank.evaluate` without tests.  The grid
is `crossrank.ablate` with its tests (9,999 resamples), intervals and slices, from an empty cache on
disk.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import crossrank as cr
from crossrank._files.trec import read_qrels

WEIGHTS = (0.1, 0.25, 0.5, 1.0, 2.0)
NORMALISATIONS = ("zscore", "minmax")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("queries", "gallery", "qrels"):
        arguments.add_argument(f"--{name}", type=Path)
    arguments.add_argument("--most", type=int, default=600, help="queries")
    arguments.add_argument("--depth", type=int, default=100)
    given = arguments.parse_args()
    split = random_split(given.most, given.depth)
    if given.queries is not None:
        split = stored_split(given.queries, given.gallery, given.qrels, given.most, given.depth)
    base = cr.search(split.queries, split.gallery, given.depth)
    stages = [
        cr.Stage("filip"),
        cr.Stage("hosa"),
        cr.Stage("hosa", params={"beta": 0.0, "reduction": "sum"}, name="local"),
    ]
    grid: dict[str, Sequence[Any]] = {
        "filip.weight": WEIGHTS[:3],
        "hosa.fusion": ["weighted", "rrf"],
        "hosa.weight": [0.5],
        "local.weight": WEIGHTS,
        "local.normalise": NORMALISATIONS,
    }
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        result = cr.ablate(cr.Pipeline(stages), split, grid=grid, cache=folder)
        whole = time.perf_counter() - start
    cells = [cell for cell in result.cells if cell.stages]

    start = time.perf_counter()
    for cell in cells:
        own = cr.Pipeline([built(stage) for stage in cell.stages])
        rankings = own.rerank(base, split.queries, split.gallery, memory_budget="1GB", threads=1)
        evaluation = cr.evaluate(
            {"cell": rankings.to_run()}, split.qrels, result.metrics, resamples=0
        )
        for metric, value in evaluation["cell"].items():
            difference = abs(value - cell.metrics[metric])
            assert difference < 0.5, (cell.name, metric, value, cell.metrics[metric])
    single = time.perf_counter() - start
    print(f"{len(cells)} cells, {len(base):,} queries × {given.depth} candidates, 3 stages")
    print(f"calls of score(): {result.scorer_calls}")
    print(f"cell by cell  {single:7.1f} s")
    print(f"ablate        {whole:7.1f} s   {100 * whole / single:.1f} %")


def built(settings: Any) -> cr.Stage:
    """Return the stage of a cell."""
    fusion: cr.Fusion = cr.RRF()
    if settings.get("fusion", "weighted") == "weighted":
        weight, normalise = settings.get("weight", 1.0), settings.get("normalise", "zscore")
        fusion = cr.WeightedSum(weight, normalise)
    fixed = ("name", "reranker", "fusion", "weight", "normalise", "k")
    params = {key: value for key, value in settings.items() if key not in fixed}
    return cr.Stage(settings["reranker"], fusion=fusion, params=params)


def stored_split(queries: Path, gallery: Path, qrels: Path, most: int, depth: int) -> cr.Split:
    """Return the first queries of a collection."""
    asked = cr.Collection.open(queries)
    rows = np.arange(min(most, len(asked)))
    part = asked.take(rows)
    judged = read_qrels(qrels)
    return cr.Split(
        part, cr.Collection.open(gallery), {id: judged[id] for id in part.ids}, depth=depth
    )


def random_split(most: int, depth: int) -> cr.Split:
    """Return texts of 12 words and pictures of 49 patches, 192 numbers each."""
    rng = np.random.default_rng(0)

    def side(count: int, length: int, modality: str) -> cr.Collection:
        tokens = rng.normal(size=(count * length, 192)).astype(np.float32)
        tokens /= np.linalg.norm(tokens, axis=1, keepdims=True)
        pooled = tokens.reshape(count, length, 192).mean(axis=1)
        pooled /= np.linalg.norm(pooled, axis=1, keepdims=True)
        return cr.Collection(
            [f"{modality}{row}" for row in range(count)],
            modality,
            embedding=pooled,
            tokens=cr.Ragged(tokens, np.full(count, length, np.int64)),
        )

    queries, gallery = side(most, 12, "text"), side(1000, 49, "image")
    qrels = {id: gallery.ids[row % 1000] for row, id in enumerate(queries.ids)}
    return cr.Split(queries, gallery, qrels, depth=depth)


if __name__ == "__main__":
    main()
