"""The reranker ``graph`` on Flickr8k: tuned on val, reported on test, both directions.

    python research/graph_study.py --features FEATURES --work out/graph [--bank BANK]

FEATURES holds ``train``, ``val`` and ``test``, each with the collections ``images``, ``regions``
and ``texts`` of ``lite`` (`examples/prepare_flickr8k.py` and ``crossrank encode`` make them); BANK
is one of MACK (`research/mack_flickr8k.py`), without which ``mack`` is left out.  Every stage
scores the base's first hundred once; raw scores are kept in the work folder, weights are chosen one
after the other by R@1 on val.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank_graphs import with_graphs

Floats = NDArray[np.float64]
DEPTH = 100
METRICS = ("R@1", "R@5", "R@10", "MRR")
WEIGHTS = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0)
NNN = {"t2i": {"k": 32, "alpha": 0.75}, "i2t": {"k": 32, "alpha": 1.0}}
"""What `research/hubness_study.py` chose on val."""


@dataclass(frozen=True, slots=True)
class Lists:
    """The first hundred of each query.

    Parameters
    ----------
    candidates
        In base order.
    queries, gallery
        The sides.
    relevant
        ``[Q, K]`` bool.
    """

    candidates: cr.Candidates
    queries: cr.Collection
    gallery: cr.Collection
    relevant: NDArray[np.bool_]

    def first(self, scores: Floats) -> float:
        """Return R@1 in percent; equal scores keep the base's order."""
        return 100 * float(self.relevant[np.arange(len(scores)), scores.argmax(axis=1)].mean())

    def run(self, scores: Floats) -> dict[str, dict[str, float]]:
        """Return the scores as a run."""
        ids = self.gallery.ids
        return {
            query: {ids[k]: float(s) for k, s in zip(rows, row, strict=True)}
            for query, rows, row in zip(
                self.queries.ids, self.candidates.index.tolist(), scores, strict=True
            )
        }


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--features", type=Path, required=True)
    arguments.add_argument("--work", type=Path, required=True)
    arguments.add_argument("--bank", type=Path)
    given = arguments.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    stages: dict[str, dict[str, Any]] = {"filip": {}, "lite_itm": {}, "graph": {}}
    if given.bank is not None:
        stages["mack"] = {"knowledge": str(given.bank), "center": True}
    short, full = ["filip", "graph"], ["filip", "lite_itm", "graph"]
    if "mack" in stages:
        full.insert(1, "mack")
    for base, roads in (
        ("base", [["graph"], short]),
        ("nnn", [["graph"], short]),
        ("base", [full]),
    ):
        for direction in ("t2i", "i2t"):
            report(given.features, given.work, direction, base, roads, stages)


def report(
    features: Path,
    work: Path,
    direction: str,
    base: str,
    roads: list[list[str]],
    stages: dict[str, dict[str, Any]],
) -> None:
    """Tune each road on val, stage after stage, and compare its end with the stage before."""
    names = sorted({name for road in roads for name in road})
    sides = {}
    for split in ("val", "test"):
        lists = lists_of(features, split, direction, base, work)
        raw = {}
        for name in names:
            path = work / f"{split}-{direction}-{base}-{name}.npy"
            if not path.exists():
                stage = cr.Stage(name, fusion=cr.Replace(), params=stages[name])
                rankings = cr.Pipeline(stage).rerank(
                    lists.candidates, lists.queries, lists.gallery, cache_folder=work / "cache"
                )
                np.save(path, as_lists(rankings, lists))
            raw[name] = np.load(path)
        sides[split] = (lists, raw)
    for road in roads:
        chosen: list[float] = []
        for name in road:
            tried = {}
            for weight in WEIGHTS:
                scores = fused(*sides["val"], road, [*chosen, weight])
                tried[weight] = sides["val"][0].first(scores)
            chosen.append(max(tried, key=lambda weight: tried[weight]))
            if name == road[-1]:
                print(direction, base, "+".join(road), "val by weight of graph", tried, flush=True)
        lists, raw = sides["test"]
        before = fused(lists, raw, road[:-1], chosen[:-1])
        after = fused(lists, raw, road, chosen)
        runs = {"before": lists.run(before), "after": lists.run(after)}
        evaluation = cr.evaluate(runs, qrels(lists), METRICS, direction=direction)
        title = f"{direction}: {'+'.join([base, *road])} {chosen}"
        print(f"\n{title}\n{evaluation}\n", flush=True)


