"""Corrections under and over each stage on Flickr8k: chosen on val, reported on test.

    python research/hubness_stages.py --features FEATURES --work WORK -o docs/hubness_stages.md

FEATURES as for `hubness_study.py`.  The banks are samples of the train split.  WORK keeps the
rankings, which `calibration_study.py` reads.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from hubness_study import METRICS, judgements, opened, table

Floats = NDArray[np.float64]
WHERE = "research/hubness_stages.py"
BASES = {"t2i": {"k": 32, "alpha": 0.75}, "i2t": {"k": 32, "alpha": 1.0}}
"""What val chose for ``nnn`` over embeddings in `hubness_study.py`."""
SAMPLES = {"t2i": 2000, "i2t": 600}
"""Items of the bank that stages score."""
MODES: dict[str, dict[str, Any]] = {
    "filip": {},
    "filip by words": {"mode": "t2i"},
    "filip by patches": {"mode": "i2t"},
}
WEIGHTS = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)
CORRECTIONS = [(k, alpha) for k in (8, 16, 32, 64) for alpha in (0.5, 1.0)]
DEPTH, SECOND = 100, 32


@dataclass(frozen=True, slots=True)
class Data:
    """One direction of a split."""

    queries: cr.Collection
    gallery: cr.Collection
    bank: cr.Collection
    sample: cr.Collection
    qrels: dict[str, dict[str, int]]

    @classmethod
    def of(cls, features: Path, split: str, direction: str) -> Data:
        """Open it."""
        asked, listed = ("texts", "images") if direction == "t2i" else ("images", "texts")
        bank = cr.Collection.open(features / "train" / asked)
        rows = np.linspace(0, len(bank) - 1, SAMPLES[direction]).astype(np.int64)
        return cls(
            opened(features / split, asked),
            opened(features / split, listed),
            bank.take(np.arange(len(bank)), ["embedding"]),
            bank.take(rows),
            judgements(features, split, direction),
        )


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--features", type=Path, required=True)
    arguments.add_argument("--work", type=Path, required=True)
    arguments.add_argument("-o", "--output", type=Path, required=True)
    given = arguments.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    lines = [
        "# Corrections under and over each stage, on Flickr8k",
        "",
        f"Made by `python {WHERE}`: settings chosen on val by MRR, test",
        "reported once. *under*: nnn over embeddings before the stage; *over*: nnn over",
        "the stage's own scores, its bank",
        f"{SAMPLES['t2i']:,} captions or {SAMPLES['i2t']:,} pictures of the train split. All rows",
        "are inductive. Gains are over the first row.",
    ]
    for direction in ("t2i", "i2t"):
        lines += ["", f"## {direction}", "", *study(given.features, given.work, direction)]
        given.output.write_text("\n".join(lines) + "\n", encoding="utf-8")


def study(features: Path, work: Path, direction: str) -> list[str]:
    """Choose every pipeline of a direction on val, run it on test, and return the table."""
    val, test = (Data.of(features, split, direction) for split in ("val", "test"))
    trial = Trial(val, direction)
    plain, over = trial.best_stage(None, corrected=False), trial.best_stage(None, corrected=True)
    under, both = trial.best_stage("nnn", corrected=False), trial.best_stage("nnn", corrected=True)
    named: dict[str, list[Any]] = {
        "base + filip": [plain],
        "base + filip, over": [over],
        "under, filip": ["nnn", under],
        "under, filip, over": ["nnn", both],
    }
    for name, stages in list(named.items()):
        if name in ("base + filip", "under, filip, over"):
            named[f"{name} + lite_itm"] = [*stages, trial.second(stages)]
    found: dict[str, cr.Rankings] = {}
    for split, data in (("val", val), ("test", test)):
        for name, stages in named.items():
            if split == "val" and "lite_itm" not in name:
                continue
            pipeline = cr.Pipeline([built(each, data, direction) for each in stages])
            candidates = cr.search(data.queries, data.gallery, depth=len(data.gallery))
            if stages[0] != "nnn":
                candidates = cr.search(data.queries, data.gallery, depth=DEPTH)
            rankings = pipeline.rerank(candidates, data.queries, data.gallery, top_k=DEPTH)
            rankings.save(work / f"{split}.{direction}.{name.replace(' ', '_')}.safetensors")
            if split == "test":
                found[name] = rankings
            print(direction, split, name, flush=True)
    runs = {name: rankings.to_run() for name, rankings in found.items()}
    evaluation = cr.evaluate(runs, test.qrels, METRICS, direction=direction)
    return table(evaluation, {name: told(stages) for name, stages in named.items()})


def built(stage: Any, data: Data, direction: str) -> cr.Stage:
    """Return a stage with the bank of a split."""
    if stage == "nnn":
        params = {"bank": data.bank, **BASES[direction]}
        return cr.Stage("nnn", fusion=cr.Replace(), params=params)
    fusion, depth = cr.WeightedSum(stage["weight"]), stage["depth"]
    own = cr.Stage(stage["reranker"], params=stage["params"])
    if stage.get("k") is None:
        return cr.Stage(stage["reranker"], depth=depth, fusion=fusion, params=stage["params"])
    params = {"bank": data.sample, "over": own, "k": stage["k"], "alpha": stage["alpha"]}
    return cr.Stage("nnn", depth=depth, fusion=fusion, params=params, name=f"nnn over {own.name}")


def told(stages: Sequence[Any]) -> str:
    """Return what was chosen."""
    parts = []
    for stage in stages:
        if stage != "nnn":
            over = "" if stage.get("k") is None else f" (k {stage['k']}, α {stage['alpha']:g})"
            parts.append(f"{stage['name']} {stage['weight']:g}{over}")
    return ", ".join(parts)


class Trial:
    """Scores of val, computed once; everything else is arithmetic."""

    def __init__(self, data: Data, direction: str) -> None:
        self.data, self.direction = data, direction
        self.base = cr.search(data.queries, data.gallery, depth=len(data.gallery))
        nnn = cr.Pipeline(built("nnn", data, direction))
        corrected = nnn.rerank(self.base, data.queries, data.gallery).to_similarity()
        self.similarity: dict[str | None, Floats] = {None: dense(self.base), "nnn": corrected}
        wanted = [best(each, DEPTH) for each in self.similarity.values()]
        union = np.zeros(corrected.shape, np.bool_)
        for index in wanted:
            np.put_along_axis(union, index, True, axis=1)
        self.raw: dict[str, Floats] = {}
        self.bank: dict[str, Floats] = {}
        for name, params in MODES.items():
            stage = cr.Stage("filip", fusion=cr.Replace(), params=params)
            self.raw[name] = scored(stage, data.queries, data.gallery, union)
            whole = np.ones((len(data.sample), len(data.gallery)), np.bool_)
            self.bank[name] = scored(stage, data.sample, data.gallery, whole)
            print(direction, "val", name, flush=True)

    def best_stage(self, under: str | None, *, corrected: bool) -> dict[str, Any]:
        """Return the setting of filip with the best MRR over a base."""
        tried: list[tuple[float, int, dict[str, Any]]] = []
        for name, params in MODES.items():
            for k, alpha in CORRECTIONS if corrected else [(None, 0.0)]:
                bias = 0.0 if k is None else alpha * means(self.bank[name], k)
                for weight in WEIGHTS:
                    fused = self.fused(self.similarity[under], self.raw[name] - bias, weight, DEPTH)
                    setting = {
                        "reranker": "filip",
                        "name": name,
                        "params": params,
                        "weight": weight,
                        "depth": DEPTH,
                        "k": k,
                        "alpha": alpha,
                    }
                    tried.append((self.mrr(fused), len(tried), setting))
        value, _, chosen = max(tried, key=lambda each: (each[0], -each[1]))
        print(self.direction, under, told([chosen]), f"val MRR {value:.4f}", flush=True)
        return chosen

    def second(self, stages: Sequence[Any]) -> dict[str, Any]:
        """Return the setting of lite_itm after filip with the best MRR."""
        data, first = self.data, stages[-1]
        bias = 0.0
        if first["k"] is not None:
            bias = first["alpha"] * means(self.bank[first["name"]], first["k"])
        similarity = self.similarity["nnn" if stages[0] == "nnn" else None]
        before = self.fused(similarity, self.raw[first["name"]] - bias, first["weight"], DEPTH)
        near = np.zeros(before.shape, np.bool_)
        np.put_along_axis(near, best(before, SECOND), True, axis=1)
        stage = cr.Stage("lite_itm", fusion=cr.Replace())
        raw = scored(stage, data.queries, data.gallery, near)
        tried = [(self.mrr(self.fused(before, raw, weight, SECOND)), weight) for weight in WEIGHTS]
        value, weight = max(tried)
        print(self.direction, "lite_itm", weight, f"val MRR {value:.4f}", flush=True)
        return {
            "reranker": "lite_itm",
            "name": "lite_itm",
            "params": {},
            "weight": weight,
            "depth": SECOND,
        }

    def fused(self, previous: Floats, raw: Floats, weight: float, depth: int) -> Floats:
        """Return ``[Q, N]`` fused scores of the best so far, −inf elsewhere."""
        index = best(previous, depth)
        rows = [np.take_along_axis(each, index, axis=1) for each in (previous, raw)]
        total = zscored(rows[0]) + weight * zscored(rows[1])
        matrix = np.full(previous.shape, -np.inf)
        np.put_along_axis(matrix, index, total, axis=1)
        return matrix

    def mrr(self, matrix: Floats) -> float:
        """Return the mean reciprocal rank of the first relevant candidate."""
        data, total = self.data, 0.0
        for row, query in enumerate(data.queries.ids):
            own = [data.gallery.row(each) for each in data.qrels[query]]
            high = matrix[row, own].max()
            if np.isfinite(high):
                total += 1 / (1 + int((matrix[row] > high).sum()))
        return total / len(data.queries)


def scored(
    stage: cr.Stage, queries: cr.Collection, gallery: cr.Collection, wanted: NDArray[np.bool_]
) -> Floats:
    """Return ``[Q, N]`` raw scores of some pairs, 0 elsewhere."""
    lengths = wanted.sum(axis=1)
    order = np.argsort(~wanted, axis=1, kind="stable")[:, : lengths.max()]
    lists = cr.Candidates(
        index=order,
        scores=None,
        mask=np.arange(order.shape[1]) < lengths[:, None],
        query_ids=queries.ids,
        candidate_ids=gallery.ids,
    )
    found = cr.Pipeline(stage).rerank(lists, queries, gallery).to_similarity()
    return np.where(np.isfinite(found), found, 0.0)


def dense(candidates: cr.Candidates) -> Floats:
    matrix = np.empty(candidates.index.shape)
    np.put_along_axis(matrix, candidates.index, np.asarray(candidates.scores), axis=1)
    return matrix


def best(matrix: Floats, count: int) -> NDArray[np.int64]:
    return np.argsort(-matrix, axis=1, kind="stable")[:, :count]


def means(bank: Floats, k: int) -> Floats:
    """Return ``[N]`` the mean of each candidate's k largest."""
    return np.asarray(np.sort(bank, axis=0)[-k:].mean(axis=0), np.float64)


def zscored(rows: Floats) -> Floats:
    deviation = rows.std(axis=1, keepdims=True)
    away: Floats = (rows - rows.mean(axis=1, keepdims=True)) / np.where(deviation > 0, deviation, 1)
    return away


if __name__ == "__main__":
    main()
