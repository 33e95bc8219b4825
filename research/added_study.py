r"""What a reranker buys on Flickr8k when it is added to others: tuned on val, reported on test.

    python research/added_study.py --features FEATURES --work out/study graph
    python research/added_study.py --features FEATURES --work out/study cora \
        --weights out/cora/plain0.safetensors out/cora/plain1.safetensors

FEATURES holds ``train``, ``val`` and ``test``, each with the collections ``images``, ``regions``
and ``texts`` of ``lite`` (`examples/prepare_flickr8k.py` and ``crossrank encode`` make them).  The
reranker is added to the base, to base + filip, to both with ``nnn`` before them, and to ``full``,
which is base + filip + mack + lite_itm, in both directions.  Every stage scores the first hundred
once; raw scores are kept in the work folder.  The weights of a chain are chosen one after the other
by R@1 on val; of several networks (seeds) the mean counts, in choosing and in the gain.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import crossrank as cr
from crossrank.evaluation import bootstrap_interval, randomisation_test
from crossrank_graphs import with_graphs

Floats = NDArray[np.float64]
DEPTH = 100
CUTS = (1, 5, 10)
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


CHAINS: dict[str, tuple[str, tuple[str, ...]]] = {
    "base": ("base", ()),
    "base+filip": ("base", ("filip",)),
    "nnn": ("nnn", ()),
    "nnn+filip": ("nnn", ("filip",)),
    "full": ("full", ()),
}
"""What the reranker is added to."""
FULL = {"t2i": (0.75, 0.5, 2.0), "i2t": (1.0, 1.0, 2.0)}
"""Weights of filip, mack and lite_itm together, the last of which sees the first 32: chosen on val
in `docs/lite_itm.md`.
"""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("reranker")
    arguments.add_argument("--features", type=Path, required=True)
    arguments.add_argument("--work", type=Path, required=True)
    arguments.add_argument("--weights", type=Path, nargs="+", help="of the reranker, one per seed")
    arguments.add_argument("--params", type=json.loads, default={}, help="of the reranker, as JSON")
    arguments.add_argument("--over", choices=list(CHAINS), nargs="+", default=list(CHAINS))
    given = arguments.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    networks = [{}] if given.weights is None else [{"weights": str(w)} for w in given.weights]
    added = [cr.Stage(given.reranker, params=given.params | network) for network in networks]
    print(HEAD, flush=True)
    for direction in ("t2i", "i2t"):
        for base, chain in (CHAINS[name] for name in given.over):
            for line in report(given.features, given.work, direction, base, chain, added):
                print(line, flush=True)


HEAD = """\
| | weights | R@1 | R@5 | R@10 | gain in R@1 (95 %) | p |
|---|---|---|---|---|---|---|"""


def report(
    features: Path,
    work: Path,
    direction: str,
    base: str,
    chain: Sequence[str],
    added: Sequence[cr.Stage],
) -> Iterator[str]:
    """Yield two rows of the table: a chain, and the chain with the reranker added."""
    val, test = (scored(features, split, direction, base, work) for split in ("val", "test"))
    before = [cr.Stage(name) for name in chain]
    weights: list[float] = []
    for place in range(len(before)):
        weights.append(chosen(val, before[:place], weights, [before[place]]))
    weight = chosen(val, before, weights, added)
    plain = test.recalls(before, weights)
    recalls = [test.recalls([*before, each], [*weights, weight]) for each in added]
    gain = np.mean([each[0] for each in recalls], axis=0) - plain[0]
    _, groups = np.unique([image_of(id) for id in test.lists.queries.ids], return_inverse=True)
    sums = np.bincount(groups, weights=gain).astype(np.float64)[None]
    low, high = bootstrap_interval(sums, np.bincount(groups).astype(np.float64))
    title = " + ".join([base, *chain])
    yield f"| {direction}: {title} | {said(weights)} | {shown([plain])} | | |"
    yield (
        f"| + {added[0].name} | {said([weight])} | {shown(recalls)} "
        f"| {gain.mean():+.2f} ({low[0]:+.2f} … {high[0]:+.2f}) "
        f"| {float(randomisation_test(sums)[0]):.4f} |"
    )


def chosen(
    val: Scored, before: Sequence[cr.Stage], weights: Sequence[float], added: Sequence[cr.Stage]
) -> float:
    """Return the weight of the last stage with the highest mean R@1, the lowest of equal ones."""

    def first(weight: float) -> float:
        hits = [val.recalls([*before, each], [*weights, weight])[0] for each in added]
        return float(np.mean(hits))

    return max(WEIGHTS, key=first)


def said(weights: Sequence[float]) -> str:
    return ", ".join(f"{weight:g}" for weight in weights)


def shown(recalls: Sequence[Floats]) -> str:
    """Return cells of a table: the mean over networks, and R@1 of each."""
    means = [f"{each:.2f}" for each in np.mean([r.mean(axis=1) for r in recalls], axis=0)]
    if len(recalls) > 1:
        means[0] += " (" + ", ".join(f"{r[0].mean():.2f}" for r in recalls) + ")"
    return " | ".join(means)


@dataclass(frozen=True, slots=True)
class Scored:
    """Lists, and the raw scores that stages gave them, kept in files.

    Parameters
    ----------
    lists
        The first hundred.
    kept
        What the files' names begin with.
    same
        The same candidates in another order, whose raw scores these are.
    """

    lists: Lists
    kept: Path
    same: Scored | None = None

    def recalls(self, stages: Sequence[cr.Stage], weights: Sequence[float]) -> Floats:
        """Return ``[3, Q]``: whether what belongs to a query is among the first 1, 5 and 10."""
        scores = fused(self.lists, [self.raw(stage) for stage in stages], weights)
        order = np.argsort(-scores, axis=1, kind="stable")[:, : max(CUTS)]
        hits = np.take_along_axis(self.lists.relevant, order, axis=1)
        return np.array([100.0 * hits[:, :cut].any(axis=1) for cut in CUTS])

    def raw(self, stage: cr.Stage) -> Floats:
        """Return ``[Q, K]`` raw scores, NaN where the stage abstained."""
        if self.same is not None:
            ours, theirs = (
                each.lists.candidates.index.argsort(axis=1) for each in (self, self.same)
            )
            known = np.take_along_axis(self.same.raw(stage), theirs, axis=1)
            moved = np.empty_like(known)
            np.put_along_axis(moved, ours, known, axis=1)
            return moved
        digest = stage.scorer.fingerprint()[:8]
        path = self.kept.with_name(f"{self.kept.name}-{stage.name}-{digest}.npy")
        if not path.exists():
            alone = cr.Stage(stage.name, fusion=cr.Replace(), params=stage.params)
            sides = self.lists.queries, self.lists.gallery
            rankings = cr.Pipeline(alone).rerank(
                self.lists.candidates, *sides, cache_folder=self.kept.parent / "cache"
            )
            np.save(path, as_lists(rankings, self.lists))
        found: Floats = np.load(path)
        return found


def fused(lists: Lists, raw: Sequence[Floats], weights: Sequence[float]) -> Floats:
    """Return the scores after some stages, z-scores of rows added with their weights."""
    assert lists.candidates.scores is not None
    scores = np.asarray(lists.candidates.scores, np.float64)
    for each, weight in zip(raw, weights, strict=True):
        scores = zscores(scores) + weight * zscores(each)
    return scores


def scored(features: Path, split: str, direction: str, base: str, work: Path) -> Scored:
    """Return the lists of a base, with what keeps their raw scores."""
    kept = work / f"{split}-{direction}-{base}"
    same = scored(features, split, direction, "base", work) if base == "full" else None
    return Scored(lists_of(features, split, direction, base, work), kept, same)


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
    candidates = cr.search(queries, gallery, depth=len(gallery) if base == "nnn" else DEPTH)
    if base == "nnn":
        bank = str(features / "train" / asked)
        stages = [cr.Stage("nnn", fusion=cr.Replace(), params={"bank": bank, **NNN[direction]})]
        candidates = reranked(stages, candidates, queries, gallery, work)
    if base == "full":
        depths = {"filip": DEPTH, "mack": DEPTH, "lite_itm": 32}
        stages = [
            cr.Stage(name, depth, cr.WeightedSum(weight))
            for (name, depth), weight in zip(depths.items(), FULL[direction], strict=True)
        ]
        path = work / f"{split}-{direction}-full.run.npz"
        if not path.exists():
            made = reranked(stages, candidates, queries, gallery, work)
            assert made.scores is not None
            np.savez(path, index=made.index, scores=made.scores)
        with np.load(path) as kept:
            candidates = as_candidates(kept["index"], kept["scores"], queries, gallery)
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


def reranked(
    stages: Sequence[cr.Stage],
    candidates: cr.Candidates,
    queries: cr.Collection,
    gallery: cr.Collection,
    work: Path,
) -> cr.Candidates:
    """Return the first hundred after some stages."""
    rankings = cr.Pipeline(stages).rerank(
        candidates, queries, gallery, top_k=DEPTH, cache_folder=work / "cache"
    )
    run = rankings.to_run()
    return cr.Candidates.from_run(run, query_ids=queries.ids, candidate_ids=gallery.ids)


def as_candidates(
    index: NDArray[np.int64],
    scores: NDArray[np.floating[Any]],
    queries: cr.Collection,
    gallery: cr.Collection,
) -> cr.Candidates:
    """Return lists of gallery rows ``[Q, K]`` with their scores."""
    listed = [[gallery.ids[k] for k in row] for row in index.tolist()]
    return cr.Candidates.from_lists(
        dict(zip(queries.ids, listed, strict=True)),
        scores=dict(zip(queries.ids, scores.tolist(), strict=True)),
        query_ids=queries.ids,
        candidate_ids=gallery.ids,
    )


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
