"""What ``cora`` buys on Flickr8k: weights of the stage chosen on val, test looked at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank.evaluation import bootstrap_interval, randomisation_test
from remembered import Remembered

WEIGHTS = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)
DEPTH = 100
BEFORE = {
    "base": (),
    "base + filip": (cr.Stage("filip", depth=DEPTH, fusion=cr.WeightedSum(1.25)),),
    "base + filip + lite_itm": (
        cr.Stage("filip", depth=DEPTH, fusion=cr.WeightedSum(1.25)),
        cr.Stage("lite_itm", depth=32, fusion=cr.WeightedSum(1.25)),
    ),
}
"""What ``cora`` is put on top of; the weights are those that val chose without it."""


def report(features: Path, output: Path, seeds: Sequence[int]) -> str:
    """Return the tables as Markdown: every network, and the mean of each kind's seeds."""
    kinds = [
        kind for kind in ("plain", "changed") if (output / f"{kind}{seeds[0]}.safetensors").exists()
    ]
    lines = []
    for direction in ("t2i", "i2t"):
        val, test = (Split(features, name, direction) for name in ("val", "test"))
        lines += [f"### {direction}", "", HEAD, "|---|---|---|---|---|---|"]
        for kind in kinds:
            files = [output / f"{kind}{seed}.safetensors" for seed in seeds]
            alone = [test.hits(test.cora(file)) for file in files]
            lines.append(row(f"{kind}, alone", "", alone, None, test.clusters))
        for name, stages in BEFORE.items():
            known = {split: split.ranked(stages) for split in (val, test)}
            before = test.hits(known[test])
            lines.append(row(name, "", [before], None, test.clusters))
            for kind in kinds:
                files = [output / f"{kind}{seed}.safetensors" for seed in seeds]
                weight = max(
                    WEIGHTS,
                    key=lambda w: np.mean([val.hits(val.fused(known[val], f, w)) for f in files]),
                )
                after = [test.hits(test.fused(known[test], file, weight)) for file in files]
                lines.append(
                    row(f"{name} + cora ({kind})", f"{weight:g}", after, before, test.clusters)
                )
        lines.append("")
    return "\n".join(lines)


HEAD = "| | weight | R@1 of each seed | mean | gain (95 %) | p |"


class Split:
    """One split in one direction, with the raw scores of every network that was asked for."""

    def __init__(self, features: Path, name: str, direction: str) -> None:
        images = cr.Collection.open(features / name / "images")
        regions = cr.Collection.open(features / name / "regions")["regions"]
        images = images.with_features(regions=regions)
        texts = cr.Collection.open(features / name / "texts")
        self.sides = (texts, images) if direction == "t2i" else (images, texts)
        self.candidates = cr.search(*self.sides, depth=DEPTH)
        image_of = [id.rpartition("#")[0] for id in texts.ids]
        self.qrels: dict[str, set[str]] = {}
        for text, image in zip(texts.ids, image_of, strict=True):
            pair = (text, image) if direction == "t2i" else (image, text)
            self.qrels.setdefault(pair[0], set()).add(pair[1])
        names = image_of if direction == "t2i" else list(self.sides[0].ids)
        self.clusters = np.unique(names, return_inverse=True)[1].astype(np.int64)
        self._scores: dict[Path, cr.Rankings] = {}

    def ranked(self, stages: Sequence[cr.Stage]) -> cr.Candidates:
        """Return the lists after some stages, as candidates."""
        if not stages:
            return self.candidates
        run = cr.Pipeline(stages).rerank(self.candidates, *self.sides).to_run()
        queries, gallery = self.sides
        return cr.Candidates.from_run(run, query_ids=queries.ids, candidate_ids=gallery.ids)

    def cora(self, weights: Path) -> cr.Rankings:
        """Return the first hundred of the base in the order of a network alone."""
        if weights not in self._scores:
            stage = cr.Stage("cora", fusion=cr.Replace(), params={"weights": weights})
            self._scores[weights] = cr.Pipeline(stage).rerank(self.candidates, *self.sides)
        return self._scores[weights]

    def fused(self, before: cr.Candidates, weights: Path, weight: float) -> cr.Rankings:
        """Return lists with a network's scores added."""
        known = {"rankings": self.cora(weights), "stage": "cora"}
        stage = cr.Stage(Remembered, fusion=cr.WeightedSum(weight), params=known)
        return cr.Pipeline(stage).rerank(before, *self.sides)

    def hits(self, rankings: cr.Rankings | cr.Candidates) -> NDArray[np.float64]:
        """Return per query whether what belongs to it stands first, in percent."""
        run = rankings.to_run() if isinstance(rankings, cr.Rankings) else best_of(rankings)
        return np.array(
            [
                100.0 * (max(run[id], key=run[id].__getitem__) in self.qrels[id])
                for id in self.sides[0].ids
            ]
        )


def best_of(candidates: cr.Candidates) -> Mapping[str, Mapping[str, float]]:
    """Return a run of the scores of candidate lists."""
    ids, scores = candidates.candidate_ids, candidates.scores
    assert scores is not None
    return {
        query: {ids[i]: float(s) for i, s, m in zip(rows, values, mask, strict=True) if m}
        for query, rows, values, mask in zip(
            candidates.query_ids, candidates.index, scores, candidates.mask, strict=True
        )
    }


def row(
    name: str,
    weight: str,
    after: Sequence[NDArray[np.float64]],
    before: NDArray[np.float64] | None,
    clusters: NDArray[np.int64],
) -> str:
    """Return one line: R@1 of each seed, their mean, and its gain, tested by image."""
    each = ", ".join(f"{hits.mean():.2f}" for hits in after)
    mean = np.mean(after, axis=0)
    told = "| |"
    if before is not None:
        sums = np.bincount(clusters, weights=mean - before).astype(np.float64)[None]
        sizes = np.bincount(clusters).astype(np.float64)
        low, high = bootstrap_interval(sums, sizes)
        p = float(randomisation_test(sums)[0])
        gain = float((mean - before).mean())
        told = f"{gain:+.2f} ({low[0]:+.2f} … {high[0]:+.2f}) | {p:.4f} |"
    return f"| {name} | {weight} | {each} | {mean.mean():.2f} | {told}"
