"""The first hundred of the base on a split of Flickr8k, and what stands before a reranker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import crossrank as cr

DEPTH = 100
BEFORE = {
    "base": (),
    "base + filip": (cr.Stage("filip", depth=DEPTH, fusion=cr.WeightedSum(1.25)),),
    "base + filip + lite_itm": (
        cr.Stage("filip", depth=DEPTH, fusion=cr.WeightedSum(1.25)),
        cr.Stage("lite_itm", depth=32, fusion=cr.WeightedSum(1.25)),
    ),
}
"""What a reranker is put on top of; the weights are those that val chose without it."""


class Split:
    """One split in one direction."""

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

    def ranked(self, stages: Sequence[cr.Stage]) -> cr.Candidates:
        """Return the lists after some stages, as candidates."""
        if not stages:
            return self.candidates
        run = cr.Pipeline(stages).rerank(self.candidates, *self.sides).to_run()
        queries, gallery = self.sides
        return cr.Candidates.from_run(run, query_ids=queries.ids, candidate_ids=gallery.ids)

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