def fused(lists: Lists, raw: dict[str, Floats], road: list[str], weights: list[float]) -> Floats:
    """Return the scores after some stages, z-scores of rows added with their weights."""
    assert lists.candidates.scores is not None
    scores = np.asarray(lists.candidates.scores, np.float64)
    for name, weight in zip(road, weights, strict=False):
        scores = zscores(scores) + weight * zscores(raw[name])
    return scores


def zscores(scores: Floats) -> Floats:
    """Return z-scores of rows; NaN, where a stage abstained, counts as its row's mean."""
    mean, spread = (
        np.nan_to_num(each(scores, axis=1, keepdims=True)) for each in (np.nanmean, np.nanstd)
    )
    found: Floats = np.nan_to_num((scores - mean) / np.where(spread > 1e-12, spread, 1.0))
    return found


def lists_of(features: Path, split: str, direction: str, base: str, work: Path) -> Lists:
    """Return the first hundred by embeddings, or by embeddings that ``nnn`` corrected."""
    asked, listed = ("texts", "images") if direction == "t2i" else ("images", "texts")
    queries, gallery = (opened(features / split, kind, work) for kind in (asked, listed))
    depth = DEPTH if base == "base" else len(gallery)
    candidates = cr.search(queries, gallery, depth=depth)
    if base == "nnn":
        bank = str(features / "train" / asked)
        stage = cr.Stage("nnn", fusion=cr.Replace(), params={"bank": bank, **NNN[direction]})
        rankings = cr.Pipeline(stage).rerank(candidates, queries, gallery, top_k=DEPTH)
        candidates = cr.Candidates.from_run(
            rankings.to_run(), query_ids=queries.ids, candidate_ids=gallery.ids
        )
    own = [[image_of(id) for id in each.ids] for each in (queries, gallery)]
    found = np.array(own[1])[candidates.index] == np.array(own[0])[:, None]
    return Lists(candidates, queries, gallery, found)


def as_lists(rankings: cr.Rankings, lists: Lists) -> Floats:
    """Return a stage's raw scores in the order of the lists, NaN where it abstained."""
    found = np.full(lists.candidates.index.shape, np.nan)
    places = [{k: n for n, k in enumerate(row)} for row in lists.candidates.index.tolist()]
    for row, ranking in enumerate(rankings.values()):
        for hit in ranking:
            if hit.trace[-1].score is not None:
                found[row, places[row][hit.index]] = hit.trace[-1].score
    return found


def qrels(lists: Lists) -> dict[str, dict[str, int]]:
    """Return what belongs together: a caption is called by its image and ``#0`` to ``#4``."""
    by_image: dict[str, list[str]] = {}
    for id in lists.gallery.ids:
        by_image.setdefault(image_of(id), []).append(id)
    return {id: dict.fromkeys(by_image[image_of(id)], 1) for id in lists.queries.ids}


def image_of(id: str) -> str:
    return id.rpartition("#")[0] or id


def opened(folder: Path, kind: str, work: Path) -> cr.Collection:
    """Open a collection; the raw cells that ``lite_itm`` reads lie in one of their own."""
    collection = cr.Collection.open(folder / kind)
    if kind == "texts":
        made = work / f"graphs-{folder.name}"
        if not made.is_dir():
            with_graphs(cr.Collection(collection.ids, "text", text=collection["text"])).save(made)
        return collection.with_features(graph=cr.Collection.open(made)["graph"])
    return collection.with_features(regions=cr.Collection.open(folder / "regions")["regions"])


if __name__ == "__main__":
    main()
